"""Backends that answer 202 themselves: followed over real connections until the result is there, also after a kill."""
import gzip
import json
import os
import threading
import time

from backend import Backend, Gate, answer, raw
from harness import EndToEnd, route
from wire import wait_until

QUICK = {'interval': '50ms', 'max_interval': '200ms'}
JSON = ('Content-Type', 'application/json')


class Operation:
    """What the backend goes on with: `accept` answers the call, `poll` who asks for it, until the test says `done`."""

    def __init__(self, fields, pending, done):
        self.fields, self.pending, self.final = fields, pending, done
        self.done = threading.Event()
        self.polls = []

    def accept(self, exchange):
        exchange.reply(202, b'{"accepted": true}', [*self.fields, JSON])

    def poll(self, exchange):
        self.polls.append(exchange.request)
        (self.final if self.done.is_set() else self.pending)(exchange)


def status(word, **more):
    return answer(200, json.dumps({'status': word, **more}).encode(), [JSON])


class Follow(EndToEnd):
    def follow(self, operation, upstream=None, **settings):
        self.operation = operation
        self.backend.on('/reports', operation.accept)
        self.backend.on('/operations', operation.poll)
        self.backend.on('/made', answer(200, b'the report', [('Content-Type', 'text/plain'), ('ETag', '"7"')]))
        self.serve(routes=[route('/reports/*', follow={**QUICK, **settings.pop('follow', {})}, **settings)],
                   upstream=upstream)

    def wait_for_polls(self, count):
        wait_until(lambda: len(self.operation.polls) >= count, lambda: f'{count} polls: {self.operation.polls}')

    def calls(self):
        return [f'{seen.method} {seen.target}' for seen in self.backend.seen('/reports')]

    def collect(self, job):
        """The result when the backend is done, and no call was sent a second time."""
        self.operation.done.set()
        result = job.wait().result()
        self.assertEqual(['POST /reports/1'], self.calls())
        return result


class Dialects(Follow):
    def test_location_202_until_it_is_200(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202, b'wait'), answer(200, b'the report')))
        job = self.submit(fields={'Authorization': 'Bearer 1', 'Content-Type': 'text/csv'})
        self.wait_for_polls(3)
        self.assertEqual('running', job.state())
        self.assertEqual((200, b'the report'), (self.collect(job).status, job.result().body))
        asked = self.operation.polls[0]
        self.assertEqual(('GET', 'Bearer 1', None, None, b''),
                         (asked.method, asked.get('Authorization'), asked.get('Content-Type'),
                          asked.get('Content-Length'), asked.body))

    def test_303_to_an_absolute_url_of_the_result(self):
        self.follow(Operation([('Content-Location', '/operations/1')], answer(202),
                              answer(303, b'', [('Location', f'{self.backend.url}/made/1')])))
        job = self.submit()
        self.wait_for_polls(2)
        result = self.collect(job)
        self.assertEqual((b'the report', '"7"'), (result.body, result.get('ETag')))

    def test_operation_location_with_a_status_document_and_a_resource(self):
        self.follow(Operation([('Operation-Location', f'{self.backend.url}/operations/1?v=2'), ('Location', '/made/1')],
                              status('Running'), status('Succeeded')))
        job = self.submit()
        self.wait_for_polls(2)
        self.assertEqual('/operations/1?v=2', self.operation.polls[0].target)
        self.assertEqual(b'the report', self.collect(job).body)

    def test_a_status_document_that_is_coded_and_has_the_result_in_it(self):
        document = json.dumps({'status': 'Succeeded', 'result': list(range(50_000))}).encode()
        self.follow(Operation([('Azure-AsyncOperation', '/operations/1')],
                              answer(200, gzip.compress(b'{"status": "InProgress"}'),
                                     [JSON, ('Content-Encoding', 'gzip')]),
                              answer(200, document, [JSON])))
        job = self.submit(fields={'Accept-Encoding': 'gzip'})
        self.wait_for_polls(2)
        self.assertEqual(document, self.collect(job).body)

    def test_a_status_document_that_says_it_failed(self):
        failed = status('Failed', error={'code': 'x', 'message': 'y'})
        self.follow(Operation([('Operation-Location', '/operations/1')], status('Running'), failed))
        job = self.submit()
        self.operation.done.set()
        self.assertEqual('upstream_rejected', job.ended())
        self.assertEqual('y', json.loads(job.result().text)['error']['message'])

    def test_the_rules_of_the_route_change_the_result_and_no_answer_before_it(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202, b'{}', [JSON]),
                              answer(200, b'{"a": 1}', [JSON, ('Location', f'{self.backend.url}/reports/7')])),
                    response_body={'json_patch': [{'op': 'replace', 'path': '/a', 'value': 2}],
                                   'on_failure': 'refuse'})
        job = self.submit()
        self.wait_for_polls(2)
        result = self.collect(job)
        self.assertEqual(({'a': 2}, '/reports/7'), (json.loads(result.text), result.get('Location')))


    def test_urls_with_the_host_that_the_client_asked_for(self):
        def public(path):
            return f"https://{self.backend.seen('/reports')[0].get('X-Forwarded-Host')}{path}"
        operation = Operation([], answer(202), lambda exchange: exchange.reply(
            303, b'', [('Location', public('/made/1'))]))
        operation.accept = lambda exchange: exchange.reply(202, b'', [('Location', public('/operations/1'))])
        self.follow(operation)
        job = self.submit()
        self.wait_for_polls(2)
        self.assertEqual(b'the report', self.collect(job).body)


