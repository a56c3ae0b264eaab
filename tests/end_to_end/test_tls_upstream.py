"""TLS to backends: whom we believe, what we say when we do not, and where a body really ends."""
import os
import socket
import ssl

from authority import Authority
from harness import EndToEnd, route
from secure import SecureBackend, SecureClient, client_context
from wire import Client, request_bytes, wait_until

MIB = 1 << 20


class SecureUpstream(EndToEnd):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder)
        self.certificate = self.authority.issue('localhost')

    def backend_as(self, certificate=None, **options):
        """The backend from now on."""
        self.backend.stop()
        self.backend = SecureBackend(certificate or self.certificate, **options)
        self.addCleanup(self.backend.stop)
        return self.backend

    def serve_upstream(self, tls=None, upstream=None, **options):
        tls = {'ca_file': self.authority.cert_file} if tls is None else tls
        return self.serve(upstream={'tls': tls, **(upstream or {})}, **options)

    def serve_again(self, *arguments, **options):
        """The same program with other settings."""
        self.proxy.stop()
        self.proxy.configure(self.config(*arguments, **options))
        self.proxy.start()

    def attempts(self):
        return [line for line in self.proxy.access_log() if line['event'] == 'attempt']


class Calls(SecureUpstream):
    def test_jobs_and_plain_calls(self):
        self.backend_as()
        self.serve_upstream()
        result = self.result_of(body=b'hello')
        self.assertEqual((200, b'hello'), (result.status, result.body))
        self.assertEqual(200, self.request('POST', '/x', (), b'y' * 100_000).status)
        call = self.backend.seen('/x')[0]
        self.assertEqual(f'localhost:{self.backend.port}', call.get('Host'))
        self.assertEqual((100_000, 'http'), (call.length, call.get('X-Forwarded-Proto')))
        self.assertEqual({'localhost'}, set(self.backend.names))
        # One connection was kept, and the tickets that came over it are no reason to give it up.
        self.assertEqual(200, self.request('GET', '/y').status)
        self.assertLessEqual(len(self.backend.handshakes), 2 * os.cpu_count())

    def test_a_kept_connection_is_used_again(self):
        self.backend_as()
        self.serve_upstream()
        with Client(self.proxy.port) as client:
            for _ in range(5):
                self.assertEqual(200, client.request('POST', '/x', (), b'z').status)
        self.assertEqual(1, len(self.backend.handshakes))

    def test_a_session_is_resumed(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.backend_as(versions=version)
            self.backend.on('/', lambda exchange: [exchange.reply(200, b'ok', {'Connection': 'close'}),
                                                   exchange.close()])
            if self.proxy:
                self.serve_again(upstream={'tls': {'ca_file': self.authority.cert_file}})
            else:
                self.serve_upstream()
            with Client(self.proxy.port) as client:  # one connection, so one shard
                for _ in range(3):
                    self.assertEqual(200, client.request('GET', '/x').status)
            self.assertEqual([False, True, True], [each.is_resumed for each in self.backend.handshakes])

    def test_large_bodies_both_ways(self):
        self.backend_as()
        self.serve_upstream(routes=[route(limits={'body': '1GiB'})], listeners=[
            {'address': '127.0.0.1:0', 'limits': {'body': '1GiB'}}])
        block = os.urandom(MIB)
        self.backend.on('/', lambda exchange: [
            exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % (64 * MIB)),
            *(exchange.send(block) for _ in range(64))])
        for target in ('/reports/1', '/plain'):
            client = self.client(timeout=120)
            client.send(request_bytes('POST', target, {'Content-Length': str(64 * MIB)}))
            for _ in range(64):
                client.send(block)
            answer = client.answer('POST')
            if target == '/reports/1':
                url = answer.get('Location')
                wait_until(lambda url=url: self.request('GET', url).status == 302, 'final', 120)
                answer = self.request('GET', url + '/result', timeout=120)
            self.assertEqual(64 * MIB, answer.length)
            self.assertEqual(answer.digest, self.backend.seen(target)[0].digest)

    def test_our_own_certificate(self):
        clients = Authority(self.folder, 'clients')
        ours = clients.issue('raincheck')
        self.backend_as(client_ca_file=clients.cert_file)
        self.serve_upstream({'ca_file': self.authority.cert_file, **ours.files})
        self.assertEqual(200, self.request('GET', '/x').status)
        self.assertIn((('commonName', 'raincheck'),), self.backend.handshakes[0].client['subject'])
        self.serve_again(upstream={'tls': {'ca_file': self.authority.cert_file}})
        self.assert_problem(self.request('POST', '/x', (), b'x'), 502, 'upstream_unreachable')
        self.proxy.stop()
        self.assertRegex(self.attempts()[-1]['error'], 'our certificate is refused: TLS failed: .*certificate required')

    def test_names_and_addresses(self):
        self.backend_as(self.authority.issue('reports.internal', 'DNS:reports.internal,IP:127.0.0.1'))
        self.serve_upstream({'ca_file': self.authority.cert_file, 'server_name': 'reports.internal'})
        self.assertEqual(200, self.request('GET', '/x').status)
        self.assertEqual(['reports.internal'], self.backend.names)
        self.backend.url = f'https://127.0.0.1:{self.backend.port}'
        self.serve_again(upstream={'tls': {'ca_file': self.authority.cert_file}})
        self.assertEqual(200, self.request('GET', '/x').status)
        self.assertEqual(['reports.internal', None], self.backend.names)

    def test_health_checks_and_authorization(self):
        self.backend_as()
        self.backend.on('/health', lambda exchange: [exchange.reply(200, b''), exchange.close()])
        self.backend.on('/check', lambda exchange: exchange.reply(200, b''))
        self.serve_upstream(
            upstream={'health_check': {'path': '/health', 'interval': '100ms', 'timeout': '90ms'}},
            routes=[route(authorize={'upstream': 'legacy', 'path': '/check'})])
        self.assertEqual(200, self.result_of().status)
        wait_until(lambda: self.backend.count('/health') > 1, 'checks')
        self.assertGreater(self.backend.count('/check'), 0)
        self.assertNotIn('is down', self.proxy.log())

    def test_an_authorization_service_by_its_url(self):
        service = SecureBackend(self.certificate)
        self.addCleanup(service.stop)
        service.on('/check', lambda exchange: exchange.reply(204))
        self.serve(routes=[route(authorize={'url': service.url + '/check'})],
                   environment={'SSL_CERT_FILE': self.authority.cert_file})
        self.assertEqual(200, self.result_of().status)
        self.proxy.environment = {}
        self.serve_again(routes=[route(authorize={'url': service.url + '/check'})])
        self.assertEqual(503, self.request('POST', '/reports/1', (), b'x').status)

    def test_a_tunnel_over_tls_on_both_sides(self):
        self.backend_as()

        def tunnel(exchange):
            exchange.send(b'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello')
            while data := exchange.wire.sock.recv(1 << 16):
                exchange.send(data.upper())
            exchange.wire.sock.unwrap()
            exchange.close()
        self.backend.on('/tunnel', tunnel)
        ours = self.authority.issue('api.example.com')
        self.serve_upstream(listeners=[{'address': '127.0.0.1:0', 'tls': {'certificates': [ours.files]}}])
        with SecureClient(self.proxy.port, client_context(self.authority.cert_file)) as client:
            client.send(request_bytes('GET', '/tunnel', {'Connection': 'Upgrade', 'Upgrade': 'echo'}))
            self.assertEqual(101, client.read_answer_head().status)
            sent, expected = os.urandom(MIB).hex().encode(), 5
            # Not from two threads at once: Python's TLS sockets do not stand that.
            for at in range(0, len(sent), 1 << 16):
                piece = sent[at:at + (1 << 16)]
                client.send(piece)
                expected += len(piece)
                while len(client.buffer) < expected:
                    self.assertTrue(client.fill())
            self.assertEqual(b'hello' + sent.upper(), bytes(client.buffer))
            plain = client.sock.unwrap()  # our close_notify, theirs comes back when the backend has ended
            plain.close()


