"""Submitting: the 202 and what leads to it or doesn't."""
import json
import threading

from backend import Gate, answer, echo
from harness import ID, EndToEnd, Job, problem, route
from wire import Client, chunked, request, wait_until

PREFER = {'Prefer': 'respond-async'}


class Accepted(EndToEnd):
    def test_a_202_says_where_the_answer_will_be(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        accepted = self.request('POST', '/reports/1', {'Content-Type': 'text/plain'}, b'data')
        self.assertEqual(202, accepted.status)
        self.assertEqual('application/json', accepted.get('Content-Type'))
        self.assertRegex(accepted.get('Retry-After'), r'\A[1-9][0-9]*\Z')
        document = json.loads(accepted.text)
        self.assertRegex(document['id'], ID)
        self.assertEqual(f'/_jobs/{document["id"]}', accepted.get('Location'))
        self.assertEqual(accepted.get('Location'), document['statusUrl'])
        self.assertEqual(accepted.get('Location') + '/result', document['resultUrl'])
        self.assertIn(document['status'], ('queued', 'running'))
        self.assertRegex(document['createdAt'], r'\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z')
        gate.open()

    def test_location_is_absolute_when_the_public_url_is_known(self):
        self.serve(public_url='https://api.example.com')
        accepted = self.request('POST', '/reports/1', (), b'')
        document = json.loads(accepted.text)
        self.assertEqual(f'https://api.example.com/_jobs/{document["id"]}', accepted.get('Location'))
        self.assertEqual(accepted.get('Location'), document['statusUrl'])

    def test_the_base_path_is_configurable(self):
        self.serve(jobs={'base_path': '/some/where'})
        job = self.submit()
        self.assertTrue(job.url.startswith('/some/where/'))
        self.assertEqual(200, job.wait().result().status)

    def test_the_backend_gets_the_call_as_it_was_made(self):
        self.serve()
        fields = [('Content-Type', 'text/x'), ('X-Repeated', 'one'), ('X-Repeated', 'two'), ('Accept', 'a/b, c/d'),
                  ('Authorization', 'Basic abc'), ('Cookie', 'a=b'), ('X-Latin', 'caf\xe9')]
        self.submit('/reports/a%20b/c?x=1&y=%2F+', b'\0\1\2\xff', fields, 'PUT').wait()
        call, = self.backend.seen()
        self.assertEqual(('PUT', '/reports/a%20b/c?x=1&y=%2F+', b'\0\1\2\xff'), (call.method, call.target, call.body))
        self.assertEqual('length', call.framing)
        for name, value in fields:
            self.assertIn(value, call.all(name))
        self.assertEqual(['one', 'two'], call.all('X-Repeated'))
        self.assertEqual(f'127.0.0.1:{self.backend.port}', call.get('Host'))

    def test_a_chunked_submission_reaches_the_backend_with_its_length(self):
        self.serve()
        body = chunked(b'ab', b'c' * 70000, b'd')
        job = self.submit(fields={'Transfer-Encoding': 'chunked'}, body=body)
        job.wait()
        call, = self.backend.seen()
        self.assertEqual((b'ab' + b'c' * 70000 + b'd', 'length'), (call.body, call.framing))

    def test_bodies_on_both_sides_of_the_inline_limit_arrive_whole(self):
        self.serve(store={'inline_max': '4KiB'})
        for size in (0, 1, 4095, 4096, 4097, 100000):
            body = bytes(i * 7 % 256 for i in range(size))
            with self.subTest(size=size):
                self.assertEqual(body, self.result_of(body=body).body)

    def test_many_submissions_on_one_connection(self):
        self.serve()
        client = self.client()
        jobs = [Job(self.proxy, client.request('POST', f'/reports/{i}', (), b'%d' % i)) for i in range(50)]
        self.assertEqual(50, len({job.id for job in jobs}))
        for i, job in enumerate(jobs):
            self.assertEqual(b'%d' % i, job.wait().result().body)

    def test_pipelined_submissions_are_answered_in_order(self):
        self.serve()
        client = self.client()
        one = b'POST /reports/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%d'
        client.send(b''.join(one % (i, i) for i in range(9)))
        jobs = [Job(self.proxy, client.answer('POST')) for _ in range(9)]
        for i, job in enumerate(jobs):
            self.assertEqual(b'%d' % i, job.wait().result().body)

    def test_expect_100_continue_is_answered_before_the_body(self):
        self.serve()
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
        self.assertEqual(100, client.read_head().status)
        client.send(b'hello')
        job = Job(self.proxy, client.answer('POST'))
        self.assertEqual(b'hello', job.wait().result().body)
        self.assertEqual([], self.backend.seen()[0].all('Expect'))


class Refused(EndToEnd):
    def test_a_body_over_its_limit_is_413_and_nothing_is_stored(self):
        self.serve(routes=[route(limits={'body': '1KiB'})])
        self.assertEqual(202, self.request('POST', '/reports/1', (), b'x' * 1024).status)
        client = self.client()
        client.send(b'POST /reports/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n')
        self.assert_problem(client.answer('POST'), 413)
        client = self.client()
        client.send(b'POST /reports/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' +
                    chunked(b'x' * 1000, b'x' * 25))
        self.assert_problem(client.answer('POST'), 413)
        self.assertTrue(client.ends())
        self.assertEqual(0, self.backend.count('/reports/2'))

    def test_nothing_behind_a_refused_body_is_served(self):
        self.serve(routes=[route('/reports/*', limits={'body': '1KiB'}), route('POST /only-post')],
                   default_upstream=None)
        hidden = b'POST /only-post HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'
        for status, head in ((413, b'POST /reports/1'), (404, b'POST /nowhere'), (405, b'GET /only-post')):
            for framing, body in ((b'Content-Length: %d' % (40 * len(hidden)), hidden * 40),
                                  (b'Transfer-Encoding: chunked', chunked(b'x' * 1000, hidden, hidden))):
                with self.subTest(head=head, framing=framing):
                    client = self.client()
                    client.send(head + b' HTTP/1.1\r\nHost: a\r\n' + framing + b'\r\n\r\n' + body)
                    answered = client.answer('POST')
                    self.assertEqual(status, answered.status)
                    if answered.get('Connection', '').lower() == 'close':
                        self.assertTrue(client.ends())
                    else:
                        self.assertEqual(405, client.request('GET', '/only-post').status)
        self.assertEqual(0, self.backend.count())

    def test_a_body_over_its_limit_is_refused_before_it_is_sent(self):
        self.serve(routes=[route(limits={'body': '1KiB'})])
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n')
        self.assertEqual(413, client.answer('POST').status)

    def test_a_413_reaches_a_client_that_sends_on(self):
        self.serve(routes=[route(limits={'body': '1KiB'})])
        for size in (60_000, 64 << 20):
            client = self.client()
            client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' % size + bytes(size))
            self.assertEqual(413, client.answer('POST').status)

    def test_an_unmatched_call_without_a_default_upstream_is_404(self):
        self.serve(default_upstream=None)
        self.assert_problem(self.request('GET', '/elsewhere'), 404)
        self.assert_problem(self.request('POST', '/reportsx', (), b''), 404)

    def test_a_known_path_with_another_method_is_405_and_says_which_are_allowed(self):
        self.serve(routes=[route('POST /reports/*'), route('PUT /reports/*')], default_upstream=None)
        answered = self.request('GET', '/reports/1')
        self.assert_problem(answered, 405)
        allowed = {m.strip() for m in answered.get('Allow').split(',')}
        self.assertLessEqual({'POST', 'PUT'}, allowed)

    def test_a_full_queue_is_503_with_retry_after(self):
        self.serve(jobs={'max_pending': 3}, upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate())
        jobs = [self.submit() for _ in range(3)]
        refused = self.request('POST', '/reports/1', (), b'')
        self.assert_problem(refused, 503)
        self.assertRegex(refused.get('Retry-After'), r'\A[1-9][0-9]*\Z')
        gate.open()
        jobs[2].wait()
        self.submit()
        self.assertLessEqual(self.backend.count('/reports'), 4)

    def test_a_client_that_leaves_within_its_body_leaves_nothing(self):
        self.serve(store={'inline_max': '1KiB'})
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n' + b'x' * 50000)
        wait_until(self.spool_files, 'a spool file being written')
        client.close()
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')
        self.assertEqual(0, self.backend.count())

    def test_a_client_that_stops_within_its_body_is_408(self):
        self.serve(listeners=[{'address': '127.0.0.1:0', 'timeouts': {'body': '300ms', 'header': '300ms'}}])
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
        self.assertEqual(408, client.answer('POST').status)
        self.assertTrue(client.ends())
        client = self.client()
        client.send(b'POST /reports/1 HT')
        self.assertEqual(408, client.answer('POST').status)
        self.assertTrue(client.ends())

    def test_an_idle_connection_is_closed_without_a_word(self):
        self.serve(listeners=[{'address': '127.0.0.1:0', 'timeouts': {'idle': '300ms'}}])
        client = self.client()
        self.assertEqual(200, client.request('GET', '/x').status)
        self.assertTrue(client.ends())


class Preferences(EndToEnd):
    def test_mode_prefer_is_asynchronous_only_when_asked(self):
        self.serve(routes=[route(mode='prefer')])
        answered = self.request('POST', '/reports/1', (), b'x')
        self.assertEqual((200, b'x'), (answered.status, answered.body))
        self.assertIn('Prefer', answered.get('Vary', ''))
        accepted = self.request('POST', '/reports/1', PREFER, b'x')
        self.assertEqual(202, accepted.status)
        self.assertEqual('respond-async', accepted.get('Preference-Applied'))
        self.assertIn('Prefer', accepted.get('Vary', ''))

    def test_prefer_is_parsed_as_a_list(self):
        self.serve(routes=[route(mode='prefer')])
        for value in ('RESPOND-ASYNC', 'handling=lenient, respond-async', 'return="a, b" , respond-async;x=1',
                      'respond-async=""'):
            with self.subTest(value):
                self.assertEqual(202, self.request('POST', '/reports/1', {'Prefer': value}, b'').status)
        two = [('Prefer', 'handling=lenient'), ('Prefer', 'respond-async')]
        self.assertEqual(202, self.request('POST', '/reports/1', two, b'').status)
        for value in ('xrespond-async', 'return="respond-async"', 'return=x;respond-async', 'foo=respond-async', '"'):
            with self.subTest(value):
                self.assertEqual(200, self.request('POST', '/reports/1', {'Prefer': value}, b'').status)

    def test_prefer_wait_holds_the_answer_back_until_it_is_there(self):
        self.serve()
        gate = self.backend.on('/reports', Gate(answer(201, b'in line')))
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n'
                    b'Prefer: respond-async, wait=20\r\n\r\n')
        self.wait_for_calls(gate)
        gate.open()
        answered = client.answer('POST')
        self.assertEqual((201, b'in line'), (answered.status, answered.body))
        self.assertIn('wait=20', answered.get('Preference-Applied', ''))

    def test_prefer_wait_that_runs_out_is_202(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        accepted = self.request('POST', '/reports/1', {'Prefer': 'wait=1'}, b'')
        self.assertEqual(202, accepted.status)
        gate.open()
        self.assertEqual(200, Job(self.proxy, accepted).wait().result().status)
        self.assertEqual(1, self.backend.count())


class Hybrid(EndToEnd):
    def rows(self):
        """What a hybrid that was answered in line may not change: the bytes of the store."""
        return self.store_files()

    def test_a_quick_answer_comes_in_line_and_nothing_is_written(self):
        self.serve(routes=[route(wait='10s')])
        self.request('GET', '/plain')
        before = self.rows()
        for _ in range(20):
            answered = self.request('POST', '/reports/1', (), b'quick')
            self.assertEqual((200, b'quick'), (answered.status, answered.body))
        self.assertEqual(before, self.rows())
        self.assertEqual(20, self.backend.count('/reports'))

    def test_a_slow_call_becomes_a_job_without_a_second_call(self):
        self.serve(routes=[route(wait='100ms')])
        gate = self.backend.on('/reports', Gate(echo))
        job = self.submit(body=b'slow')
        self.assertEqual('running', job.state())
        gate.open()
        answered = job.wait().result()
        self.assertEqual((200, b'slow'), (answered.status, answered.body))
        self.assertEqual(1, self.backend.count())

    def test_a_large_slow_call_becomes_a_job_too(self):
        self.serve(routes=[route(wait='100ms')], store={'inline_max': '1KiB'})
        gate = self.backend.on('/reports', Gate(echo))
        body = bytes(range(256)) * 2000
        job = self.submit(body=body)
        gate.open()
        self.assertEqual(body, job.wait().result().body)
        self.assertEqual(1, self.backend.count())

    def test_an_error_in_line_is_relayed(self):
        self.serve(routes=[route(wait='10s')])
        self.backend.on('/reports', answer(418, b'no'))
        answered = self.request('POST', '/reports/1', (), b'')
        self.assertEqual((418, b'no'), (answered.status, answered.body))

    def test_without_a_free_slot_a_hybrid_is_durable_and_its_window_goes_on(self):
        self.serve(routes=[route(wait='20s')], upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports/held', Gate())
        first, second = self.client(), self.client()
        first.send(b'POST /reports/held HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
        self.wait_for_calls(gate)
        second.send(b'POST /reports/next HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nn')
        gate.open()
        self.assertEqual(b'n', second.answer('POST').body)
        self.assertEqual(200, first.answer('POST').status)
        self.assertEqual((1, 1), (self.backend.peak, self.backend.count('/reports/next')))

    def test_with_an_idempotency_key_it_is_durable_before_it_is_sent(self):
        self.serve(routes=[route(wait='20s')])
        gate = self.backend.on('/reports', Gate(echo))
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nIdempotency-Key: k\r\n\r\nx')
        self.wait_for_calls(gate)
        self.proxy.restart()
        gate.open()
        job = Job(self.proxy, self.request('POST', '/reports/1', {'Idempotency-Key': 'k', 'Prefer': 'wait=0'}, b'x'))
        self.assertEqual('outcome_unknown', job.ended())
        self.assertEqual(1, self.backend.count())


class IdempotencyKeys(EndToEnd):
    KEY = {'Idempotency-Key': 'one'}

    def test_the_same_key_is_the_same_job_while_it_runs_and_after(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit(fields=self.KEY)
        for _ in range(3):
            self.assertEqual(job.id, self.submit(fields=self.KEY).id)
        gate.open()
        job.wait()
        self.assertEqual(job.id, self.submit(fields=self.KEY).id)
        self.proxy.restart()
        self.assertEqual(job.id, self.submit(fields=self.KEY).id)
        self.assertEqual(1, self.backend.count())

    def test_a_quoted_key_is_the_same_key(self):
        self.serve()
        job = self.submit(fields=self.KEY)
        self.assertEqual(job.id, self.submit(fields={'Idempotency-Key': '"one"'}).id)

    def test_the_same_key_with_another_payload_is_422(self):
        self.serve()
        self.submit(fields=self.KEY).wait()
        for target, body, method in (('/reports/1', b'other', 'POST'), ('/reports/2', b'data', 'POST'),
                                     ('/reports/1?x', b'data', 'POST'), ('/reports/1', b'data', 'PUT')):
            with self.subTest(target=target, body=body, method=method):
                self.assert_problem(self.request(method, target, self.KEY, body), 422)
        self.assertEqual(1, self.backend.count())

    def test_a_required_key_that_is_missing_or_bad_is_400(self):
        self.serve(routes=[route(idempotency_key={'header': 'Idempotency-Key', 'required': True})])
        for fields in ((), {'Idempotency-Key': ''}, {'Idempotency-Key': '""'}, {'Idempotency-Key': 'x' * 5000},
                       [('Idempotency-Key', 'a'), ('Idempotency-Key', 'b')]):
            with self.subTest(fields):
                self.assert_problem(self.request('POST', '/reports/1', fields, b''), 400)
        self.assertEqual(0, self.backend.count())

    def test_many_first_submissions_at_once_are_one_job(self):
        self.serve()
        ids, lock, barrier = [], threading.Lock(), threading.Barrier(24)

        def submit():
            with Client(self.proxy.port) as client:
                barrier.wait()
                accepted = client.request('POST', '/reports/1', self.KEY, b'data')
                with lock:
                    ids.append((accepted.status, problem(accepted).get('id')))
        threads = [threading.Thread(target=submit) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({202}, {status for status, _ in ids})
        self.assertEqual(1, len(set(ids)), ids)
        Job(self.proxy, request(self.proxy.port, 'POST', '/reports/1', self.KEY, b'data')).wait()
        self.assertEqual(1, self.backend.count())

    def test_a_key_is_good_again_after_its_job_expired(self):
        self.serve(routes=[route(retention={'result': '1s'})])
        first = self.submit(fields=self.KEY).wait()
        wait_until(lambda: self.submit(fields=self.KEY).id != first.id, 'a new job for the key', 15)
