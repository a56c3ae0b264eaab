"""The gate: what a client may not send. Each vector is refused with its status, the connection is closed, and the
backend never hears of it nor of what was hidden behind it; or it is lawful, and reaches the backend normalised."""
from harness import EndToEnd, route
from wire import wait_until

HEAD = b'POST /x HTTP/1.1\r\nHost: a\r\n'
SMUGGLED = b'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
CHUNKED = b'Transfer-Encoding: chunked\r\n'
BAD = (400,)

REFUSED = {
    'content length then chunks': (BAD, HEAD + b'Content-Length: 5\r\n' + CHUNKED + b'\r\n0\r\n\r\n' + SMUGGLED),
    'chunks then content length': (BAD, HEAD + CHUNKED + b'Content-Length: 5\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'gzip then content length': (BAD, HEAD + b'Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello' + SMUGGLED),
    'content length then gzip': (BAD, HEAD + b'Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\nhello' + SMUGGLED),
    'gzip alone': ((400, 501), HEAD + b'Transfer-Encoding: gzip\r\n\r\n' + SMUGGLED),
    'chunked not last': ((400, 501), HEAD + b'Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'gzip before chunked': ((400, 501), HEAD + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'chunked twice': (BAD, HEAD + CHUNKED + CHUNKED + b'\r\n0\r\n\r\n' + SMUGGLED),
    'chunked twice in one line': (BAD, HEAD + b'Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'an unknown coding': ((400, 501), HEAD + b'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'a vertical tab before chunked': ((400, 501), HEAD + b'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'a quoted coding': ((400, 501), HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'an empty coding': ((400, 501), HEAD + b'Transfer-Encoding:\r\n\r\n' + SMUGGLED),
    'identity': ((400, 501), HEAD + b'Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello' + SMUGGLED),
    'chunks in HTTP/1.0': (BAD, b'POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n' + CHUNKED +
                           b'\r\n0\r\n\r\n' + SMUGGLED),
    'the same length twice': (BAD, HEAD + b'Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello' + SMUGGLED),
    'two lengths': (BAD, HEAD + b'Content-Length: 0\r\nContent-Length: 37\r\n\r\n' + SMUGGLED),
    'a list of lengths': (BAD, HEAD + b'Content-Length: 5, 5\r\n\r\nhello' + SMUGGLED),
    'a plus': (BAD, HEAD + b'Content-Length: +5\r\n\r\nhello'),
    'a minus': (BAD, HEAD + b'Content-Length: -1\r\n\r\nhello'),
    'a hexadecimal length': (BAD, HEAD + b'Content-Length: 0x5\r\n\r\nhello'),
    'a length beyond 64 bits': (BAD + (413,), HEAD + b'Content-Length: 18446744073709551621\r\n\r\nhello'),
    'no length': (BAD, HEAD + b'Content-Length: \r\n\r\nhello'),
    'a length with a space': (BAD, HEAD + b'Content-Length: 1 1\r\n\r\nhello hello'),
    'a space before the colon': (BAD, HEAD + b'Content-Length : 5\r\n\r\nhello'),
    'a space before the colon of the coding': (BAD, HEAD + b'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'),
    'a folded line': (BAD, HEAD + b'X: a\r\n b\r\nContent-Length: 0\r\n\r\n'),
    'a folded coding': (BAD, HEAD + b'Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n' + SMUGGLED),
    'a first line that is folded': (BAD, b'POST /x HTTP/1.1\r\n Host: a\r\n\r\n'),
    'bare line feeds': (BAD, b'POST /x HTTP/1.1\nHost: a\nContent-Length: 0\n\n'),
    'one bare line feed': (BAD, HEAD + b'X: a\nContent-Length: 0\r\n\r\n'),
    'a bare carriage return': (BAD, HEAD + b'X: a\rb\r\nContent-Length: 0\r\n\r\n'),
    'a NUL in a value': (BAD, HEAD + b'X: a\0b\r\nContent-Length: 0\r\n\r\n'),
    'a control in a value': (BAD, HEAD + b'X: a\x01b\r\nContent-Length: 0\r\n\r\n'),
    'a DEL in a value': (BAD, HEAD + b'X: a\x7fb\r\nContent-Length: 0\r\n\r\n'),
    'a bad name': (BAD, HEAD + b'X(y): a\r\nContent-Length: 0\r\n\r\n'),
    'an empty name': (BAD, HEAD + b': a\r\nContent-Length: 0\r\n\r\n'),
    'a line without a colon': (BAD, HEAD + b'nonsense\r\nContent-Length: 0\r\n\r\n'),
    'no host': (BAD, b'GET /x HTTP/1.1\r\n\r\n'),
    'two hosts': (BAD, b'GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
    'the same host twice': (BAD, b'GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'),
    'a host with a space': (BAD, b'GET /x HTTP/1.1\r\nHost: a b\r\n\r\n'),
    'a host with a path and a user': (BAD, b'GET /x HTTP/1.1\r\nHost: a/b@c\r\n\r\n'),
    'a host with a path': (BAD, b'GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n'),
    'a host with a user': (BAD, b'GET /x HTTP/1.1\r\nHost: u@a\r\n\r\n'),
    'a host with a word for a port': (BAD, b'GET /x HTTP/1.1\r\nHost: a:b\r\n\r\n'),
    'a host that is a list': (BAD, b'GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n'),
    'a target without a slash': (BAD, b'GET x HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a target with a space': (BAD, b'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a target with a tab': (BAD, b'GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a target with a fragment': (BAD, b'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a target that is not ASCII': (BAD, b'GET /a\x80 HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a target with a bad escape': (BAD, b'GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n'),
    'an escape cut short': (BAD, b'GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n'),
    'an escaped NUL': (BAD, b'GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n'),
    'an escaped slash': (BAD, b'GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n'),
    'an escaped backslash': (BAD, b'GET /a%5Cb HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a backslash': (BAD, b'GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n'),
    'dots above the root': (BAD, b'GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n'),
    'escaped dots above the root': (BAD, b'GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n'),
    'an absolute target of another scheme': (BAD, b'GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n'),
    'an asterisk for GET': (BAD, b'GET * HTTP/1.1\r\nHost: a\r\n\r\n'),
    'HTTP/0.9': (BAD, b'GET /x\r\n\r\n'),
    'HTTP/1.2': ((400, 505), b'GET /x HTTP/1.2\r\nHost: a\r\n\r\n'),
    'HTTP/2.0': ((400, 505), b'GET /x HTTP/2.0\r\nHost: a\r\n\r\n'),
    'the preface of HTTP/2': ((400, 505), b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    'a version in small letters': (BAD, b'GET /x http/1.1\r\nHost: a\r\n\r\n'),
    'two spaces': (BAD, b'GET  /x HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a method with a bracket': (BAD, b'G(T /x HTTP/1.1\r\nHost: a\r\n\r\n'),
    'a TLS hello': (BAD, b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\0' * 64 + b'\r\n\r\n'),
    'CONNECT': ((400, 405, 501), b'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'),
    'TRACE': ((400, 405, 501), b'TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n'),
    'TRACE with a body': ((400, 405, 501), b'TRACE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n' + SMUGGLED),
    'a request line over 8 KiB': ((414,), b'GET /' + b'a' * 8192 + b' HTTP/1.1\r\nHost: a\r\n\r\n'),
    'fields over 32 KiB': ((431,), HEAD + b'X: ' + b'y' * 33000 + b'\r\nContent-Length: 0\r\n\r\n'),
    'over 100 fields': ((431,), HEAD + b'X: y\r\n' * 100 + b'Content-Length: 0\r\n\r\n'),
    'a body over its limit': ((413,), HEAD + b'Content-Length: 10485761\r\n\r\n'),
}

# These get as far as the body; a backend that is being streamed to may see their beginning, but never a whole call.
BAD_CHUNKS = {
    'a size that is no number': b'x\r\na\r\n0\r\n\r\n',
    'a size with a sign': b'+1\r\na\r\n0\r\n\r\n',
    'a size with a prefix': b'0x1\r\na\r\n0\r\n\r\n',
    'a size with a space': b'1 \r\na\r\n0\r\n\r\n',
    'an empty size': b'\r\na\r\n0\r\n\r\n',
    'a size beyond 64 bits': b'10000000000000001\r\na\r\n0\r\n\r\n',
    'a bare line feed after the size': b'1\na\r\n0\r\n\r\n',
    'a bare line feed after the data': b'1\r\na\n0\r\n\r\n',
    'no line end after the data': b'1\r\na0\r\n\r\n',
    'more data than said': b'1\r\nabc\r\n0\r\n\r\n',
    'an extension': b'1;a=b\r\na\r\n0\r\n\r\n',
    'a line feed in an extension': b'1;a="\n"\r\na\r\n0\r\n\r\n',
    'a NUL in an extension': b'1;a="\0"\r\na\r\n0\r\n\r\n',
    'a huge extension': b'1;' + b'a' * 70000 + b'\r\na\r\n0\r\n\r\n',
    'a malformed trailer': b'1\r\na\r\n0\r\nnonsense\r\n\r\n',
    'a folded trailer': b'1\r\na\r\n0\r\nA: b\r\n c\r\n\r\n',
    'a huge trailer': b'1\r\na\r\n0\r\nA: ' + b'b' * 70000 + b'\r\n\r\n',
}

# What is lawful, and the target with which it must arrive.
TAKEN = {
    'a tab around the coding': (b'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\t\r\n\r\n0\r\n\r\n', '/x'),
    'a coding in capitals': (b'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n', '/x'),
    'no space after the colon': (b'GET /x HTTP/1.1\r\nHost:a\r\n\r\n', '/x'),
    'a value above ASCII': (b'GET /x HTTP/1.1\r\nHost: a\r\nX: caf\xe9\r\n\r\n', '/x'),
    'an absolute target': (b'GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n', '/x'),
    'an absolute target beats Host': (b'GET http://good/x HTTP/1.1\r\nHost: evil\r\n\r\n', '/x'),
    'an absolute target without a path': (b'GET http://a HTTP/1.1\r\nHost: a\r\n\r\n', '/'),
    'dots within the path': (b'GET /a/./b/../x HTTP/1.1\r\nHost: a\r\n\r\n', '/a/x'),
    'escaped letters': (b'GET /%61%7e HTTP/1.1\r\nHost: a\r\n\r\n', '/a~'),
    'escapes in small letters': (b'GET /%c3%a9 HTTP/1.1\r\nHost: a\r\n\r\n', '/%C3%A9'),
    'doubled slashes': (b'GET //a///b HTTP/1.1\r\nHost: a\r\n\r\n', '/a/b'),
    'a query is left alone': (b'GET /x?a=%2f..//%zz?b HTTP/1.1\r\nHost: a\r\n\r\n', '/x?a=%2f..//%zz?b'),
    'a semicolon': (b'GET /x;a=b/c HTTP/1.1\r\nHost: a\r\n\r\n', '/x;a=b/c'),
    'a host with a port': (b'GET /x HTTP/1.1\r\nHost: a:8080\r\n\r\n', '/x'),
    'a host that is an address': (b'GET /x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n', '/x'),
    'a method of tomorrow': (b'BREW /x HTTP/1.1\r\nHost: a\r\n\r\n', '/x'),
    'exactly 8 KiB of request line': (b'GET /' + b'a' * (8192 - 16) + b' HTTP/1.1\r\nHost: a\r\n\r\n',
                                      '/' + 'a' * (8192 - 16)),
    'exactly 100 fields': (b'GET /x HTTP/1.1\r\nHost: a\r\n' + b'X: y\r\n' * 99 + b'\r\n', '/x'),
}


class Gate(EndToEnd):
    def refused(self, statuses, data):
        client = self.client()
        client.send(data)
        answered = client.answer()
        self.assertIn(answered.status, statuses)
        self.assertIn('application/problem+json', answered.get('Content-Type', ''))
        self.assertEqual('close', answered.get('Connection', '').lower())
        self.assertTrue(client.ends(), 'the connection stayed open')

    def test_what_is_malformed_is_refused_before_the_backend_hears_of_it(self):
        self.serve()
        for name, (statuses, data) in REFUSED.items():
            with self.subTest(name):
                self.refused(statuses, data)
        self.assertEqual([], self.backend.requests)
        self.assertEqual(0, self.backend.connections)

    def test_the_same_holds_for_a_job_and_nothing_is_stored(self):
        self.serve(routes=[route('/*')])
        before = self.store_files()
        for name, (statuses, data) in REFUSED.items():
            with self.subTest(name):
                self.refused(statuses, data)
        self.assertEqual(before, self.store_files())
        self.assertEqual(0, self.backend.connections)

    def test_malformed_chunks_never_make_a_job(self):
        self.serve(routes=[route('/*')])
        for name, body in BAD_CHUNKS.items():
            with self.subTest(name):
                self.refused((400, 413, 431), HEAD + CHUNKED + b'\r\n' + body + SMUGGLED)
        self.assertEqual(0, self.backend.connections)

    def test_malformed_chunks_never_make_a_whole_call(self):
        self.serve()
        for name, body in BAD_CHUNKS.items():
            with self.subTest(name):
                self.refused((400, 413, 431), HEAD + CHUNKED + b'\r\n' + body + SMUGGLED)
        wait_until(lambda: self.backend.in_flight == 0, 'the end of the calls')
        self.assertEqual([], self.backend.requests)

    def test_what_is_lawful_arrives_normalised(self):
        self.serve()
        for name, (data, target) in TAKEN.items():
            with self.subTest(name):
                client = self.client()
                client.send(data)
                self.assertEqual(200, client.answer().status)
                self.assertEqual(target, self.backend.seen()[-1].target)

    def test_the_authority_of_an_absolute_target_is_what_the_backend_hears(self):
        self.serve()
        client = self.client()
        client.send(TAKEN['an absolute target beats Host'][0])
        client.answer()
        self.assertEqual('good', self.backend.seen()[-1].get('X-Forwarded-Host'))

    def test_routes_cannot_be_dodged_by_spelling(self):
        self.serve(routes=[route('/reports/*')])
        for spelled in ('/reports/1', '/%72eports/1', '//reports/1', '/x/../reports/1', '/./reports//1',
                        '/reports/%31', 'http://raincheck.test/reports/1', '/reports', '/reports/'):
            with self.subTest(spelled):
                self.assertEqual(202, self.request('POST', spelled, (), b'').status)
        for other in ('/reportsx', '/REPORTS/1', '/x/reports/1'):
            with self.subTest(other):
                self.assertEqual(200, self.request('POST', other, (), b'').status)

    def test_fields_spelled_with_underscores_never_reach_the_backend(self):
        self.serve()
        self.request('GET', '/x', {'X_Forwarded_For': '6.6.6.6', 'Content_Length': '9'})
        call = self.backend.seen()[-1]
        self.assertEqual(([], []), (call.all('X_Forwarded_For'), call.all('Content_Length')))

    def test_trailers_never_become_fields_of_a_job(self):
        self.serve(routes=[route('/*')])
        client = self.client()
        client.send(HEAD + CHUNKED + b'Trailer: Authorization\r\n\r\n1\r\na\r\n0\r\nAuthorization: x\r\nContent-Length: 5\r\n\r\n')
        self.assertEqual(202, client.answer('POST').status)
        wait_until(lambda: self.backend.seen('/x'), 'the call')
        call = self.backend.seen('/x')[-1]
        self.assertEqual((b'a', [], ['1']), (call.body, call.all('Authorization'), call.all('Content-Length')))

    def test_options_of_the_server_as_a_whole_are_answered(self):
        self.serve()
        client = self.client()
        client.send(b'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')
        self.assertIn(client.answer('OPTIONS').status, (200, 204))

    def test_one_empty_line_before_a_request_does_no_harm(self):
        self.serve()
        client = self.client()
        client.send(b'\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n')
        self.assertIn(client.answer().status, (200, 400))

    def test_connections_beyond_their_limit_get_503_and_those_within_go_on(self):
        self.check_limit('connections')

    def test_connections_of_one_client_have_a_limit_of_their_own(self):
        self.check_limit('connections_per_client')

    def check_limit(self, limit):
        self.serve(listeners=[{'address': '127.0.0.1:0', 'limits': {limit: 3}}])
        clients = [self.client() for _ in range(3)]
        for client in clients:
            self.assertEqual(200, client.request('GET', '/x').status)
        beyond = self.client()
        self.assertEqual(503, beyond.answer().status)
        self.assertTrue(beyond.ends())
        self.assertEqual(200, clients[0].request('GET', '/x').status)
        clients[0].close()
        wait_until(lambda: self.client().request('GET', '/x').status == 200, 'a place')

    def test_a_request_that_arrives_byte_by_byte_is_one_request(self):
        self.serve()
        client = self.client()
        for byte in b'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n':
            client.send(bytes([byte]))
        self.assertEqual(b'abc', client.answer('POST').body)

    def test_many_odd_clients_at_once_do_not_disturb_an_ordinary_one(self):
        self.serve(upstream={'max_concurrency': 1000})
        odd = [self.client() for _ in range(300)]
        for client in odd[:150]:
            client.send(b'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab')
        for _ in range(20):
            self.assertEqual(200, self.request('GET', '/ordinary').status)
        for client in odd:
            client.reset()
        self.assertEqual(200, self.request('GET', '/ordinary').status)
        self.assertEqual(0, self.backend.count('/x'))
