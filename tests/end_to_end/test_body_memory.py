"""The memory of bodies that are needed whole: one client cannot take it from others, nor from the backend's calls."""
import json
import os
import socket

from backend import Gate, answer, raw
from harness import EndToEnd, route
from wire import Wire, chunked, request_bytes, unread, wait_until

MIB = 1 << 20
JSON = {'Content-Type': 'application/json'}
CHANGED = {'merge_patch': {'secret': None}}
ANSWER = answer(200, b'{"a":1,"secret":2}', (('Content-Type', 'application/json'),))


class BodyMemory(EndToEnd):
    def schema(self):
        path = os.path.join(self.folder, 'schema.json')
        with open(path, 'w', encoding='ascii') as file:
            json.dump({'type': 'object'}, file)
        return {'json_schema': path}

    def begin(self, target, sent, size, source='127.0.0.1'):
        """Sends the head of a long body and `sent` bytes of that; returns the connection."""
        sock = socket.create_connection(('127.0.0.1', self.proxy.port), 20, (source, 0))
        self.addCleanup(sock.close)
        wire = Wire(sock)
        head = request_bytes('POST', target, {**JSON, 'Content-Length': str(size)})
        try:
            wire.send(head + b' ' * sent)
        except OSError:
            pass  # it was refused while it was sent
        return wire

    def refused(self, wire):
        answered = wire.read_head()
        wire.read_body(answered, answers='POST')
        self.assert_problem(answered, 503, 'overloaded')
        self.assertEqual('1', answered.get('Retry-After'))

    def assert_only_this_client_is_refused(self, target, good):
        dawdling = [self.begin(target, 7 * MIB, 7 * MIB + 1) for _ in range(4)]
        wait_until(lambda: unread(self.proxy.port) == 0, 'the bodies read')
        self.refused(self.begin(target, 7 * MIB, 7 * MIB + 1))
        other = self.begin(target, 100_000, 100_000, '127.0.0.2')
        refused = other.read_head()
        other.read_body(refused, answers='POST')
        self.assertNotEqual(503, refused.status)
        self.assertEqual(b'{"a":1}', self.request('GET', '/changed').body)
        for wire in dawdling:
            wire.sock.close()
        wait_until(lambda: self.request('POST', target, JSON, b'{"a":1}' + b' ' * 100_000).status == good, 'room again')

    def test_a_client_that_dawdles_with_bodies_that_are_checked_takes_nothing_from_others(self):
        self.backend.on('/', ANSWER)
        self.serve(routes=[route('POST /checked', validate=self.schema()),
                           route('/changed', mode='never', response_body=CHANGED)])
        self.assert_only_this_client_is_refused('/checked', 202)

    def test_a_client_that_dawdles_with_bodies_that_are_changed_takes_nothing_from_others(self):
        self.backend.on('/', ANSWER)
        self.serve(routes=[route('POST /patched', mode='never', request_body={**CHANGED, 'max_size': '8MiB'}),
                           route('/changed', mode='never', response_body=CHANGED)])
        self.assert_only_this_client_is_refused('/patched', 200)

    def serve_large(self, attempt):
        """Two answers that are changed have no room beside each other, and one has begun."""
        head = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
        begun = Gate(lambda exchange: exchange.send(b'0\r\n\r\n'))

        def first(exchange):
            exchange.send(head)
            begun(exchange)
        self.backend.on('/', answer())
        self.backend.on('/first', first)
        self.backend.on('/changed', raw(head + chunked(b'{"a":1}')))
        large = {**CHANGED, 'max_size': '100MiB'}
        self.serve(upstream={'max_concurrency': 1, 'timeouts': {'attempt': attempt, 'connect': '1s'}},
                   upstreams={'patient': {'servers': [self.backend.url]}},
                   routes=[route('/first', 'patient', mode='never', response_body=large),
                           route('/changed', mode='never', response_body=large),
                           route('/plain', mode='never')])
        self.client().send(request_bytes('GET', '/first'))
        self.wait_for_calls(begun)
        # Its head was read when the answer to a later call is.
        self.assertEqual(200, self.request('GET', '/plain').status)

    def test_an_answer_waits_for_room_no_longer_than_its_attempt_may_take(self):
        self.serve_large('1s')
        self.assert_problem(self.request('GET', '/changed', timeout=10), 504, 'upstream_timeout')

    def test_a_client_that_leaves_gives_up_the_slot_of_an_answer_that_waits_for_room(self):
        self.serve_large('60s')
        client = self.client()
        client.send(request_bytes('GET', '/changed'))
        wait_until(lambda: self.backend.count('/changed') == 1, 'the call')
        client.close()
        self.assertEqual(200, self.request('GET', '/plain', timeout=10).status)
        wait_until(lambda: any(line['reason'] == 'client_closed' for line in self.proxy.access_log()),
                   'the client that left in the log')
