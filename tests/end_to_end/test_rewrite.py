"""What a route changes in the heads of calls and answers, as backend and client see it."""
import os

from backend import Gate, answer
from harness import EndToEnd, route
from wire import wait_until


class Heads(EndToEnd):
    def serve_with(self, modes=('never', 'always'), environment=None, upstream=None, **rules):
        """The same rules on /plain/* and on /jobs/*."""
        routes = [route(f'/{mode}/*', mode=mode, **rules) for mode in modes]
        self.serve(routes=routes, environment=environment, upstream=upstream)

    def both(self, path, fields=(), method='POST'):
        """The answers of a plain call and of a job, and what the backend saw of each."""
        plain = self.request(method, '/never' + path, fields, b'data')
        job = self.submit('/always' + path, fields=fields, method=method).wait()
        return [plain, job.result()]

    def seen_last(self, count=2):
        return self.backend.seen()[-count:]


class Requests(Heads):
    def test_fields_are_renamed_removed_set_added_and_defaulted(self):
        self.serve_with(request_headers={
            'rename': {'X-Old': 'X-New'}, 'remove': ['Cookie', 'X-Debug-*'],
            'set': {'X-Customer': '${path.*}', 'X-Agent': '${header.User-Agent:-none}'},
            'add': {'X-Tag': 'proxied'}, 'default': {'X-Level': '1', 'X-Given': 'no'}})
        self.both('/ada', {'X-Old': 'o', 'Cookie': 'secret', 'X-Debug-Level': '9', 'X-Customer': 'forged',
                           'X-Tag': 'own', 'X-Given': 'yes'})
        for seen in self.seen_last():
            self.assertEqual(
                ('o', None, None, None, 'ada', 'none', '1', 'yes'),
                tuple(seen.get(n) for n in ('X-New', 'X-Old', 'Cookie', 'X-Debug-Level', 'X-Customer', 'X-Agent',
                                            'X-Level', 'X-Given')))
            self.assertEqual(['own', 'proxied'], seen.all('X-Tag'))

    def test_a_value_of_the_client_cannot_break_out_of_its_field(self):
        self.serve_with(request_headers={'set': {'X-Name': '${query.name:-none}'}})
        self.both('/x?name=a%0d%0aX-Injected:%20yes')
        for seen in self.seen_last():
            self.assertIsNone(seen.get('X-Injected'))
            self.assertIsNone(seen.get('X-Name'))

    def test_path_and_host_are_rewritten_and_mapped_back(self):
        self.serve_with(rewrite={'path': '/cgi-bin/${path.*}', 'host': 'reports.internal'})
        self.backend.on('/cgi-bin', lambda exchange: exchange.reply(
            201, b'made', {'Location': 'http://reports.internal/cgi-bin/made/7',
                           'Set-Cookie': 'a=b; Path=/cgi-bin'}))
        plain, result = self.both('/one?x=1')
        for seen in self.seen_last():
            self.assertEqual(('/cgi-bin/one?x=1', 'reports.internal'), (seen.target, seen.get('Host')))
        # The result of a job is collected under another URL, and says the same.
        self.assertEqual(('/never/made/7', '/always/made/7'), (plain.get('Location'), result.get('Location')))

    def test_credentials_are_read_at_each_attempt_and_never_stored(self):
        folder = os.path.join(self.folder, 'credentials')
        os.mkdir(folder)
        token = os.path.join(folder, 'token')
        with open(token, 'w', encoding='ascii') as file:
            file.write('first-secret\n')
        gate = Gate()
        self.serve_with(environment={'CREDENTIALS_DIRECTORY': folder}, upstream={'max_concurrency': 1},
                        request_headers={'set': {'Authorization': 'Bearer ${credential:token}'}})
        self.backend.on('/always/gate', gate)
        first = self.submit('/always/gate')
        self.wait_for_calls(gate)
        second = self.submit('/always/second')
        with open(token, 'w', encoding='ascii') as file:
            file.write('second-secret\n')
        gate.open()
        second.wait()
        first.wait()
        given = [seen.get('Authorization') for seen in self.backend.seen('/always')]
        self.assertEqual(['Bearer first-secret', 'Bearer second-secret'], given)
        self.proxy.stop()
        for path in self.store_files():
            with open(os.path.join(self.folder, 'store', path), 'rb') as file:
                self.assertNotIn(b'-secret', file.read(), path)

    def test_a_credential_that_cannot_be_read_refuses_new_calls_and_holds_jobs(self):
        folder = os.path.join(self.folder, 'credentials')
        os.mkdir(folder)
        token = os.path.join(folder, 'token')
        with open(token, 'w', encoding='ascii') as file:
            file.write('here')
        gate = Gate()
        self.serve_with(environment={'CREDENTIALS_DIRECTORY': folder}, upstream={'max_concurrency': 1},
                        request_headers={'set': {'Authorization': 'Bearer ${credential:token}'}})
        self.backend.on('/always/gate', gate)
        self.submit('/always/gate')
        self.wait_for_calls(gate)
        waiting = self.submit('/always/waiting')
        os.rename(token, token + '.away')
        gate.open()
        wait_until(lambda: 'cannot be called' in self.proxy.log(), 'the attempt without its credential')
        self.assertEqual(500, self.request('POST', '/never/x', body=b'').status)
        self.assertEqual(500, self.request('POST', '/always/x', body=b'').status)
        self.assertIn(waiting.state(), ('queued', 'running'))
        os.rename(token + '.away', token)
        self.assertEqual('succeeded', waiting.ended())


class Answers(Heads):
    def test_fields_of_the_answer_are_changed_for_both(self):
        self.serve_with(response_headers={'set': {'Cache-Control': 'private'}, 'remove': ['Server', 'X-Powered-*'],
                                          'add': {'X-Request': '${request.method} ${request.path}'}})
        self.backend.on('/', answer(200, b'ok', {'Server': 'old', 'X-Powered-By': 'age', 'X-Kept': 'yes',
                                                 'Cache-Control': 'public'}))
        for mode, response in zip(('never', 'always'), self.both('/a')):
            self.assertEqual((None, None, 'yes', 'private', f'POST /{mode}/a'),
                             tuple(response.get(n) for n in ('Server', 'X-Powered-By', 'X-Kept', 'Cache-Control',
                                                             'X-Request')))

    def test_cookies_get_the_public_domain_and_path(self):
        self.serve_with(rewrite={'host': 'legacy.internal'},
                        response_headers={'rewrite_cookies': {'domain': '${request.host}', 'path': {'/app': '/'}}})
        self.backend.on('/', answer(200, b'ok', {'Set-Cookie': 'id=7; Domain=legacy.internal; Path=/app; HttpOnly'}))
        for response in self.both('/a'):
            cookie = response.get('Set-Cookie')
            self.assertIn('Path=/', cookie)
            self.assertNotIn('legacy.internal', cookie)
            self.assertIn('HttpOnly', cookie)

    def test_without_a_route_urls_of_the_backend_become_public_too(self):
        self.serve()
        self.backend.on('/', answer(302, b'', {'Location': f'{self.backend.url}/there?x=1'}))
        self.assertEqual('/there?x=1', self.request('GET', '/a').get('Location'))

    def test_without_rules_nothing_changes(self):
        self.serve_with(response_headers={'rewrite_location': False})
        self.backend.on('/', answer(302, b'', {'Location': f'http://127.0.0.1:{self.backend.port}/there'}))
        plain, result = self.both('/a')
        for response in (plain, result):
            self.assertEqual(f'http://127.0.0.1:{self.backend.port}/there', response.get('Location'))
