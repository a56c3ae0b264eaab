"""TLS of listeners: who we are, whom we let in, and what backends learn of it."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import unittest

from authority import RSA, Authority
from harness import EndToEnd, Job, route, words_of
from monitoring import Metrics, ask
from program import binary, is_sanitized, run
from secure import SecureClient, client_context
from wire import Client, request_bytes, wait_until

MIB = 1 << 20
# A day later as soon as there is a file.
CLOCK = r'''
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
  const int result = syscall(SYS_clock_gettime, clock, now);
  if (access(LATER, F_OK) == 0) now->tv_sec += 86400;
  return result;
}
'''
NAMES = ('subject', 'issuer', 'serial', 'fingerprint', 'san')


class SecureJob(Job):
    """A job whose client asks over TLS."""

    def __init__(self, test, accepted):
        super().__init__(test.proxy, accepted)
        self.test = test

    def poll(self, fields=(), query='', timeout=20):
        return self.test.ask('GET', self.url + query, fields)

    def result(self, method='GET', fields=(), timeout=20):
        return self.test.ask(method, self.result_url, fields)


class SecureListener(EndToEnd):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder)
        self.certificate = self.authority.issue('api.example.com')
        self.context = client_context(self.authority.cert_file)

    def serve_tls(self, tls=(), listener=(), certificates=None, **options):
        certificates = [each.files for each in certificates or [self.certificate]]
        tls = {'certificates': certificates, **dict(tls)}
        return self.serve(listeners=[{'address': '127.0.0.1:0', 'tls': tls, **dict(listener)}], **options)

    def connect(self, context=None, **options):
        client = SecureClient(self.proxy.port, context or self.context, **options)
        self.addCleanup(client.close)
        return client

    def ask(self, method, target, fields=(), body=None, context=None):
        with SecureClient(self.proxy.port, context or self.context, timeout=60) as client:
            return client.request(method, target, fields, body)

    def submit_tls(self, body=b'data', fields=(), context=None):
        accepted = self.ask('POST', '/reports/1', fields, body, context)
        self.assertEqual(202, accepted.status, accepted.body)
        return SecureJob(self, accepted)

    def assert_refused(self, words, context=None, **options):
        """In TLS 1.3 a client hears of it only with the first answer."""
        with self.assertRaises((ssl.SSLError, ConnectionResetError)) as caught:
            self.connect(context, **options).request('GET', '/x')
        self.assertRegex(str(caught.exception), words)


    def serve_monitored(self, *arguments, **options):
        self.monitoring = os.path.join(self.folder, 'monitoring.sock')
        return self.serve_tls(*arguments, monitoring={'address': f'unix:{self.monitoring}'}, **options)

    def metrics(self):
        return Metrics(ask(self.monitoring, 'GET', '/metrics')[2])

    def wait_for_failures(self, **reasons):
        """Of handshakes, these many and no others."""
        self.assertLessEqual(set(reasons), words_of('metrics.md', '## Handshakes'))
        name = 'raincheck_tls_handshake_failures_total'

        def told():
            return {dict(labels)['reason']: count for (of, labels), count in self.metrics().samples.items()
                    if of == name}
        wait_until(lambda: told() == reasons, lambda: f'{told()}, not {reasons}\n{self.proxy.log()}')


class Serving(SecureListener):
    def test_a_job_from_its_submission_to_its_result(self):
        self.serve_tls(routes=[route(request_headers={'set': {'X-Url': '${request.url}'}},
                                     response_headers={'set': {'X-Scheme': '${request.scheme}'}})])
        job = self.submit_tls().wait()
        self.assertEqual((200, b'data'), (job.result().status, job.result().body))
        self.assertEqual('https', job.result().get('X-Scheme'))
        call = self.backend.seen('/reports/1')[0]
        self.assertEqual('https', call.get('X-Forwarded-Proto'))
        self.assertEqual('https://raincheck.test/reports/1', call.get('X-Url'))
        self.proxy.stop()
        versions = {line.get('tls_version') for line in self.proxy.access_log() if line['event'] == 'exchange'}
        self.assertEqual({'TLSv1.3'}, versions)

    def test_certificates_are_chosen_by_the_name_that_is_asked_for(self):
        others = [self.authority.issue('*.example.org', 'DNS:*.example.org,DNS:example.org'),
                  self.authority.issue('only.example.net')]
        self.serve_tls(certificates=[self.certificate, *others])
        self.context.check_hostname = False
        for asked, shown in (('api.example.com', 'api.example.com'), ('a.example.org', '*.example.org'),
                             ('EXAMPLE.org', '*.example.org'), ('only.example.net', 'only.example.net'),
                             ('a.b.example.org', 'api.example.com'), ('unknown.example', 'api.example.com'),
                             (None, 'api.example.com')):
            with self.subTest(asked=asked):
                client = self.connect(name=asked)
                names = [name for _, name in client.sock.getpeercert()['subjectAltName']]
                self.assertIn(shown, names)
                self.assertEqual(200, client.request('GET', '/x').status)

    def test_a_certificate_of_each_kind_for_one_name(self):
        """Each client is shown the one that it can verify; another name's is not touched by that."""
        names = ('DNS:api.example.com', 'DNS:b.example.com')
        ecdsa = self.authority.issue('api.example.com', ','.join(names))
        rsa = self.authority.issue('api.example.com', ','.join(reversed(names)), key=RSA)
        self.serve_tls(certificates=[ecdsa, rsa, self.authority.issue('other.example.com', key=RSA)])
        kinds = {}
        for cipher in ('ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'):
            context = client_context(self.authority.cert_file)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(cipher)
            kinds[cipher] = self.connect(context).sock.getpeercert(binary_form=True)
        for cipher, certificate in zip(kinds, (ecdsa, rsa)):
            with open(certificate.cert_file, encoding='ascii') as file:
                self.assertEqual(ssl.PEM_cert_to_DER_cert(file.read()), kinds[cipher], cipher)
        self.assertEqual(200, self.ask('GET', '/x').status)

    def test_the_only_protocol_is_http_1_1(self):
        self.serve_tls()
        both = client_context(self.authority.cert_file, protocols=['h2', 'http/1.1'])
        self.assertEqual('http/1.1', self.connect(both).sock.selected_alpn_protocol())
        self.assertIsNone(self.connect().sock.selected_alpn_protocol())
        self.assert_refused('NO_APPLICATION_PROTOCOL|no application protocol',
                            client_context(self.authority.cert_file, protocols=['h2']))

    def test_versions(self):
        self.serve_tls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.connect(client_context(self.authority.cert_file, versions=version))
            self.assertEqual(200, client.request('GET', '/x').status)
            self.assertIsNone(client.sock.compression())
        self.proxy.stop()
        config = self.config()
        config['listeners'][0]['tls'] = {'certificates': [self.certificate.files], 'min_version': '1.3'}
        self.proxy.configure(config)
        self.proxy.start()
        self.assert_refused('PROTOCOL_VERSION|protocol version',
                            client_context(self.authority.cert_file, versions=ssl.TLSVersion.TLSv1_2))
        self.assertEqual('TLSv1.3', self.connect().sock.version())

    def test_sessions_are_resumed_on_any_shard(self):
        self.serve_tls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(self.authority.cert_file, versions=version)
            first = self.connect(context)
            self.assertEqual(200, first.request('GET', '/x').status)
            session = first.sock.session
            self.assertTrue(session.has_ticket)
            for _ in range(8):
                client = self.connect(context, session=session)
                self.assertTrue(client.sock.session_reused, version)
                self.assertEqual(200, client.request('GET', '/x').status)

    def test_an_answer_is_one_record(self):
        self.serve_tls()
        self.backend.on('/x', lambda exchange: exchange.reply(200, b'x' * 1000))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_hostname='api.example.com')
        with socket.create_connection(('127.0.0.1', self.proxy.port), 20) as sock:
            received = b''

            def pump(call):
                nonlocal received
                while True:
                    try:
                        result = call()
                        sock.sendall(outgoing.read())
                        return result
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        data = sock.recv(1 << 16)
                        received += data
                        incoming.write(data)
            pump(tls.do_handshake)
            for _ in range(2):
                received = b''
                pump(lambda: tls.write(request_bytes('GET', '/x')))
                answer = pump(lambda: tls.read(1 << 16))
            self.assertIn(b'x' * 1000, answer)
            records = 0
            while received:
                records += 1
                received = received[5 + int.from_bytes(received[3:5], 'big'):]
            self.assertEqual(1, records)

    def test_large_bodies_both_ways(self):
        size = 64 * MIB
        self.serve_tls(routes=[route(limits={'body': '1GiB'})])
        block = os.urandom(MIB)
        self.backend.on('/reports/1', lambda exchange: [
            exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % size),
            *(exchange.send(block) for _ in range(size // MIB))])
        client = self.connect(timeout=120)
        client.send(request_bytes('POST', '/reports/1', {'Content-Length': str(size)}))
        for _ in range(size // MIB):
            client.send(block)
        accepted = client.answer('POST')
        self.assertEqual(202, accepted.status)
        job = SecureJob(self, accepted).wait(120)
        result = job.result()
        call = self.backend.seen('/reports/1')[0]
        self.assertEqual((size, size), (call.length, result.length))
        self.assertEqual(call.digest, result.digest)

    def test_an_end_is_said_and_a_cut_is_not(self):
        self.serve_tls()
        client = self.connect()
        client.request('GET', '/x', {'Connection': 'close'})
        self.assertEqual(0, client.fill())  # close_notify, or it would raise
        # A body that the backend cuts short, for a client to whom its end would be that of the connection.
        self.backend.on('/cut', lambda exchange: [
            exchange.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'), exchange.close()])
        client = self.connect()
        client.send(b'GET /cut HTTP/1.0\r\nHost: a\r\n\r\n')
        with self.assertRaises((ssl.SSLEOFError, ConnectionResetError)):
            for _ in client.rest():
                pass

    def test_an_idle_connection_ends_with_a_close_notify(self):
        self.serve_tls(listener={'timeouts': {'idle': '200ms'}})
        client = self.connect()
        self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual(0, client.fill())

    def test_a_handshake_has_to_be_made_in_time(self):
        self.serve_tls(listener={'timeouts': {'header': '300ms'}}, log={'level': 'debug'})
        for begin in (b'', b'\x16\x03\x01\x02\x00\x01'):
            client = self.client()
            client.send(begin)
            self.assertTrue(client.ends())
        wait_until(lambda: 'its TLS handshake took too long' in self.proxy.log(), self.proxy.log)

    def test_a_handshake_in_pieces(self):
        self.serve_tls()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_hostname='api.example.com')
        with socket.create_connection(('127.0.0.1', self.proxy.port), 20) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        sock.sendall(bytes([byte]))
                    incoming.write(sock.recv(1 << 16))
            tls.write(request_bytes('GET', '/x', {'Connection': 'close'}))
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))
            data = b''
            while piece := sock.recv(1 << 16):
                data += piece
            incoming.write(data)
            self.assertTrue(tls.read(1 << 16).startswith(b'HTTP/1.1 200'))

    def test_plain_http_is_answered_in_words(self):
        self.serve_tls()
        for method, body in (('GET', None), ('DELETE', None), ('POST', b'x' * 100_000)):
            with Client(self.proxy.port) as client:
                refused = client.request(method, '/reports/1', (), body)
                self.assert_problem(refused, 400, 'tls_required')
                self.assertTrue(client.ends())
        self.assertEqual(0, self.backend.count())

    def test_a_proxy_header_comes_before_the_handshake(self):
        self.serve_tls(listener={'proxy_protocol': 'v1'}, trusted_proxies=['127.0.0.0/8'])
        client = self.connect(before=b'PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n')
        self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual('192.0.2.1', self.backend.seen('/x')[0].get('X-Forwarded-For'))

    @unittest.skipUnless(shutil.which('testssl'), 'testssl.sh is not installed')
    def test_testssl_finds_nothing(self):
        self.serve_tls()
        report = os.path.join(self.folder, 'testssl.json')
        subprocess.run(['testssl', '--quiet', '--warnings', 'batch', '--color', '0', '--ip', '127.0.0.1', '--protocols',
                        '--std', '--fs', '--vulnerable', '--jsonfile', report,
                        f'localhost:{self.proxy.port}'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=540, check=False)
        with open(report, encoding='utf-8') as file:
            findings = json.load(file)
        self.assertGreater(len(findings), 30)
        worse = [(f['id'], f['severity'], f['finding']) for f in findings
                 if f['severity'] not in ('OK', 'INFO', 'DEBUG') and f['id'] != 'engine_problem']  # testssl's own
        self.assertEqual([], worse)


class ClientAuth(SecureListener):
    def setUp(self):
        super().setUp()
        self.clients = Authority(self.folder, 'clients')
        self.good = self.clients.issue('ada', 'DNS:ada.example,URI:spiffe://example/ada', '/O=Ex, Inc./CN=Ada')
        self.revoked = self.clients.issue('bob')
        self.stranger = self.authority.issue('stranger')
        self.crl = self.clients.revoke(self.revoked)

    def serve_auth(self, client_auth, **options):
        headers = {f'X-Cert-{name}': '${client.certificate.%s:-none}' % name for name in NAMES}
        tls = {'client_auth': client_auth, 'client_ca_file': self.clients.cert_file, 'crl_file': self.crl}
        self.serve_monitored(tls, routes=[route('/plain/*', mode='never', request_headers={'set': headers}),
                                          route('/bare/*', mode='never'),
                                          route(request_headers={'set': headers},
                                                idempotency_key={'header': 'Idempotency-Key'})], **options)

    def as_client(self, certificate):
        return client_context(self.authority.cert_file, certificate)

    def test_who_has_no_valid_certificate_is_refused(self):
        self.serve_auth('require')
        self.assertEqual(200, self.ask('GET', '/plain/x', context=self.as_client(self.good)).status)
        self.assert_refused('(?i)certificate.required')
        self.assert_refused('(?i)certificate.revoked', self.as_client(self.revoked))
        self.assert_refused('(?i)unknown.ca', self.as_client(self.stranger))
        old = client_context(self.authority.cert_file, versions=ssl.TLSVersion.TLSv1_2)
        self.assert_refused('(?i)handshake.failure|certificate.required', old)

    def refusals(self):
        return re.findall(r'warning listener (\S+): a client at 127\.0\.0\.1 is refused \((\w+)\): (.*)',
                          self.proxy.log())

    def test_who_is_refused_is_counted_and_told_of(self):
        late = self.clients.expired('late')
        self.serve_auth('require', listener={'name': 'door'})
        self.wait_for_failures()
        for context, words in ((self.context, 'required'), (self.as_client(self.revoked), 'revoked'),
                               (self.as_client(late), 'expired'), (self.as_client(self.stranger), 'ca')):
            self.assert_refused(f'(?i){words}', context)
        self.wait_for_failures(client_certificate_missing=1, client_certificate_revoked=1,
                               client_certificate_expired=1, client_certificate_unknown=1)
        name = 'raincheck_tls_handshake_failures_total'
        self.assertEqual(4, self.metrics().get(name, listener='door'))
        self.assertEqual({('door', 'client_certificate_missing', 'it has shown no certificate'),
                          ('door', 'client_certificate_revoked', 'its certificate was revoked'),
                          ('door', 'client_certificate_expired', 'its certificate has expired'),
                          ('door', 'client_certificate_unknown',
                           'its certificate is of no known CA: self-signed certificate in certificate chain')},
                         set(self.refusals()))

    def test_a_list_that_has_run_out_is_told_of_with_its_file(self):
        self.crl = self.clients.run_out()
        self.serve_auth('require')
        for _ in range(20):
            self.assert_refused('(?i)certificate', self.as_client(self.good))
        self.wait_for_failures(crl_expired=20)
        told = self.refusals()
        self.assertEqual({('crl_expired', f"the CRL of its CA has run out: renew '{self.crl}'")},
                         {each[1:] for each in told})
        self.assertLessEqual(len(told), os.cpu_count())  # each shard limits its own

    def test_who_does_not_come_for_tls_is_counted_and_fills_no_log(self):
        self.serve_auth('require', listener={'timeouts': {'header': '2s'}})
        hello = b'\x16\x03\x01\x02\x00\x01'
        for _ in range(5):
            for begin in (b'', hello, b'\0' * 100):
                client = self.client()
                client.send(begin)
                client.close()
        self.wait_for_failures(closed=5, protocol=5)
        client = self.client()
        client.send(hello)
        self.assertTrue(client.ends())
        with self.assertRaises(ssl.SSLError):
            self.connect(client_context(self.clients.cert_file, self.good))  # which does not believe us
        self.wait_for_failures(closed=5, protocol=5, timeout=1, server_certificate_refused=1)
        self.assertNotIn('warning', self.proxy.log())

    def test_a_resumed_session_has_its_certificate_still(self):
        self.serve_auth('require')
        context = self.as_client(self.good)
        first = self.connect(context)
        first.request('GET', '/plain/x')
        again = self.connect(context, session=first.sock.session)
        self.assertTrue(again.sock.session_reused)
        self.assertEqual(200, again.request('GET', '/plain/y').status)
        self.assertEqual('CN=Ada,O=Ex\\, Inc.', self.backend.seen('/plain/y')[0].get('X-Cert-subject'))

    def test_a_reload_holds_for_connections_that_are_open(self):
        self.serve_auth('optional')
        late = self.clients.issue('late')
        ada, revoked, nobody = (self.connect(context) for context in
                                (self.as_client(self.good), self.as_client(late), self.context))
        everybody = (ada, revoked, nobody)
        self.assertEqual([200] * 3, [each.request('GET', '/plain/x').status for each in everybody])
        self.clients.revoke(late)
        with open(self.proxy.config_path, encoding='utf-8') as file:
            config = file.read().replace('"client_auth": "optional"', '"client_auth": "require"')
        self.assertTrue(self.proxy.reload(config), self.proxy.log())
        for _ in range(2):
            self.assertEqual(200, ada.request('GET', '/plain/x').status)
        for each in (revoked, nobody):
            refused = each.request('GET', '/plain/x')
            self.assert_problem(refused, 403, 'certificate_refused')
            self.assertEqual('close', refused.get('Connection'))

    def test_a_reload_that_brings_tls_holds_for_connections_that_are_open(self):
        self.serve()
        client = self.client()
        self.assertEqual(200, client.request('GET', '/plain/x').status)
        listener = {'address': '127.0.0.1:0', 'tls': {'certificates': [self.certificate.files]}}
        self.assertTrue(self.proxy.reload(self.config(listeners=[listener])), self.proxy.log())
        self.assert_problem(client.request('GET', '/plain/x'), 400, 'tls_required')
        self.assertEqual(200, self.ask('GET', '/plain/x').status)

    def test_what_is_told_of_the_certificate(self):
        self.serve_auth('optional')
        forged = {'X-Cert-subject': 'CN=Eve', 'client_certificate_subject': 'CN=Eve', 'X-Cert-San': 'DNS:eve'}
        with open(self.good.cert_file, encoding='utf-8') as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        import hashlib  # pylint: disable=import-outside-toplevel
        told = {'subject': 'CN=Ada,O=Ex\\, Inc.', 'issuer': 'CN=clients', 'serial': '1A2B',
                'fingerprint': hashlib.sha256(der).hexdigest(), 'san': 'DNS:ada.example,URI:spiffe://example/ada'}
        self.ask('GET', '/plain/x', forged, context=self.as_client(self.good))
        self.submit_tls(fields=forged, context=self.as_client(self.good)).wait()
        self.ask('GET', '/plain/none', forged)
        self.ask('GET', '/bare/x', context=self.as_client(self.good))
        for target in ('/plain/x', '/reports/1'):
            call = self.backend.seen(target)[0]
            self.assertEqual(told, {name: call.get(f'X-Cert-{name}') for name in NAMES})
        nobody = self.backend.seen('/plain/none')[0]
        self.assertEqual({'none'}, {nobody.get(f'X-Cert-{name}') for name in NAMES})
        for call in self.backend.seen():
            self.assertNotIn(b'client_certificate', call.raw.lower())

    def test_keys_belong_to_certificates(self):
        self.crl = self.clients.revoke()
        other = self.clients.issue('eve')
        self.serve_auth('require')
        key = {'Idempotency-Key': 'k1'}
        first = self.submit_tls(fields=key, context=self.as_client(self.good))
        self.assertEqual(first.id, self.submit_tls(fields=key, context=self.as_client(self.good)).id)
        self.assertNotEqual(first.id, self.submit_tls(fields=key, context=self.as_client(other)).id)


class Mistakes(SecureListener):
    """What is wrong with certificates is told when the configuration is read."""

    def check(self, tls, **sections):
        config = self.config(listeners=[{'address': '127.0.0.1:0', 'tls': tls}], **sections)
        path = os.path.join(self.folder, 'checked.yaml')
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(config, file, indent=1)
        return run('check', path)

    def test_files_that_cannot_be_used(self):
        other = self.authority.issue('other.example')
        empty = self.authority.write('empty.pem', '')
        good = self.certificate.files
        asks = {'certificates': [good], 'client_auth': 'require'}
        for tls, words in (
                ({'certificates': [{**good, 'cert_file': '/nowhere.pem'}]},
                 "listeners[0].tls.certificates[0].cert_file: cannot read '/nowhere.pem'"),
                ({'certificates': [good, {**good, 'key_file': other.key_file}]},
                 f"certificates[1].key_file: the key in '{other.key_file}' is not that of the certificate in"),
                ({'certificates': [{**good, 'cert_file': good['key_file']}]}, 'holds no certificate in PEM'),
                ({'certificates': [{**good, 'key_file': empty}]}, 'holds no private key in PEM'),
                ({**asks, 'client_ca_file': empty},
                 f"listeners[0].tls.client_ca_file: '{empty}' holds no certificate in PEM"),
                ({**asks, 'client_ca_file': self.authority.cert_file, 'crl_file': empty}, 'holds no CRL in PEM'),
                (asks, 'listeners[0].tls.client_auth: needs a client_ca_file'),
                ({'certificates': [good], 'client_ca_file': empty}, "means nothing with 'client_auth: none'"),
                ({}, 'listeners[0].tls.certificates: is required')):
            with self.subTest(words=words):
                checked = self.check(tls)
                self.assertEqual(78, checked.returncode)
                self.assertRegex(checked.stderr, r'checked\.yaml:\d+:\d+: error: ')
                self.assertIn(words, checked.stderr)

    def test_what_expires_is_a_warning(self):
        for certificate, words in ((self.authority.expired('old.example'), 'has expired: it was valid until'),
                                   (self.authority.issue('soon.example', dates=('-days', '3')), 'expires soon: ')):
            checked = self.check({'certificates': [certificate.files]})
            self.assertEqual(0, checked.returncode)
            self.assertRegex(checked.stderr, r'checked\.yaml:\d+:\d+: warning: listeners\[0\]\.tls\.certificates')
            self.assertIn(words, checked.stderr)
            self.assertEqual('', self.check({'certificates': [self.certificate.files]}).stderr)
        self.serve_tls(certificates=[self.authority.issue('soon.example', dates=('-days', '3'))])
        self.assertRegex(self.proxy.log(), r"the certificate in '\S+soon\.example\.pem' expires ")

    def test_a_list_that_has_to_be_renewed_is_a_warning(self):
        tls = {'certificates': [self.certificate.files], 'client_auth': 'require',
               'client_ca_file': self.authority.cert_file}
        for make, checked, logged in (
                (self.authority.run_out, 'should have been renewed by Fri, 01 Jan 2021', 'has expired Fri, 01 Jan 2021'),
                (lambda: self.authority.revoke(dates=('-crlhours', '23')), 'has to be renewed by', 'expires ')):
            crl = make()
            self.assertIn(f"warning: listeners[0].tls.crl_file: '{crl}' {checked}",
                          self.check({**tls, 'crl_file': crl}).stderr)
            if not self.proxy:
                self.serve_tls({**tls, 'crl_file': crl})
            else:
                self.assertTrue(self.proxy.reload())
            self.assertIn(f"the CRL in '{crl}' {logged}", self.proxy.log())
        self.assertEqual('', self.check({**tls, 'crl_file': self.authority.revoke()}).stderr)

    def test_when_files_expire_is_told_once_for_each(self):
        client_auth = {'client_auth': 'require', 'client_ca_file': self.authority.cert_file,
                       'crl_file': os.path.join(self.authority.folder, '..', 'authority', 'crl.pem')}
        self.authority.run_out()
        self.serve_monitored(client_auth)
        same = {name: path.replace('/authority/', '/./authority/../authority/')
                for name, path in self.certificate.files.items()}
        listeners = [{'address': '127.0.0.1:0', 'name': name, 'tls': {'certificates': [files], **client_auth}}
                     for name, files in (('a', self.certificate.files), ('b', same))]
        self.assertTrue(self.proxy.reload(self.config(
            listeners=listeners, monitoring={'address': f'unix:{self.monitoring}'})), self.proxy.log())
        told = {name: (dict(labels), value) for (name, labels), value in self.metrics().samples.items()
                if name.startswith('raincheck_tls_') and name.endswith('_timestamp_seconds')}
        name = 'raincheck_tls_certificate_not_after_timestamp_seconds'
        self.assertEqual({'cert': self.certificate.cert_file}, told[name][0])
        self.assertEqual(({'crl': os.path.join(self.authority.folder, 'crl.pem')}, 1609459200),
                         told['raincheck_tls_crl_next_update_timestamp_seconds'])
        self.assertEqual(1, self.metrics().text.count(name + '{'))

    def test_what_expires_is_told_again_each_day(self):
        """The process is made to believe that a day has passed."""
        later, skip = os.path.join(self.folder, 'later'), os.path.join(self.folder, 'skip.so')
        compiler = shutil.which('cc')
        if not compiler or is_sanitized(binary()):
            self.skipTest('its clock cannot be set forward')
        subprocess.run([compiler, '-shared', '-fPIC', '-x', 'c', '-o', skip, '-'], check=True, text=True,
                       input=CLOCK.replace('LATER', json.dumps(later)))
        self.serve_tls(certificates=[self.authority.issue('soon.example', dates=('-days', '3'))],
                       environment={'LD_PRELOAD': skip})

        def told():
            return len(re.findall(r"the certificate in '\S+' expires ", self.proxy.log()))
        self.assertEqual(1, told())
        with open(later, 'w', encoding='ascii'):
            pass
        wait_until(lambda: told() == 2, self.proxy.log)


class Concurrency(SecureListener):
    def test_many_handshakes_at_once(self):
        self.serve_tls()
        failures = []

        def work():
            try:
                for _ in range(10):
                    with SecureClient(self.proxy.port, self.context) as client:
                        for _ in range(3):
                            self.assertEqual(200, client.request('POST', '/x', (), b'y' * 5000).status)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
