"""What browsers are told: preflights, and answers that pages of other origins may read."""
from backend import Gate, answer
from harness import EndToEnd, route

APP = 'https://app.example.com'
OTHER = 'https://other.example.com'
EVIL = 'https://evil.org'
CORS = {'allow_origins': [APP], 'allow_credentials': True, 'expose_headers': ['X-Total'], 'max_age': '90s'}


def allowed(response):
    return response.get('Access-Control-Allow-Origin')


class Cors(EndToEnd):
    def serve_with(self, **async_):
        self.serve(routes=[
            route({'methods': ['POST'], 'path': '/reports/*'}, cors=CORS, **async_),
            route('/plain/*', mode='never', cors=CORS),
            route('/other/*', cors={'allow_origins': [OTHER]}),
            route('/none/*', mode='never')])

    def preflight(self, target, method='POST', origin=APP, **fields):
        return self.request('OPTIONS', target, {'Origin': origin, 'Access-Control-Request-Method': method, **fields})

    def assert_allowed(self, response, exposed='Location, Retry-After, ETag, X-Total'):
        self.assertEqual((APP, 'true', exposed),
                         tuple(response.get('Access-Control-' + name)
                               for name in ('Allow-Origin', 'Allow-Credentials', 'Expose-Headers')), response)
        self.assertIn('Origin', response.all('Vary'))

    def assert_not_allowed(self, response):
        self.assertEqual([], [name for name, _ in response.fields if name.startswith('Access-Control-')])


class Preflights(Cors):
    def test_are_answered_without_the_backend(self):
        self.serve_with()
        for path in ('/reports/1', '/plain/1'):
            told = self.preflight(path, **{'Access-Control-Request-Headers': 'content-type,x-api-version'})
            self.assertEqual(204, told.status)
            self.assertEqual((APP, 'true', 'POST', 'content-type, x-api-version', '90'),
                             tuple(told.get('Access-Control-' + name) for name in (
                                 'Allow-Origin', 'Allow-Credentials', 'Allow-Methods', 'Allow-Headers', 'Max-Age')))
            self.assertIn('Origin', told.get('Vary'))
        self.assertEqual(0, self.backend.count())

    def test_of_other_origins_get_nothing(self):
        self.serve_with()
        told = self.preflight('/reports/1', origin=EVIL)
        self.assertEqual(204, told.status)
        self.assert_not_allowed(told)
        self.assertIn('Origin', told.get('Vary'))
        self.assertEqual(0, self.backend.count())

    def test_are_the_backends_own_where_no_route_says_anything(self):
        self.serve_with()
        self.preflight('/none/1')
        self.preflight('/reports/1', method='PUT')  # no route takes it
        self.request('OPTIONS', '/plain/1', {'Origin': APP})
        self.assertEqual(['OPTIONS'] * 3, [seen.method for seen in self.backend.seen()])

    def test_for_jobs_are_answered_for_the_origins_of_all_routes(self):
        self.serve_with()
        for path in ('/_jobs/whatever', '/_jobs/whatever/result'):
            told = self.preflight(path, 'DELETE', OTHER, **{'Access-Control-Request-Headers': 'prefer'})
            self.assertEqual((204, OTHER, None, 'GET, HEAD, DELETE', 'prefer'), (
                told.status, allowed(told), told.get('Access-Control-Allow-Credentials'),
                told.get('Access-Control-Allow-Methods'), told.get('Access-Control-Allow-Headers')))
            self.assertEqual('true', self.preflight(path, 'GET').get('Access-Control-Allow-Credentials'))
            self.assert_not_allowed(self.preflight(path, 'GET', EVIL))


class Answers(Cors):
    def test_of_a_job_may_be_read_by_the_pages_of_its_route(self):
        self.serve_with()
        gate = Gate(answer(200, b'done', {'Access-Control-Allow-Origin': '*', 'Access-Control-Max-Age': '1',
                                          'X-Total': '1'}))
        self.backend.on('/reports', gate)
        origin = {'Origin': APP}
        job = self.submit(fields=origin)
        self.assert_allowed(job.accepted)
        self.wait_for_calls(gate)
        for pending in (job.poll(origin), job.result(fields=origin), job.poll(origin, '?wait=1s'),
                        job.poll({'If-None-Match': job.poll().get('ETag'), **origin})):
            self.assert_allowed(pending)
        for stranger in (EVIL, OTHER):
            self.assert_not_allowed(job.poll({'Origin': stranger}))
        gate.open()
        job.wait()
        for final in (job.poll(origin), job.result(fields=origin), job.result('HEAD', origin),
                      job.result(fields={'Range': 'bytes=0-1', **origin}),
                      self.request('DELETE', job.url, origin), job.poll({'Accept': 'text/event-stream', **origin})):
            self.assert_allowed(final)
        self.assertIsNone(job.result(fields=origin).get('Access-Control-Max-Age'))
        self.assert_not_allowed(job.result(fields={'Origin': EVIL}))
        self.assert_not_allowed(job.result())
        self.assertIn('Origin', job.result().all('Vary'))
        erased = self.request('DELETE', job.result_url, origin)
        self.assertEqual((204, APP), (erased.status, allowed(erased)))
        # What has no route any more tells every page that may have jobs.
        gone = job.poll({'Origin': OTHER})
        self.assertEqual((410, OTHER), (gone.status, allowed(gone)))

    def test_that_are_plain_replace_what_the_backend_says(self):
        self.serve_with()
        self.backend.on('/', answer(200, b'ok', {'Access-Control-Allow-Origin': '*', 'Vary': 'Accept'}))
        told = self.request('GET', '/plain/1', {'Origin': APP})
        self.assert_allowed(told)
        self.assertEqual(['Accept', 'Origin'], told.all('Vary'))
        self.assert_not_allowed(self.request('GET', '/plain/1', {'Origin': EVIL}))
        self.assertEqual('*', allowed(self.request('GET', '/none/1', {'Origin': EVIL})))

    def test_in_line_may_be_read_too(self):
        self.serve_with(wait='10s')
        told = self.request('POST', '/reports/1', {'Origin': APP}, b'x')
        self.assertEqual(200, told.status)
        self.assert_allowed(told)
        keyed = self.request('POST', '/reports/1', {'Origin': APP, 'Idempotency-Key': '"k"'}, b'x')
        self.assertEqual(200, keyed.status)
        self.assert_allowed(keyed)

    def test_that_are_errors_may_be_read_too(self):
        self.serve_with()
        self.assert_allowed(self.request('POST', '/reports/1', {'Origin': APP, 'Idempotency-Key': '""'}, b''))
        self.backend.refuse()
        self.assert_allowed(self.request('GET', '/plain/1', {'Origin': APP}))
