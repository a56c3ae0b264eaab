"""What clients are shown in place of our own documents: the 202, polls and errors in the words of another API."""
import json

from backend import Gate, answer
from harness import EndToEnd, Job, route
from wire import wait_until

STATES = {'queued': 'NotStarted', 'running': 'Running', 'succeeded': 'Succeeded', 'failed': 'Failed',
          'canceled': 'Cancelled'}
ACCEPTED = {'json': {'operation': '${job.id}', 'self': '${job.status_url}', 'for': '${header.X-Customer}',
                     'path': '${path.*}', 'retry': '${job.retry_after}'}}
STATUS = {'content_type': 'application/vnd.old+json',
          'json': {'state': '${job.status}', 'attempts': '${job.attempts}', 'queue': '${job.queue_position}',
                   'ended': '${job.ended_at}', 'why': {'code': '${job.error.type:-none}'}}}
ERROR = {'content_type': 'text/xml; charset=utf-8',
         'text': '<fault code="${error.type}" status="${error.status}">\n  ${error.detail} ${header.X-Customer}\n'
                 '</fault>'}
ALL = {'accepted': ACCEPTED, 'status': STATUS, 'error': ERROR, 'states': STATES}


class Documents(EndToEnd):
    def serve_with(self, documents=ALL, upstream=None, **settings):
        self.serve(routes=[route('POST /reports/*', documents=documents, name='reports', **settings)],
                   upstream=upstream)

    def fault(self, response, status, code):
        """An error as the route shows it: the inner text."""
        self.assertEqual((status, 'text/xml; charset=utf-8'), (response.status, response.get('Content-Type')))
        begin = f'<fault code="{code}" status="{status}">\n  '
        self.assertTrue(response.text.startswith(begin), response.text)
        return response.text.removeprefix(begin).removesuffix('\n</fault>')

    def test_the_202_and_polls_are_shown_as_the_templates_say(self):
        gate = self.backend.on('/', Gate())
        self.serve_with(upstream={'max_concurrency': 1})
        job = self.submit('/reports/a/b', fields={'X-Customer': '"ada"\\'})
        shown = json.loads(job.accepted.text)
        self.assertEqual(str(shown.pop('retry')), job.accepted.get('Retry-After'))
        self.assertEqual({'operation': job.id, 'self': job.url, 'for': '"ada"\\', 'path': 'a/b'}, shown)
        self.assertEqual('application/json', job.accepted.get('Content-Type'))
        self.wait_for_calls(gate)
        second = self.submit('/reports/2')
        self.assertIsNone(json.loads(second.accepted.text)['for'])
        polled = second.poll()
        self.assertEqual('application/vnd.old+json', polled.get('Content-Type'))
        self.assertEqual({'state': 'NotStarted', 'attempts': 0, 'queue': 1, 'ended': None, 'why': {'code': 'none'}},
                         json.loads(polled.text))
        self.assertEqual('Running', json.loads(job.poll().text)['state'])
        head = self.request('HEAD', second.url)
        self.assertEqual((str(len(polled.body)), b'', polled.get('ETag')),
                         (head.get('Content-Length'), head.body, head.get('ETag')))
        same = second.poll({'If-None-Match': polled.get('ETag')})
        self.assertEqual((304, b''), (same.status, same.body))
        canceled = json.loads(second.cancel().text)
        self.assertEqual(('Cancelled', None), (canceled['state'], canceled['queue']))
        self.assertRegex(canceled['ended'], r'^\d{4}-.*Z$')
        gate.open()
        wait_until(lambda: job.poll().status == 302, 'the end')
        self.assertEqual('Succeeded', json.loads(job.poll().text)['state'])
        self.assertEqual('Succeeded', json.loads(job.poll(query='?wait=5s').text)['state'])

    def test_events_stay_native(self):
        self.serve_with()
        job = self.submit()
        events = job.poll({'Accept': 'text/event-stream'})
        self.assertIn('"status":"succeeded"', events.text)

    def test_another_template_has_another_entity_tag(self):
        gate = self.backend.on('/', Gate())
        self.serve_with(upstream={'max_concurrency': 1})
        self.submit()
        self.wait_for_calls(gate)
        waiting = self.submit()
        tag = waiting.poll().get('ETag')
        self.serve_again(documents={**ALL, 'states': {'queued': 'Waiting'}})
        waiting.proxy = self.proxy
        self.assertNotEqual(tag, waiting.poll().get('ETag'))

    def serve_again(self, documents):
        self.backend.refuse()
        self.proxy.kill()
        config = self.config([route('POST /reports/*', documents=documents, name='reports')], {'max_concurrency': 1})
        self.proxy.configure(config)
        self.proxy.start()

    def test_every_error_after_the_match_is_shown_so_plain_or_not(self):
        self.serve(routes=[route('/jobs/*', documents=ALL, limits={'body': '1KiB'},
                                 idempotency_key={'required': True}),
                           route('/plain/*', mode='never', documents=ALL, limits={'body': '1KiB'})])
        for target in ('/jobs/x', '/plain/x'):
            self.fault(self.request('POST', target, (), b'x' * 2000), 413, 'body_too_large')
        self.fault(self.request('POST', '/jobs/x', (), b''), 400, 'bad_idempotency_key')
        self.backend.refuse()
        response = self.request('POST', '/plain/x', {'X-Customer': '<&">'}, b'')
        self.assertEqual('The backend takes no connections. &lt;&amp;&quot;&gt;',
                         self.fault(response, 502, 'upstream_unreachable'))
        head = self.request('HEAD', '/plain/x')
        self.assertEqual((502, b''), (head.status, head.body))
        # What no route takes, and what is no request, is told as ever.
        self.assert_problem(self.request('GET', '/_jobs/' + 'x' * 32), 404, 'not_found')
        self.assert_problem(self.request('GET', '/plain/a\\b'), 400, 'bad_request')

    def test_errors_about_a_job_are_shown_as_its_route_says(self):
        gate = self.backend.on('/', Gate())
        self.serve_with()
        job = self.submit()
        self.wait_for_calls(gate)
        self.fault(job.result(), 404, 'pending')
        self.fault(job.poll(query='?wait=soon'), 400, 'bad_request')
        self.fault(self.request('DELETE', job.result_url), 409, 'pending')
        self.assertEqual('Cancelled', json.loads(job.cancel().text)['state'])
        self.assertEqual('The job was canceled. ', self.fault(job.result(), 410, 'canceled'))
        gate.open()
        self.backend.on('/', lambda exchange: exchange.send(b'nonsense\r\n\r\n') or exchange.close())
        failed = self.submit().wait()
        document = json.loads(failed.poll().text)
        self.assertEqual(('Failed', {'code': 'upstream_protocol_error'}), (document['state'], document['why']))
        self.fault(failed.result(), 502, 'upstream_protocol_error')

    def test_an_error_says_everything_that_is_wrong(self):
        error = {'json': {'all': '${error.errors}', 'text': 'That is: ${error.errors}'}}
        self.serve_with(documents={'error': error}, validate={'headers': {'X-Customer': {'required': True}},
                                                              'query': {'from': '[0-9]+'}})
        self.assertEqual({'all': [{'detail': 'is required', 'header': 'X-Customer'},
                                  {'detail': 'must match the pattern [0-9]+', 'parameter': 'from'}],
                          'text': 'That is: X-Customer: is required; from: must match the pattern [0-9]+'},
                         json.loads(self.request('POST', '/reports/1?from=x', (), b'').text))

    def test_an_error_says_who_submitted(self):
        self.serve_with(documents={'error': {'json': {'id': '${error.instance}', 'at': '${job.id}'}}},
                        upstream={'limits': {'response_body': '1KiB'}})
        self.backend.on('/', answer(200, b'x' * 2000))
        accepted = self.request('POST', '/reports/1', (), b'')
        job = Job(self.proxy, accepted).wait()
        self.assertEqual({'id': accepted.get('X-Request-Id'), 'at': job.id}, json.loads(job.result().text))