class Refused(SecureUpstream):
    def call(self, words, certificate=None, tls=None, url=None):
        """A call fails as one that nothing was sent of, and the attempt says why."""
        self.backend_as(certificate)
        self.backend.url = url or self.backend.url
        self.serve_upstream(tls)
        self.assert_problem(self.request('POST', '/x', (), b'x'), 502, 'upstream_unreachable')
        self.assertEqual(0, self.backend.count())
        self.proxy.stop()
        self.assertIn(words, self.attempts()[-1]['error'])

    def test_expired(self):
        self.call('its certificate has expired', self.authority.expired('localhost'))

    def test_another_name(self):
        self.call('its certificate is not for this name', self.authority.issue('other.example'))

    def test_another_address(self):
        self.backend_as()
        self.backend.url = f'https://127.0.0.1:{self.backend.port}'
        self.serve_upstream()
        self.assertEqual(502, self.request('GET', '/x').status)
        self.proxy.stop()
        self.assertIn('its certificate is not for this name', self.attempts()[-1]['error'])

    def test_unknown_authority(self):
        self.call('its certificate is of no known CA', Authority(self.folder, 'others').issue('localhost'))

    def test_the_systems_authorities_are_the_default(self):
        self.call('its certificate is of no known CA', tls={})

    def test_a_server_without_tls(self):
        plain = self.backend
        plain.url = f'https://localhost:{plain.port}'
        self.serve_upstream()
        plain.errors = []
        self.assertEqual(502, self.request('GET', '/x').status)
        self.proxy.stop()
        self.assertRegex(self.attempts()[-1]['error'], 'does not speak TLS|ended within the TLS handshake')
        plain.errors = []

    def test_verification_can_be_given_up(self):
        self.backend_as(self.authority.expired('other.example'))
        self.serve_upstream({'verify': False})
        self.assertEqual(200, self.request('GET', '/x').status)
        self.assertIn('upstreams.legacy.tls.verify: whoever answers', self.proxy.log())

    def test_a_handshake_that_takes_too_long(self):
        with socket.create_server(('127.0.0.1', 0)) as silent:
            url = f'https://localhost:{silent.getsockname()[1]}'
            self.serve(upstream={'servers': [url], 'timeouts': {'connect': '300ms'}})
            self.assertEqual(502, self.request('GET', '/x').status)
            self.proxy.stop()
            self.assertIn('timeout in the TLS handshake', self.attempts()[-1]['error'])

    def test_a_job_is_called_when_the_certificate_is_good_again(self):
        self.backend_as(self.authority.expired('localhost'))
        self.serve_upstream(routes=[route(retry={'backoff': '10ms'})])
        job = self.submit()
        wait_until(lambda: self.backend.handshakes, 'a handshake')
        self.backend.context.load_cert_chain(self.certificate.cert_file, self.certificate.key_file)
        self.assertEqual(200, job.wait(30).result().status)
        self.assertEqual(1, self.backend.count())


class Ends(SecureUpstream):
    """A body that lasts until the connection ends is whole only if the backend says that it ends."""

    def setUp(self):
        super().setUp()
        self.backend_as()

    def answer(self, orderly):
        def script(exchange):
            exchange.send(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it')
            exchange.close()
            if orderly:
                try:
                    exchange.wire.sock.unwrap()
                except OSError:
                    pass
        return script

    def test_an_orderly_end_is_a_result(self):
        self.backend.on('/reports', self.answer(orderly=True))
        self.serve_upstream()
        self.assertEqual(b'all of it', self.result_of().body)

    def test_a_cut_is_none(self):
        self.backend.on('/', self.answer(orderly=False))
        self.serve_upstream()
        self.assertEqual('upstream_protocol_error', self.submit().ended())
        client = self.client()
        client.send(b'GET /plain HTTP/1.1\r\nHost: a\r\n\r\n')
        head = client.read_answer_head()
        self.assertEqual('chunked', head.get('Transfer-Encoding'))
        self.assertNotIn(b'\r\n0\r\n\r\n', b''.join(client.rest()))
        self.proxy.stop()
        self.assertIn('without close_notify', self.attempts()[0]['error'])