class Limits(Follow):
    def test_retry_after_of_the_backend_is_kept_to(self):
        self.follow(Operation([('Location', '/operations/1'), ('Retry-After', '1')], answer(202), answer(200)),
                    follow={'interval': '20ms', 'max_interval': '10s'})
        began = time.monotonic()
        self.submit()
        self.wait_for_polls(1)
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_a_foreign_url_is_never_asked(self):
        other = Backend()
        self.addCleanup(other.stop)
        self.follow(Operation([('Location', f'{other.url}/operations/1')], answer(202), answer(200)))
        self.assertEqual('upstream_protocol_error', self.submit().ended())
        self.assertEqual([], other.requests)
        wait_until(lambda: f'elsewhere than at this upstream: {other.url}"' in json.dumps(self.proxy.access_log()),
                   'a line that says why, and no more of the URL than its host')

    def test_a_backend_that_is_never_done(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200)), job_timeout='2s')
        self.assertEqual('expired', self.submit().ended())

    def test_a_cancel_ends_the_questions(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200)),
                    upstream={'max_concurrency': 1})
        job = self.submit()
        self.wait_for_polls(1)
        self.assertEqual(200, job.cancel().status)
        count = len(self.operation.polls)
        # The slot is free: another call can be made.
        self.submit('/reports/2')
        wait_until(lambda: len(self.calls()) == 2, 'the second call')
        self.assertLessEqual(count, len(self.operation.polls))

    def test_the_server_that_goes_on_with_the_call_is_asked(self):
        other = Backend()
        self.addCleanup(other.stop)
        operations = []
        for name, backend in (('a', self.backend), ('b', other)):
            operation = Operation([('Location', f'/operations/{name}')], answer(202), answer(200, b'the report'))
            backend.on('/', answer(404))
            backend.on('/reports', operation.accept)
            backend.on(f'/operations/{name}', operation.poll)
            operations.append(operation)
        self.serve(routes=[route('/reports/*', follow=QUICK)],
                   upstream={'servers': [self.backend.url, other.url], 'max_concurrency': 16})
        jobs = [self.submit(f'/reports/{i}') for i in range(12)]
        wait_until(lambda: sum(len(operation.polls) for operation in operations) >= 24, 'two polls of each')
        for operation in operations:
            operation.done.set()
        self.assertEqual({b'the report'}, {job.wait().result().body for job in jobs})
        self.assertTrue(self.backend.seen('/reports') and other.seen('/reports'), 'both had calls')

    def two_servers(self, **limits):
        """One server that goes on with a call and, beside it, another that knows nothing of it."""
        other = Backend()
        self.addCleanup(other.stop)
        other.on('/', answer(404))
        self.operation = Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report'))
        self.backend.on('/reports', self.operation.accept)
        self.backend.on('/operations', self.operation.poll)
        servers = [{'url': self.backend.url, 'weight': 100, **limits}, {'url': other.url, 'weight': 1}]
        self.serve(routes=[route('/reports/*', follow=QUICK), route('/busy/*')], upstream={'servers': servers})
        return other

    def test_a_server_that_is_away_is_waited_for_and_no_other_asked(self):
        other = self.two_servers()
        job = self.submit()
        self.wait_for_polls(1)
        self.backend.refuse()
        # The others still take calls.
        wait_until(lambda: self.submit('/busy/1') and other.seen('/busy'), 'a call')
        self.assertEqual('running', job.state())
        self.backend.accept()
        self.assertEqual(b'the report', self.collect(job).body)
        self.assertEqual([], other.seen('/operations'))

    def test_a_server_that_is_at_its_limit_is_waited_for_and_no_other_asked(self):
        other = self.two_servers(max_concurrency=1)
        gate = self.backend.on('/busy', Gate())
        job = self.submit()
        self.wait_for_polls(1)
        for i in range(3):
            self.submit(f'/busy/{i}')
        wait_until(lambda: gate.entered, 'a call that keeps the server busy')
        asked = len(self.operation.polls)
        self.operation.done.set()
        # Longer than the interval between two questions.
        time.sleep(0.5)
        self.assertEqual(asked, len(self.operation.polls))
        gate.open()
        self.assertEqual(b'the report', self.collect(job).body)
        self.assertEqual([], other.seen('/operations'))

    def test_the_log_has_a_line_for_the_call_and_one_for_the_end(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200)))
        job = self.submit()
        self.wait_for_polls(4)
        self.collect(job)

        def lines():
            return [(line['reason'], line['status']) for line in self.proxy.access_log() if line['event'] == 'attempt']
        wait_until(lambda: len(lines()) == 2, lines)
        # Both began with the call, so that either may be the first by its time.
        self.assertCountEqual([('followed', 202), ('ok', 200)], lines())


