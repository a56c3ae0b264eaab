"""The harness against itself: raw client straight to raw backend, so that a failure elsewhere is raincheck's."""
import socket
import threading
import unittest

import harness  # noqa: F401  (sets the path)
from backend import Backend, Gate, answer, echo, in_turn, raw, reset_after_reading
from wire import Client, ProtocolError, Truncated, chunked, request, wait_until


class TheHarness(unittest.TestCase):
    def setUp(self):
        self.backend = Backend()
        self.addCleanup(self.backend.stop)
        self.port = self.backend.port

    def test_the_backend_echoes_and_remembers(self):
        answered = request(self.port, 'POST', '/x?y=1', {'Content-Type': 'a/b'}, b'hello')
        self.assertEqual((200, b'hello', 'a/b'), (answered.status, answered.body, answered.get('Content-Type')))
        self.assertEqual(1, self.backend.count('/x'))
        self.assertIn(b'POST /x?y=1 HTTP/1.1\r\nHost: raincheck.test\r\n', self.backend.requests[0].raw)

    def test_a_chunked_request_is_decoded(self):
        answered = request(self.port, 'POST', '/x', {'Transfer-Encoding': 'chunked'}, chunked(b'ab', b'cde'))
        self.assertEqual(b'abcde', answered.body)

    def test_a_connection_is_used_again(self):
        with Client(self.port) as client:
            self.assertEqual(b'1', client.request('PUT', '/x', body=b'1').body)
            self.assertEqual(b'2', client.request('PUT', '/x', body=b'2').body)
        self.assertEqual(1, self.backend.connections)

    def test_a_gate_holds_calls_until_it_is_opened(self):
        gate = self.backend.on('/slow', Gate(answer(201, b'late')))
        with Client(self.port) as client:
            client.send(b'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
            wait_until(lambda: gate.entered, 'the call')
            self.assertEqual(1, self.backend.in_flight)
            gate.open()
            self.assertEqual((201, b'late'), (client.answer().status, b'late'))

    def test_a_gate_notices_a_caller_that_hangs_up(self):
        gate = self.backend.on('/slow', Gate())
        client = Client(self.port)
        client.send(b'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
        wait_until(lambda: gate.entered, 'the call')
        client.close()
        wait_until(lambda: gate.aborted, 'the abort')

    def test_a_truncated_answer_is_noticed(self):
        self.backend.on('/cut', raw(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'))
        self.assertRaises(Truncated, request, self.port, 'GET', '/cut')
        self.backend.on('/cut', raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'))
        self.assertRaises(Truncated, request, self.port, 'GET', '/cut')

    def test_bad_answers_are_refused(self):
        for bad in (b'HTTP/1.1 200 OK\nContent-Length: 0\n\n', b'HTTP/1.1 200\r\n\r\n', b'HTTP/1.0 200 OK\r\n\r\n',
                    b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
                    b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
                    b'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', b'HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n',
                    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\n\r\n'):
            self.backend.on('/bad', raw(bad))
            with self.subTest(bad=bad):
                self.assertRaises(ProtocolError, request, self.port, 'GET', '/bad')

    def test_interim_answers_are_collected(self):
        self.backend.on('/x', raw(b'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n', False))
        answered = request(self.port, 'GET', '/x')
        self.assertEqual((204, [103]), (answered.status, [m.status for m in answered.interim]))

    def test_refusal_and_return_of_the_backend(self):
        self.backend.refuse()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ('127.0.0.1', self.port))
        self.backend.accept()
        self.assertEqual(200, request(self.port, 'GET', '/x').status)

    def test_a_reset_after_reading_is_seen_as_reset_and_counted(self):
        self.backend.on('/x', in_turn(reset_after_reading, echo))
        self.assertRaises(ConnectionResetError, request, self.port, 'POST', '/x', (), b'a')
        self.assertEqual(b'b', request(self.port, 'POST', '/x', (), b'b').body)
        self.assertEqual([b'a', b'b'], [r.body for r in self.backend.seen('/x')])

    def test_calls_at_once_are_counted(self):
        gate = self.backend.on('/x', Gate())
        threads = [threading.Thread(target=request, args=(self.port, 'GET', '/x')) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(gate.entered) == 5, 'five calls')
        gate.open()
        for thread in threads:
            thread.join()
        self.assertEqual((5, 0), (self.backend.peak, self.backend.in_flight))
