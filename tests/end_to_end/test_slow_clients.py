"""Clients that send or read slowly: an inactivity timer is fed a byte at a time, so bodies have a minimum rate too."""
import threading
import time

from harness import EndToEnd, route
from wire import wait_until

HEAD = b'POST /reports/1 HTTP/1.1\r\nHost: a\r\n'
MIB = 1 << 20


def listener(rate='1KiB/s', **limits):
    return {'listeners': [{'address': '127.0.0.1:0', 'timeouts': {'body_grace': '500ms'},
                           'limits': {'body_rate': rate, **limits}}]}


class SlowSenders(EndToEnd):
    def drip(self, client, piece, pause=0.02):
        """Sends `piece` over and over, faster than any inactivity timer would notice, until it is answered."""
        over = threading.Event()

        def send():
            try:
                while not over.wait(pause):
                    client.send(piece)
            except OSError:
                pass
        sender = threading.Thread(target=send)
        sender.start()
        try:
            return client.answer('POST')
        finally:
            over.set()
            sender.join()

    def cut_off(self, framing, piece):
        client = self.client()
        client.send(HEAD + framing + b'\r\n\r\n')
        began = time.monotonic()
        answered = self.drip(client, piece)
        self.assert_problem(answered, 408, 'body_timeout')
        self.assertEqual('close', answered.get('Connection'))
        self.assertGreater(time.monotonic() - began, 0.4)
        self.assertTrue(client.ends())

    def test_a_body_that_drips_is_cut_off_after_the_grace_and_makes_no_job(self):
        self.serve(**listener())
        before = self.store_files()
        self.cut_off(b'Content-Length: 100000', b'x')
        self.cut_off(b'Transfer-Encoding: chunked', b'1\r\nx\r\n')
        self.assertEqual(before, self.store_files())
        self.assertEqual(0, self.backend.connections)
        reasons = {line['reason'] for line in self.proxy.access_log()}
        self.assertEqual({'body_timeout'}, reasons)

    def test_the_same_for_a_plain_call_which_never_is_a_whole_one(self):
        self.serve(routes=[route('/jobs/*')], **listener())
        self.cut_off(b'Content-Length: 100000', b'x')
        self.cut_off(b'Transfer-Encoding: chunked', b'1\r\nx\r\n')
        wait_until(lambda: self.backend.in_flight == 0, 'the end of the calls')
        self.assertEqual([], self.backend.requests)

    def test_a_body_at_the_rate_arrives_however_long_it_takes(self):
        self.serve(**listener())
        client = self.client()
        client.send(HEAD + b'Content-Length: 8000\r\n\r\n')
        for _ in range(80):
            client.send(b'x' * 100)
            time.sleep(0.015)  # the pace of the client, not a wait for something to happen
        self.assertEqual(202, client.answer('POST').status)

    def test_without_a_rate_a_body_may_drip(self):
        self.serve(**listener('0B/s'))
        client = self.client()
        client.send(HEAD + b'Content-Length: 50\r\n\r\n')
        for _ in range(50):
            client.send(b'x')
            time.sleep(0.02)
        self.assertEqual(202, client.answer('POST').status)


class SlowReaders(EndToEnd):
    """One that reads next to nothing makes progress for the write timeout for ever."""

    def read_slowly(self, client, request):
        """Reads a little at a time; returns what came before the connection ended."""
        client.send(request)
        size = 0
        try:
            while data := client.sock.recv(2048):
                size += len(data)
                time.sleep(0.005)
        except OSError:
            pass
        return size

    def check_reader(self, target):
        client = self.client(receive_buffer=4096)
        request = b'GET ' + target.encode() + b' HTTP/1.1\r\nHost: a\r\n\r\n'
        self.assertLess(self.read_slowly(client, request), 16 * MIB)
        wait_until(lambda: any(line['reason'] == 'client_closed' for line in self.proxy.access_log()),
                   'the reader cut off')

    def test_a_slow_reader_of_a_result_is_cut_off(self):
        self.serve(routes=[route('POST /reports/*')], **listener('64MiB/s'))
        self.backend.on('/reports', lambda exchange: exchange.reply(200, b'x' * (16 * MIB)))
        job = self.submit().wait()
        self.check_reader(job.result_url)

    def test_a_slow_reader_of_a_plain_answer_is_cut_off(self):
        self.serve(routes=[route('/jobs/*')], **listener('64MiB/s'))
        self.backend.on('/plain', lambda exchange: exchange.reply(200, b'x' * (16 * MIB)))
        self.check_reader('/plain')
        wait_until(lambda: self.backend.in_flight == 0, 'the call ended')
        self.assertEqual(200, self.request('GET', '/next').status)