class DamagedBodies(Follow):
    """The head of the 202 has said where to ask: what becomes of its body is no reason to send the call again."""

    def accept_with(self, script, method, **settings):
        operation = Operation([], answer(202), answer(200, b'the report'))
        operation.accept = script
        operation.done.set()
        self.follow(operation, upstream={'timeouts': {'connect': '1s', 'attempt': '3s'}}, **settings)
        job = self.submit(method=method)
        self.assertEqual(b'the report', job.wait().result().body)
        self.assertEqual([f'{method} /reports/1'], self.calls())

    CUT = staticmethod(raw(b'HTTP/1.1 202 Accepted\r\nLocation: /operations/1\r\nContent-Length: 100\r\n\r\nshort'))

    @staticmethod
    def drip(exchange):
        exchange.send(b'HTTP/1.1 202 Accepted\r\nLocation: /operations/1\r\nTransfer-Encoding: chunked\r\n\r\n')
        while not exchange.backend.stopping:
            exchange.send(b'1\r\nx\r\n')
            time.sleep(0.05)

    def test_one_that_is_cut_short(self):
        self.accept_with(self.CUT, 'POST')

    def test_one_that_is_cut_short_where_calls_may_be_sent_again(self):
        self.accept_with(self.CUT, 'POST', resend='always')

    def test_one_that_is_cut_short_of_a_put(self):
        self.accept_with(self.CUT, 'PUT')

    def test_one_that_never_ends_where_calls_may_be_sent_again(self):
        self.accept_with(self.drip, 'POST', resend='always')

    def test_one_that_never_ends_of_a_put(self):
        self.accept_with(self.drip, 'PUT')


