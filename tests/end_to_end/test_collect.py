"""Collecting: status, result, cancel, erase and expiry, as a client meets them."""
import json
import threading
import time

from backend import Gate, answer, echo, hang, raw
from harness import EndToEnd, Job, problem, route
from wire import request_bytes, wait_until

BODY = bytes(i * 31 % 251 for i in range(10000))


class Status(EndToEnd):
    def test_a_pending_poll_is_200_with_the_document(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit()
        polled = job.wait_for('running').poll()
        self.assertEqual(200, polled.status)
        self.assertEqual('application/json', polled.get('Content-Type'))
        self.assertEqual('no-store', polled.get('Cache-Control'))
        self.assertRegex(polled.get('Retry-After'), r'\A[1-9][0-9]*\Z')
        document = json.loads(polled.text)
        self.assertEqual((job.id, 'running', job.url, job.result_url, 1),
                         tuple(document[k] for k in ('id', 'status', 'statusUrl', 'resultUrl', 'attempts')))
        self.assertGreaterEqual(document['startedAt'], document['createdAt'])
        gate.open()

    def test_a_queued_poll_tells_its_position(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate())
        jobs = [self.submit() for _ in range(4)]
        jobs[0].wait_for('running')
        documents = [job.document() for job in jobs[1:]]
        self.assertEqual(['queued'] * 3, [d['status'] for d in documents])
        positions = [d['queuePosition'] for d in documents]
        self.assertEqual([positions[0] + i for i in range(3)], positions)
        gate.open()

    def test_if_none_match_is_304_until_something_changes(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate())
        job = self.submit().wait_for('running')
        polled = job.poll()
        tag = polled.get('ETag')
        self.assertRegex(tag, r'\A(W/)?"[^"]+"\Z')
        again = job.poll({'If-None-Match': tag})
        self.assertEqual((304, 0, tag), (again.status, again.length, again.get('ETag')))
        self.assertEqual(304, job.poll({'If-None-Match': f'"other", {tag}'}).status)
        self.assertEqual(200, job.poll({'If-None-Match': '"other"'}).status)
        gate.open()
        job.wait()
        self.assertEqual(302, job.poll({'If-None-Match': tag}).status)

    def test_when_final_the_poll_redirects_to_the_result(self):
        self.serve()
        job = self.submit().wait()
        polled = job.poll()
        self.assertEqual((302, job.result_url), (polled.status, polled.get('Location')))
        self.assertEqual('no-store', polled.get('Cache-Control'))

    def test_pending_and_redirect_statuses_are_configurable(self):
        self.serve(routes=[route(pending_status=202, redirect_status=303)])
        gate = self.backend.on('/reports', Gate())
        job = self.submit()
        self.assertEqual(202, job.poll().status)
        gate.open()
        wait_until(lambda: job.poll().status == 303, '303')

    def test_completion_in_line_replays_the_response_at_the_status_url(self):
        self.serve(routes=[route(pending_status=202, completion='inline')])
        self.backend.on('/reports', answer(201, b'made', {'X-Made': 'yes'}))
        job = self.submit()
        polled = wait_until(lambda: (p := job.poll()).status != 202 and p, 'the result')
        self.assertEqual((201, b'made', 'yes'), (polled.status, polled.body, polled.get('X-Made')))

    def test_head_of_a_status_has_the_fields_and_no_body(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit().wait_for('running')
        headed = self.request('HEAD', job.url)
        self.assertEqual((200, 0), (headed.status, headed.length))
        self.assertEqual(job.poll().get('ETag'), headed.get('ETag'))
        gate.open()

    def test_an_unknown_id_is_404_whatever_its_shape(self):
        self.serve()
        job = self.submit().wait()
        swapped = job.id[:-1] + ('A' if job.id[-1] != 'A' else 'B')
        for bad in ('x', 'A' * 32, swapped, job.id + 'A', job.id[:-1], job.id + '/more', '%41' * 32, '', '-' * 4000):
            for method, suffix in (('GET', ''), ('GET', '/result'), ('DELETE', ''), ('DELETE', '/result')):
                with self.subTest(bad=bad[:40], method=method, suffix=suffix):
                    self.assert_problem(self.request(method, f'/_jobs/{bad}{suffix}'), 404)
        self.assertEqual(200, job.result().status)
        self.assertEqual(0, self.backend.count('/_jobs'))

    def test_methods_that_a_job_does_not_know_are_405(self):
        self.serve()
        job = self.submit().wait()
        for method in ('POST', 'PUT', 'PATCH'):
            for url in (job.url, job.result_url):
                answered = self.request(method, url, (), b'')
                self.assertEqual(405, answered.status)
                self.assertIn('GET', answered.get('Allow'))

    def test_a_long_poll_is_held_until_it_changes(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit().wait_for('running')
        client = self.client()
        client.send(request_bytes('GET', job.url + '?wait=20s'))
        gate.open()
        started = time.monotonic()
        self.assertEqual(302, client.answer().status)
        self.assertLess(time.monotonic() - started, 5)

    def test_a_long_poll_that_runs_out_is_an_ordinary_answer(self):
        self.serve()
        self.backend.on('/reports', hang)
        job = self.submit().wait_for('running')
        started = time.monotonic()
        self.assertEqual(200, job.poll(query='?wait=1s').status)
        self.assertGreater(time.monotonic() - started, 0.9)
        preferred = job.poll({'Prefer': 'wait=1'})
        self.assertEqual((200, 'wait=1'), (preferred.status, preferred.get('Preference-Applied')))
        self.assertEqual(400, job.poll(query='?wait=banana').status)

    def test_events_are_streamed_until_the_end(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit().wait_for('running')
        client = self.client()
        client.send(request_bytes('GET', job.url, {'Accept': 'text/event-stream'}))
        head = client.read_answer_head()
        if head.get('Content-Type') != 'text/event-stream':
            gate.open()
            self.skipTest('no event stream')
        gate.open()
        client.read_body(head)
        self.assertIn('succeeded', head.text)


class Result(EndToEnd):
    def test_a_result_is_the_backends_response_byte_for_byte(self):
        self.serve()
        fields = [('Content-Type', 'application/pdf'), ('X-One', '1'), ('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2'),
                  ('X-Latin', 'caf\xe9'), ('X-Empty', ''), ('ETag', '"v1"'), ('Content-Encoding', 'br'),
                  ('Last-Modified', 'Mon, 01 Jan 2024 00:00:00 GMT'), ('Content-Language', 'de')]
        self.backend.on('/reports', answer(203, BODY, fields))
        result = self.result_of()
        self.assertEqual((203, BODY), (result.status, result.body))
        for name, value in fields:
            self.assertIn(value, result.all(name), name)
        self.assertEqual(['a=1', 'b=2'], result.all('Set-Cookie'))
        self.assertEqual(str(len(BODY)), result.get('Content-Length'))

    def test_hop_by_hop_fields_of_the_backend_are_not_replayed(self):
        self.serve()
        self.backend.on('/reports', raw(b'HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n'
                                        b'Proxy-Connection: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n'
                                        b'1\r\na\r\n0\r\nX-T: 1\r\n\r\n'))
        result = self.result_of()
        self.assertEqual(b'a', result.body)
        for name in ('X-Hop', 'Keep-Alive', 'Proxy-Connection', 'Trailer', 'X-T', 'Transfer-Encoding'):
            self.assertEqual([], result.all(name))

    def test_an_error_of_the_backend_is_a_failed_job_whose_response_is_kept(self):
        self.serve()
        for status in (400, 404, 410, 418, 500, 501):
            self.backend.on('/reports', answer(status, b'sorry %d' % status, {'X-Why': 'because'}))
            with self.subTest(status):
                job = self.submit().wait()
                result = job.result()
                self.assertEqual((status, b'sorry %d' % status, 'because'),
                                 (result.status, result.body, result.get('X-Why')))
                self.assertEqual('upstream_status', job.ended())

    def test_what_a_success_is_is_the_routes_to_say(self):
        self.serve(routes=[route(success={'status': '200-299'})])
        self.backend.on('/reports', answer(302, b'elsewhere', {'Location': '/x'}))
        job = self.submit().wait()
        self.assertEqual(302, job.result().status)
        self.assertIn(job.ended(), ('upstream_rejected', 'upstream_status'))

    def test_a_result_can_be_read_again_and_after_a_restart(self):
        self.serve()
        self.backend.on('/reports', echo)
        small, large = self.submit(body=b'small').wait(), self.submit(body=BODY * 20).wait()
        before = [(r.status, sorted(r.fields), r.digest) for r in (small.result(), large.result())]
        self.proxy.restart()
        after = [(r.status, sorted(r.fields), r.digest) for r in (small.result(), large.result())]
        strip = lambda seen: [(s, [f for f in fields if f[0] != 'X-Request-Id'], d) for s, fields, d in seen]
        self.assertEqual(strip(before), strip(after))

    def test_an_answer_without_a_date_has_that_of_its_arrival(self):
        self.serve(default_upstream='legacy')
        told = 'Tue, 15 Nov 1994 08:12:31 GMT'
        self.backend.on('/reports/told', answer(200, b'x', {'Date': told}))
        job = self.submit().wait()
        first = job.result().all('Date')
        self.assertEqual((1, True), (len(first), first[0].endswith(' GMT')))
        self.proxy.restart()
        self.assertEqual(first, job.result().all('Date'), 'it is part of the result')
        self.assertEqual([told], self.submit('/reports/told').wait().result().all('Date'))
        self.backend.on('/plain/told', answer(200, b'x', {'Date': told}))
        self.assertEqual([told], self.request('GET', '/plain/told').all('Date'))
        self.assertEqual(1, len(self.request('GET', '/plain/untold').all('Date')))

    def test_a_pending_result_is_404_with_retry_after(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit()
        pending = job.result()
        self.assert_problem(pending, 404)
        self.assertRegex(pending.get('Retry-After'), r'\A[1-9][0-9]*\Z')
        gate.open()

    def test_head_of_a_result_tells_its_length(self):
        self.serve(store={'inline_max': '1KiB'})
        for body in (b'small', BODY):
            self.backend.on('/reports', answer(200, body))
            headed = self.submit().wait().result('HEAD')
            self.assertEqual((200, 0, str(len(body))), (headed.status, headed.length, headed.get('Content-Length')))

    def test_a_range_of_a_result(self):
        self.serve(store={'inline_max': '1KiB'})
        for body in (BODY[:1000], BODY):
            self.backend.on('/reports', answer(200, body, {'Content-Type': 'a/b'}))
            job, size = self.submit().wait(), len(body)
            self.assertEqual('bytes', job.result().get('Accept-Ranges'))
            for asked, first, last in (('0-0', 0, 0), ('10-19', 10, 19), ('-5', size - 5, size - 1),
                                       (f'{size - 1}-', size - 1, size - 1), (f'5-{size + 99}', 5, size - 1),
                                       (f'-{size + 99}', 0, size - 1)):
                with self.subTest(asked=asked, size=size):
                    part = job.result(fields={'Range': f'bytes={asked}'})
                    self.assertEqual((206, f'bytes {first}-{last}/{size}', 'a/b'),
                                     (part.status, part.get('Content-Range'), part.get('Content-Type')))
                    self.assertEqual(body[first:last + 1], part.body)

    def test_a_range_beyond_the_end_is_416(self):
        self.serve()
        self.backend.on('/reports', answer(200, b'abc'))
        job = self.submit().wait()
        for asked in ('3-', '99-100', '-0'):
            part = job.result(fields={'Range': f'bytes={asked}'})
            self.assertEqual((416, 'bytes */3'), (part.status, part.get('Content-Range')), asked)

    def test_ranges_that_mean_nothing_are_ignored(self):
        self.serve()
        self.backend.on('/reports', answer(200, b'abc'))
        job = self.submit().wait()
        for asked in ('lines=0-1', 'bytes=2-1', 'bytes=a-b', 'bytes=', 'bytes=0-1,', 'bytes 0-1',
                      'bytes=99999999999999999999999-'):
            whole = job.result(fields={'Range': asked})
            self.assertIn((whole.status, whole.body), [(200, b'abc')] + [(416, whole.body)] * ('9999' in asked), asked)
        several = job.result(fields={'Range': 'bytes=0-0,2-2'})
        self.assertIn(several.status, (200, 206))

    def test_if_range_gives_the_part_only_of_the_same_version(self):
        self.serve()
        self.backend.on('/reports', answer(200, b'abc', {'ETag': '"v1"'}))
        job = self.submit().wait()
        self.assertEqual(206, job.result(fields={'Range': 'bytes=0-0', 'If-Range': '"v1"'}).status)
        for other in ('"v2"', 'W/"v1"', 'Mon, 01 Jan 2024 00:00:00 GMT'):
            self.assertEqual(200, job.result(fields={'Range': 'bytes=0-0', 'If-Range': other}).status, other)

    def test_a_range_of_an_error_response_is_the_whole(self):
        self.serve()
        self.backend.on('/reports', answer(500, b'sorry'))
        self.assertEqual((500, b'sorry'), (lambda r: (r.status, r.body))(
            self.submit().wait().result(fields={'Range': 'bytes=0-1'})))


class CancelAndErase(EndToEnd):
    def test_canceling_a_queued_job_keeps_it_from_the_backend(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports/held', Gate())
        held, queued = self.submit('/reports/held'), self.submit('/reports/next')
        self.wait_for_calls(gate)
        canceled = queued.cancel()
        self.assertEqual((200, 'canceled'), (canceled.status, problem(canceled)['status']))
        gate.open()
        held.wait()
        self.submit('/reports/last').wait()
        self.assertEqual(0, self.backend.count('/reports/next'))
        self.assertEqual('canceled', queued.outcome()['status'])

    def test_canceling_a_running_job_aborts_its_call(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit()
        self.wait_for_calls(gate)
        self.assertEqual('canceled', problem(job.cancel())['status'])
        wait_until(lambda: gate.aborted, 'the abort of the call', 2)
        self.assertEqual('canceled', job.outcome()['status'])
        self.proxy.restart()
        self.assertEqual('canceled', job.outcome()['status'])
        self.assertEqual(1, self.backend.count())

    def test_the_result_of_a_canceled_job_says_so(self):
        self.serve()
        self.backend.on('/reports', hang)
        job = self.submit()
        job.cancel()
        result = job.wait().result()
        self.assertGreaterEqual(result.status, 400)
        self.assertEqual('application/problem+json', result.get('Content-Type'))

    def test_canceling_too_late_changes_nothing_and_says_how_it_ended(self):
        self.serve()
        job = self.submit(body=b'kept').wait()
        for _ in range(2):
            self.assertEqual('succeeded', problem(job.cancel())['status'])
        self.assertEqual((200, b'kept'), (job.result().status, job.result().body))

    def test_a_cancel_racing_the_answer_ends_in_exactly_one_state(self):
        self.serve(upstream={'max_concurrency': 50})
        seen = set()
        for _ in range(60):
            gate = self.backend.on('/reports', Gate(answer(200, b'won')))
            job = self.submit()
            self.wait_for_calls(gate)
            opener = threading.Thread(target=gate.open)
            opener.start()
            told = problem(job.cancel())['status']
            opener.join()
            seen.add(told)
            final = job.outcome()['status']
            self.assertEqual(told, final)
            self.assertEqual(final == 'succeeded', job.result().body == b'won')
        self.assertLessEqual(seen, {'succeeded', 'canceled'})

    def test_erasing_a_final_job_leaves_410(self):
        self.serve(store={'inline_max': '1KiB'})
        for body in (b'small', BODY):
            job = self.submit(body=body).wait()
            erased = self.request('DELETE', job.result_url)
            self.assertEqual((204, 0), (erased.status, erased.length))
            for url in (job.url, job.result_url):
                self.assertEqual(410, self.request('GET', url).status)
            self.assertEqual(410, self.request('DELETE', job.result_url).status)
            self.proxy.restart()
            self.assertEqual(410, job.poll().status)
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')

    def test_erasing_a_pending_job_is_409(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit()
        self.assert_problem(self.request('DELETE', job.result_url), 409)
        gate.open()
        self.assertEqual(200, job.wait().result().status)

    def fail_with_request_kept(self, kept):
        self.serve(jobs={'retention': {'failed_request': kept}}, store={'inline_max': '1KiB'})
        self.backend.on('/reports', answer(500, b'no'))
        return self.submit(body=BODY).wait()

    def request_goes_before_result(self, job):
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')
        self.assertEqual((500, b'no'), (job.result().status, job.result().body))

    def test_the_request_of_a_failed_job_is_erased_before_its_result(self):
        job = self.fail_with_request_kept('2s')
        self.assertEqual(1, len(self.spool_files()))
        self.request_goes_before_result(job)

    def test_the_request_of_a_failed_job_is_erased_at_once_if_told(self):
        self.request_goes_before_result(self.fail_with_request_kept('0s'))

    def test_after_its_retention_a_job_is_gone_and_its_files_too(self):
        self.serve(routes=[route(retention={'result': '1s'})], store={'inline_max': '1KiB'})
        jobs = [self.submit(body=BODY).wait(), self.submit(body=b'x').wait()]
        self.assertEqual(200, jobs[0].result().status)
        for job in jobs:
            wait_until(lambda: job.result().status == 410, '410', 15)  # pylint: disable=cell-var-from-loop
            self.assertEqual(410, job.poll().status)
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}', 15)

    def test_another_submission_never_gets_the_place_of_an_erased_job(self):
        self.serve()
        old = self.submit(body=b'old').wait()
        self.request('DELETE', old.result_url)
        self.proxy.restart()
        new = [self.submit(body=b'new').wait() for _ in range(5)]
        self.assertNotIn(old.id, [job.id for job in new])
        self.assertEqual(410, old.result().status)

    def test_a_result_being_read_survives_its_erasure(self):
        self.serve(store={'inline_max': '1KiB'})
        body = BODY * 800
        self.backend.on('/reports', answer(200, body))
        job = self.submit().wait()
        client = self.client(receive_buffer=4096)
        client.send(request_bytes('GET', job.result_url))
        head = client.read_answer_head()
        self.assertEqual(204, self.request('DELETE', job.result_url).status)
        client.read_body(head)
        self.assertEqual(len(body), head.length)
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')
        self.assertEqual(410, Job(self.proxy, job.accepted).poll().status)
