"""Plain proxying: streaming both ways, keep-alive on both sides, upgrades, and what is taken off on the way."""
import hashlib
import os
import socket
import threading
import time

from backend import Gate, answer, hang, raw, reset_after_reading
from harness import EndToEnd, route
from program import Raincheck
from test_upstream import NOT_HTTP
from wire import Truncated, chunked, request, request_bytes, wait_until

MIB = 1 << 20
OK = b'HTTP/1.1 200 OK\r\n'


class Plain(EndToEnd):
    def setUp(self):
        super().setUp()
        self.serve(routes=[route('/reports/*'), route('/plain/*', mode='never')])

    def test_a_call_goes_straight_through_and_back(self):
        fields = [('X-A', '1'), ('Set-Cookie', 'a'), ('Set-Cookie', 'b'), ('Server', 'Legacy/1'),
                  ('Content-Type', 'x/y')]
        self.backend.on('/', answer(207, b'multi', fields))
        for path in ('/plain/a%20b?c=d&e', '/unmatched?x=%2f'):
            answered = self.request('PROPFIND', path, [('Depth', '1'), ('Accept', 'a'), ('Accept', 'b')], b'in')
            self.assertEqual((207, b'multi'), (answered.status, answered.body))
            self.assertEqual(['a', 'b'], answered.all('Set-Cookie'))
            call = self.backend.seen()[-1]
            self.assertEqual(('PROPFIND', path, b'in', '1'), (call.method, call.target, call.body, call.get('Depth')))
            self.assertEqual(['a', 'b'], call.all('Accept'))

    def test_both_sides_keep_their_connections(self):
        client = self.client()
        for i in range(20):
            self.assertEqual(b'%d' % i, client.request('POST', '/plain/x', (), b'%d' % i).body)
        self.assertEqual(1, self.backend.connections)

    def test_connection_close_of_the_client_is_honoured(self):
        client = self.client()
        answered = client.request('GET', '/plain/x', {'Connection': 'close'})
        self.assertEqual((200, 'close'), (answered.status, answered.get('Connection', '').lower()))
        self.assertTrue(client.ends())

    def test_a_call_without_a_body_says_so_where_one_is_expected(self):
        for method, length in (('POST', '0'), ('PUT', '0'), ('PATCH', '0'), ('GET', None), ('DELETE', None)):
            with self.subTest(method), self.client() as client:
                client.send(f'{method} /plain/x HTTP/1.1\r\nHost: a\r\n\r\n'.encode())
                self.assertEqual(200, client.answer(method).status)
                call = self.backend.seen()[-1]
                self.assertEqual((method, length), (call.method, call.get('Content-Length')))

    def test_an_http_1_0_client_is_served(self):
        client = self.client()
        client.send(b'GET /plain/x HTTP/1.0\r\nHost: a\r\n\r\n')
        self.assertEqual(200, client.answer().status)
        self.assertTrue(client.ends())

    def test_an_http_1_0_client_never_gets_chunks(self):
        self.backend.on('/plain', raw(OK + b'Transfer-Encoding: chunked\r\n\r\n' + chunked(b'abc', b'def')))
        client = self.client()
        client.send(b'GET /plain/x HTTP/1.0\r\nHost: a\r\n\r\n')
        answered = client.answer()
        self.assertEqual((b'abcdef', []), (answered.body, answered.all('Transfer-Encoding')))

    def test_a_chunked_request_streams_through(self):
        body = chunked(b'ab', b'c' * 99999, b'd')
        answered = self.request('POST', '/plain/x', {'Transfer-Encoding': 'chunked'}, body)
        self.assertEqual(b'ab' + b'c' * 99999 + b'd', answered.body)

    def test_a_chunked_answer_streams_through_as_it_comes(self):
        go_on = threading.Event()

        def script(exchange):
            exchange.send(OK + b'Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n')
            exchange.hold(go_on)
            exchange.send(b'6\r\nsecond\r\n0\r\n\r\n')
        self.backend.on('/plain', script)
        client = self.client()
        client.send(request_bytes('GET', '/plain/x'))
        head = client.read_answer_head()
        self.assertEqual(['chunked'], head.all('Transfer-Encoding'))
        size = client.chunk_size()
        self.assertEqual(b'first', b''.join(client.pieces(size)))
        go_on.set()
        self.assertEqual(b'', client.line())
        self.assertEqual(b'second', b''.join(client.pieces(client.chunk_size())))

    def test_a_chunked_request_streams_through_as_it_comes(self):
        self.stream_request(b'Transfer-Encoding: chunked', b'5\r\nfirst\r\n', b'6\r\nsecond\r\n0\r\n\r\n', 5, 11)

    def test_a_large_request_streams_through_as_it_comes(self):
        first, second = b'x' * 200000, b'y' * 200000
        self.stream_request(b'Content-Length: 400000', first, second, 150000, 400000)

    def stream_request(self, framing, first, second, early, size):
        """The backend must have heard `early` bytes of the body before the client sends its second part."""
        heard = threading.Event()

        def script(exchange):
            def take(data):
                exchange.request.add_body(data)
                if exchange.request.length >= early:
                    heard.set()
            exchange.wire.read_body(exchange.request, sink=take)
            exchange.reply(200, b'%d' % exchange.request.length)
        self.backend.on('/plain', script, read_body=False)
        client = self.client()
        client.send(b'POST /plain/x HTTP/1.1\r\nHost: a\r\n' + framing + b'\r\n\r\n' + first)
        self.assertTrue(heard.wait(10))
        client.send(second)
        self.assertEqual(b'%d' % size, client.answer('POST').body)

    def test_answers_without_a_body_leave_the_connection_usable(self):
        client = self.client()
        for status in (204, 304):
            self.backend.on('/plain', raw(b'HTTP/1.1 %d X\r\n\r\n' % status, False))
            self.assertEqual(status, client.request('GET', '/plain/x').status)
        self.backend.on('/plain', raw(OK + b'Content-Length: 99\r\n\r\n', False))
        headed = client.request('HEAD', '/plain/x')
        self.assertEqual((200, '99'), (headed.status, headed.get('Content-Length')))
        self.backend.on('/plain', answer(200, b'still here'))
        self.assertEqual(b'still here', client.request('GET', '/plain/x').body)

    def test_an_answer_ended_by_closing_reaches_the_client_whole(self):
        self.backend.on('/plain', raw(OK + b'\r\nto the end'))
        self.assertEqual(b'to the end', self.request('GET', '/plain/x').body)

    def test_expect_100_continue_is_passed_or_answered_but_never_forgotten(self):
        client = self.client()
        client.send(b'POST /plain/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
        self.assertEqual(100, client.read_head().status)
        client.send(b'hello')
        self.assertEqual(b'hello', client.answer('POST').body)
        self.assertIn(self.request('POST', '/plain/x', {'Expect': 'the-unexpected'}, b'').status, (200, 417))

    def test_hop_by_hop_fields_are_removed_both_ways(self):
        self.backend.on('/plain', raw(OK + b'Connection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n'
                                      b'Proxy-Authenticate: Basic\r\nX-Stays: 1\r\nContent-Length: 0\r\n\r\n', False))
        answered = self.request('GET', '/plain/x', [
            ('Connection', 'X-Hop, keep-alive'), ('X-Hop', '1'), ('Connection', 'X-Second'), ('X-Second', '2'),
            ('Keep-Alive', 'timeout=9'), ('Proxy-Connection', 'keep-alive'), ('Proxy-Authorization', 'Basic x'),
            ('TE', 'trailers'), ('Trailer', 'X-T'), ('Upgrade', 'h2c'), ('HTTP2-Settings', 'AAMA'), ('X-Stays', '1')])
        call = self.backend.seen()[-1]
        for name in ('X-Hop', 'X-Second', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'TE', 'Trailer',
                     'Upgrade', 'HTTP2-Settings'):
            self.assertEqual([], call.all(name), name)
        for name in ('X-Mine', 'Keep-Alive', 'Proxy-Authenticate'):
            self.assertEqual([], answered.all(name), name)
        self.assertEqual(('1', '1'), (call.get('X-Stays'), answered.get('X-Stays')))

    def test_connection_cannot_name_away_what_raincheck_sets(self):
        self.request('GET', '/plain/x', {'Connection': 'X-Forwarded-For, Host, X-Request-Id'})
        call = self.backend.seen()[-1]
        self.assertEqual(1, len(call.all('X-Forwarded-For')))
        self.assertEqual(1, len(call.all('Host')))
        self.assertEqual(1, len(call.all('X-Request-Id')))

    def test_trailers_are_dropped_both_ways(self):
        self.backend.on('/plain', raw(OK + b'Transfer-Encoding: chunked\r\n\r\n' +
                                      chunked(b'a', trailers=b'X-T: 1\r\nSet-Cookie: a\r\n'), False))
        answered = self.request('POST', '/plain/x', {'Transfer-Encoding': 'chunked'},
                                chunked(b'b', trailers=b'Authorization: x\r\nX-T: 1\r\n'))
        self.assertEqual((b'a', [], []), (answered.body, answered.trailers, answered.all('Set-Cookie')))
        call = self.backend.seen()[-1]
        self.assertEqual((b'b', [], []), (call.body, call.trailers, call.all('Authorization')))

    def test_who_asked_is_told_to_the_backend(self):
        self.request('GET', '/plain/x')
        call = self.backend.seen()[-1]
        self.assertEqual('127.0.0.1', call.get('X-Forwarded-For'))
        self.assertEqual('http', call.get('X-Forwarded-Proto'))
        self.assertEqual('raincheck.test', call.get('X-Forwarded-Host'))
        self.assertIn('raincheck', call.get('Via', ''))
        self.assertRegex(call.get('X-Request-Id'), r'\A[A-Za-z0-9-]{16,}\Z')


class Faults(EndToEnd):
    def setUp(self):
        super().setUp()
        self.serve(upstream={'timeouts': {'connect': '1s', 'attempt': '2s', 'first_byte': '400ms'}})

    def test_a_backend_that_refuses_is_502(self):
        self.backend.refuse()
        self.assert_problem(self.request('GET', '/x'), 502)

    def test_a_backend_that_hangs_is_504(self):
        self.backend.on('/x', hang)
        self.assert_problem(self.request('GET', '/x'), 504)

    def test_a_backend_that_resets_is_502_and_a_post_is_not_repeated(self):
        self.backend.on('/x', reset_after_reading)
        self.assert_problem(self.request('POST', '/x', (), b'a'), 502)
        self.assertEqual(1, self.backend.count('/x'))

    def test_nonsense_is_502_and_never_relayed(self):
        for name, wrong in NOT_HTTP.items():
            self.backend.on('/x', raw(wrong))
            with self.subTest(name):
                try:
                    self.assert_problem(self.request('GET', '/x'), 502)
                except (Truncated, ConnectionResetError):
                    # It began well, and what went wrong in its body cuts it short.
                    self.assertTrue(wrong.startswith(OK), 'a head that is not HTTP was relayed')

    def test_a_truncated_answer_is_never_completed(self):
        for framing in (b'Content-Length: 100\r\n\r\nabc', b'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'):
            self.backend.on('/x', raw(OK + framing))
            try:
                answered = self.request('GET', '/x')
                self.assertEqual(502, answered.status)
            except (Truncated, ConnectionResetError):
                pass

    def test_a_client_that_leaves_frees_the_backend(self):
        gate = self.backend.on('/x', Gate())
        client = self.client()
        client.send(request_bytes('GET', '/x'))
        self.wait_for_calls(gate)
        client.close()
        wait_until(lambda: gate.aborted, 'the abort of the call', 0.35)

    def test_a_kept_connection_that_the_backend_closed_is_not_noticed_by_the_client(self):
        client = self.client()
        self.assertEqual(200, client.request('GET', '/x').status)
        self.backend.break_connections()
        wait_until(lambda: self.backend.idle_connections() == 0, 'closed connections')
        self.assertEqual(200, client.request('GET', '/x').status)

    def test_a_truncated_upload_is_never_completed_for_the_backend(self):
        large = b'x' * 200000
        for framing, body in ((b'Content-Length: 300000', large), (b'Transfer-Encoding: chunked', b'%x\r\n%s\r\n' % (
                len(large), large))):
            client = self.client()
            client.send(b'POST /x HTTP/1.1\r\nHost: a\r\n' + framing + b'\r\n\r\n' + body)
            wait_until(lambda: self.backend.in_flight == 1, 'the call')
            client.sock.shutdown(socket.SHUT_WR)
            wait_until(lambda: self.backend.in_flight == 0, 'its end')
        self.assertEqual(0, self.backend.count('/x'))


class Streaming(EndToEnd):
    SIZE = int(os.environ.get('RAINCHECK_STREAM_MIB', '256')) * MIB

    def setUp(self):
        super().setUp()
        self.serve(listeners=[{'address': '127.0.0.1:0', 'limits': {'body': '4GiB'}}],
                   upstream={'limits': {'response_body': '4GiB'}})
        self.piece = os.urandom(MIB)
        self.sent = 0

    def send_pieces(self, send, chunks=False):
        digest = hashlib.sha256()
        for _ in range(self.SIZE // MIB):
            digest.update(self.piece)
            send(b'%x\r\n%s\r\n' % (MIB, self.piece) if chunks else self.piece)
            self.sent += MIB
        return digest.hexdigest()

    def stuck(self):
        """Waits until the sender no longer gets on, which is what back-pressure looks like."""
        def unchanged():
            before = self.sent
            time.sleep(0.25)  # the length of the observation, not a wait for something to happen
            return self.sent == before
        wait_until(lambda: self.sent > 0 and unchanged(), 'back-pressure')
        self.assertLess(self.sent, self.SIZE // 4)

    def test_a_large_answer_waits_for_a_slow_reader_and_takes_no_memory(self):
        digests = []

        def script(exchange):
            exchange.send(OK + b'Content-Length: %d\r\n\r\n' % self.SIZE)
            digests.append(self.send_pieces(exchange.send))
        self.backend.on('/large', script)
        client = self.client(receive_buffer=65536)
        client.send(request_bytes('GET', '/large'))
        head = client.read_answer_head()
        self.stuck()
        client.read_body(head)
        self.assertEqual((self.SIZE, digests[0]), (head.length, head.digest))
        self.assertLess(self.proxy.memory('VmHWM'), 64 * MIB)

    def test_a_large_request_waits_for_a_slow_backend_and_takes_no_memory(self):
        go_on = threading.Event()

        def script(exchange):
            go_on.wait(30)
            exchange.wire.read_body(exchange.request)
            exchange.reply(200, exchange.request.digest.encode())
        self.backend.on('/large', script, read_body=False)
        for chunks in (False, True):
            go_on.clear()
            self.sent, digests = 0, []
            client = self.client(timeout=60)
            framing = b'Transfer-Encoding: chunked' if chunks else b'Content-Length: %d' % self.SIZE
            client.send(b'POST /large HTTP/1.1\r\nHost: a\r\n' + framing + b'\r\n\r\n')
            sender = threading.Thread(target=lambda: digests.append(
                self.send_pieces(client.send, chunks)))  # pylint: disable=cell-var-from-loop
            sender.start()
            self.stuck()
            go_on.set()
            sender.join()
            if chunks:
                client.send(b'0\r\n\r\n')
            self.assertEqual(digests[0], client.answer('POST').text)
        self.assertLess(self.proxy.memory('VmHWM'), 64 * MIB)


class Upgrades(EndToEnd):
    ASK = [('Connection', 'Upgrade'), ('Upgrade', 'websocket'), ('Sec-WebSocket-Version', '13'),
           ('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==')]
    TAKEN = (b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
             b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n')

    def tunnel(self):
        def script(exchange):
            exchange.send(self.TAKEN)
            for data in exchange.wire.rest():
                exchange.send(data.upper())
            exchange.close()
        self.backend.on('/socket', script)
        client = self.client()
        client.send(request_bytes('GET', '/socket', self.ASK))
        return client, client.read_answer_head()

    def test_a_websocket_is_tunnelled_until_either_side_ends(self):
        self.serve()
        client, head = self.tunnel()
        self.assertEqual((101, 'websocket'), (head.status, head.get('Upgrade')))
        self.assertEqual('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', head.get('Sec-WebSocket-Accept'))
        call = self.backend.seen('/socket')[0]
        self.assertEqual(('websocket', 'upgrade'), (call.get('Upgrade'), call.get('Connection').lower()))
        for word in (b'hello', b'\x00\xffbinary', b'x' * 300000):
            client.send(word)
            self.assertEqual(word.upper(), b''.join(client.pieces(len(word))))
        client.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(client.ends())
        wait_until(lambda: self.backend.in_flight == 0, 'the end of the tunnel')

    def test_a_tunnel_outlives_the_idle_time_of_connections(self):
        self.serve(listeners=[{'address': '127.0.0.1:0', 'timeouts': {'idle': '200ms'}}])
        client, _ = self.tunnel()
        self.assertFalse(client.ends(0.7))
        client.sock.settimeout(10)
        client.send(b'still here')
        self.assertEqual(b'STILL HERE', b''.join(client.pieces(10)))

    def test_a_refused_upgrade_is_an_ordinary_answer(self):
        self.serve()
        self.backend.on('/socket', answer(400, b'no'))
        client = self.client()
        self.assertEqual(b'no', client.request('GET', '/socket', self.ASK).body)
        self.assertEqual(b'no', client.request('GET', '/socket').body)

    def test_an_upgrade_of_an_asynchronous_route_is_ignored(self):
        self.serve()
        self.assertEqual(202, self.request('POST', '/reports/1', self.ASK, b'').status)
        wait_until(lambda: self.backend.count() == 1, 'the call')
        self.assertEqual([], self.backend.seen()[0].all('Upgrade'))


class Chains(EndToEnd):
    """An instance in front of another, each with a store of its own."""

    def setUp(self):
        super().setUp()
        self.serve()
        folder = os.path.join(self.folder, 'front')
        os.mkdir(folder)
        self.front = Raincheck(folder, self.config(store={'directory': os.path.join(folder, 'store')},
                                                   upstreams={'legacy': f'http://127.0.0.1:{self.proxy.port}'}))
        self.addCleanup(self.front.close)
        self.front.start()

    def pseudonyms(self):
        self.assertEqual(200, request(self.front.port, 'GET', '/x').status)
        return self.backend.seen('/x')[-1].get('Via')

    def test_a_chain_of_two_is_no_loop(self):
        via = self.pseudonyms()
        self.assertRegex(via, r'\A1\.1 raincheck-[0-9a-f]{8}, 1\.1 raincheck-[0-9a-f]{8}\Z')
        self.assertEqual(2, len(set(via.split(', '))))

    def test_the_name_in_via_is_that_of_the_store(self):
        before = self.pseudonyms()
        self.front.restart()
        self.assertEqual(before, self.pseudonyms())

    def test_a_loop_through_another_is_found(self):
        self.proxy.configure(self.config(listeners=[{'address': f'127.0.0.1:{self.proxy.port}'}],
                                         upstreams={'legacy': f'http://127.0.0.1:{self.front.port}'}))
        self.proxy.restart()
        self.assert_problem(request(self.front.port, 'GET', '/x'), 508, 'loop_detected')