class Restarts(Follow):
    def test_a_kill_while_pending_loses_nothing_and_sends_nothing_again(self):
        self.follow(Operation([('Operation-Location', '/operations/1'), ('Location', '/made/1')],
                              status('Running'), status('Succeeded')))
        job = self.submit()
        for kill in range(3):
            self.wait_for_polls(2 * kill + 1)
            self.proxy.kill()
            self.proxy.start()
        job.wait_for('running')
        self.assertEqual(b'the report', self.collect(job).body)

    def restart_at(self, upstreams, upstream):
        """The route has another upstream from the next start on."""
        self.proxy.kill()
        self.proxy.configure(self.config([route('/reports/*', upstream, follow=QUICK)], upstreams=upstreams,
                                         default_upstream=None))
        self.proxy.start()

    def test_another_upstream_is_never_asked_for_it(self):
        other = Backend(os.path.join(self.folder, 'other.history'))
        self.addCleanup(other.stop)
        other.on('/operations', answer(200, b"somebody else's report"))
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report')))
        job = self.submit()
        self.wait_for_polls(1)
        self.restart_at({'legacy': {'servers': [self.backend.url]}, 'other': {'servers': [other.url]}}, 'other')
        self.assertEqual('outcome_unknown', job.ended())
        self.assertEqual(([], ['POST /reports/1']), (other.requests, self.calls()))

    def test_a_renamed_upstream_is_asked_on(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report')))
        job = self.submit()
        self.wait_for_polls(1)
        self.restart_at({'renamed': {'servers': [self.backend.url]}}, 'renamed')
        self.assertEqual(b'the report', self.collect(job).body)

    def test_a_stop_does_not_wait_for_it(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report')))
        job = self.submit()
        self.wait_for_polls(1)
        began = time.monotonic()
        self.proxy.stop()
        self.assertLess(time.monotonic() - began, 30, 'the grace period is 60 s')
        self.proxy.start()
        self.assertEqual(b'the report', self.collect(job).body)

    def test_a_monitor_that_is_gone_after_a_restart_is_a_failure(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(404, b'no such operation')))
        job = self.submit()
        self.wait_for_polls(1)
        self.proxy.kill()
        self.operation.done.set()
        self.proxy.start()
        self.assertEqual('upstream_status', job.ended())
        self.assertEqual((404, b'no such operation'), (job.result().status, job.result().body))
        self.assertEqual(['POST /reports/1'], self.calls())


class Modes(Follow):
    def test_a_hybrid_call_waits_out_its_window_and_is_a_job_meanwhile(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report')), wait='20s')
        for fields in ({}, {'Idempotency-Key': '"one"'}):
            self.operation.done.clear()
            self.operation.polls.clear()
            answers = []
            client = threading.Thread(target=lambda: answers.append(
                self.request('POST', '/reports/1', fields, b'data')))
            client.start()
            self.wait_for_polls(2)
            self.assertEqual([], answers)
            self.operation.done.set()
            client.join(15)
            self.assertEqual([(200, b'the report')], [(each.status, each.body) for each in answers])

    def test_a_hybrid_call_does_not_hold_up_a_stop(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report')), wait='50s')
        answers = []
        client = threading.Thread(target=lambda: answers.append(self.request('POST', '/reports/1', body=b'data')))
        client.start()
        self.wait_for_polls(2)
        began = time.monotonic()
        self.proxy.stop()
        client.join(15)
        self.assertLess(time.monotonic() - began, 30, 'the window is longer')
        self.assertEqual([202], [each.status for each in answers])

    def test_a_hybrid_call_that_is_not_done_in_its_window_is_a_job(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200, b'the report')), wait='1s')
        job = self.submit()
        self.assertEqual(job.url, f'/_jobs/{job.id}')
        self.wait_for_polls(2)
        self.proxy.kill()
        self.proxy.start()
        self.assertEqual(b'the report', self.collect(job).body)

    def test_a_hybrid_call_that_is_done_is_answered_in_line(self):
        self.follow(Operation([], answer(202), answer(200)), wait='20s')
        self.backend.on('/reports', answer(200, b'quick'))
        self.assertEqual((200, b'quick'), (lambda r: (r.status, r.body))(self.request('POST', '/reports/1', body=b'')))

    def test_a_plain_call_is_passed_on(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200)), mode='never')
        plain = self.request('POST', '/reports/1', body=b'data')
        self.assertEqual((202, '/operations/1'), (plain.status, plain.get('Location')))
        self.assertEqual([], self.operation.polls)

    def test_without_the_setting_the_202_is_the_result(self):
        self.follow(Operation([('Location', '/operations/1')], answer(202), answer(200)))
        self.proxy.stop()
        self.proxy.configure(self.config([route('/reports/*', follow=False)]))
        self.proxy.start()
        self.assertEqual(202, self.submit().wait().result().status)
        self.assertEqual([], self.operation.polls)
