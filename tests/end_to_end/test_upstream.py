"""What a backend may do to raincheck, and what becomes of the job: every kind of answer, right or wrong, and none."""
import threading
import time

from backend import Backend, Gate, answer, echo, hang, in_turn, raw, reset_after_reading
from harness import EndToEnd, problem, route
from wire import Client, wait_until

OK = b'HTTP/1.1 200 OK\r\n'
QUICK = {'max_attempts': 3, 'backoff': '10ms', 'max_backoff': '50ms'}

NOT_HTTP = {
    'cut within the body': OK + b'Content-Length: 10\r\n\r\nabc',
    'cut within a chunk': OK + b'Transfer-Encoding: chunked\r\n\r\nA\r\nabc',
    'cut before the last chunk': OK + b'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    'cut within the trailer': OK + b'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y',
    'cut within the head': OK + b'Content-Length: 3',
    'another protocol': b'SSH-2.0-OpenSSH_9.2\r\n',
    'garbage': bytes(range(256)) * 4,
    'a bad status': b'HTTP/1.1 20 Z\r\nContent-Length: 0\r\n\r\n',
    'a status of letters': b'HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n',
    'a status below all': b'HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n',
    'a status beyond all': b'HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n',
    'a negative length': OK + b'Content-Length: -2\r\n\r\nab',
    'a length beyond 64 bits': OK + b'Content-Length: 18446744073709551618\r\n\r\nab',
    'two lengths': OK + b'Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
    'the same length twice': OK + b'Content-Length: 2\r\nContent-Length: 2\r\n\r\nab',
    'a list of lengths': OK + b'Content-Length: 2, 2\r\n\r\nab',
    'chunks in HTTP/1.0': b'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'length and chunks': OK + b'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'an unknown coding': OK + b'Transfer-Encoding: gzip\r\n\r\nabc',
    'a bad chunk size': OK + b'Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n',
    'a long chunk': OK + b'Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n',
    'bare line feeds': b'HTTP/1.1 200 OK\nContent-Length: 1\n\na',
    'a NUL in a field': OK + b'X: a\0b\r\nContent-Length: 0\r\n\r\n',
    'a folded field': OK + b'X: a\r\n b\r\nContent-Length: 0\r\n\r\n',
    'a bare carriage return': OK + b'X: a\rb\r\nContent-Length: 0\r\n\r\n',
    'a bad field name': OK + b'X y: a\r\nContent-Length: 0\r\n\r\n',
    'an unasked 101': b'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    'endless interim answers': b'HTTP/1.1 100 Continue\r\n\r\n' * 3000,
    'version 2': b'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    'a huge head': OK + b'X: ' + b'y' * 70000 + b'\r\nContent-Length: 0\r\n\r\n',
}


class Answers(EndToEnd):
    def setUp(self):
        super().setUp()
        self.serve(routes=[route('/reports/*', retry=QUICK)])

    def collect(self, script, method='POST'):
        self.backend.on('/reports', script)
        return self.submit(method=method).wait().result()

    def test_interim_answers_are_not_the_answer(self):
        for interim in (b'HTTP/1.1 100 Continue\r\n\r\n', b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
                        b'HTTP/1.1 102 Processing\r\n\r\n' * 30):
            result = self.collect(raw(interim + OK + b'Content-Length: 4\r\n\r\nreal', False))
            self.assertEqual((200, b'real'), (result.status, result.body))
            self.assertEqual([], result.all('Link'))

    def test_chunked_answers_are_decoded(self):
        result = self.collect(raw(OK + b'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n'))
        self.assertEqual(b'a0123456789', result.body)

    def test_an_answer_ended_by_closing_is_whole(self):
        result = self.collect(raw(OK + b'X-A: b\r\n\r\nuntil the end'))
        self.assertEqual((b'until the end', 'b'), (result.body, result.get('X-A')))
        result = self.collect(raw(b'HTTP/1.0 200 OK\r\n\r\nold'))
        self.assertEqual(b'old', result.body)

    def test_answers_without_a_body(self):
        for status in (204, 205, 304):
            result = self.collect(raw(b'HTTP/1.1 %d X\r\nETag: "a"\r\n\r\n' % status, status == 205))
            self.assertEqual((status, b'', '"a"'), (result.status, result.body, result.get('ETag')))

    def test_head_jobs_have_no_body_but_its_length(self):
        result = self.collect(raw(OK + b'Content-Length: 12345\r\n\r\n', False), 'HEAD')
        self.assertEqual((200, 'HEAD'), (result.status, self.backend.requests[-1].method))

    def test_an_odd_but_lawful_answer_is_taken(self):
        for head, body in ((b'HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n', b'a'),
                           (b'HTTP/1.1 299 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n', b''),
                           (OK + b'content-length: 2\r\n\r\n', b'ab'), (OK + b'Content-Length : 2\r\n\r\n', b'ab'),
                           (OK + b'TRANSFER-ENCODING: Chunked\r\n\r\n', b'0\r\n\r\n')):
            with self.subTest(head):
                result = self.collect(raw(head + body))
                self.assertEqual(body if b'0\r\n' not in body else b'', result.body)

    def test_what_is_not_http_is_a_protocol_error_and_never_a_result(self):
        for name, wrong in NOT_HTTP.items():
            self.backend.on('/reports', raw(wrong))
            with self.subTest(name):
                job = self.submit().wait()
                self.assertEqual('upstream_protocol_error', job.ended())
                self.assert_problem(job.result(), 502)
        self.assertEqual('succeeded', (self.backend.on('/reports', echo), self.submit().ended())[1])

    def test_after_a_protocol_error_a_post_is_not_sent_again_and_a_put_is(self):
        self.backend.on('/reports', raw(b'garbage\r\n\r\n'))
        self.submit('/reports/post').wait()
        self.submit('/reports/put', method='PUT').wait()
        self.assertEqual((1, 3), (self.backend.count('/reports/post'), self.backend.count('/reports/put')))

    def test_surplus_bytes_are_never_the_next_answer(self):
        poison = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
        self.backend.on('/reports', raw(OK + b'Content-Length: 1\r\n\r\na' + poison, False))
        self.assertEqual(b'a', self.submit().wait().result().body)
        self.backend.on('/reports', answer(200, b'clean'))
        for _ in range(5):
            self.assertEqual(b'clean', self.submit().wait().result().body)

    def test_connections_to_the_backend_are_kept_and_used_again(self):
        for _ in range(10):
            self.submit().wait()
        self.assertLessEqual(self.backend.connections, 2)

    def test_a_kept_connection_that_the_backend_closed_costs_nothing(self):
        self.submit().wait()
        self.backend.break_connections()
        wait_until(lambda: self.backend.idle_connections() == 0, 'closed connections')
        self.assertEqual('succeeded', self.submit('/reports/2').ended())
        self.assertEqual(1, self.backend.count('/reports/2'))

    def test_a_backend_that_answers_before_it_has_read_everything(self):
        def early(exchange):
            exchange.send(b'HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly')
            exchange.hold(within=1)
            exchange.close()
        self.backend.on('/reports', early, read_body=False)
        job = self.submit(body=b'x' * 5_000_000).wait()
        self.assertEqual((413, b'early'), (job.result().status, job.result().body))


class Limits(EndToEnd):
    def test_an_answer_at_its_limit_is_kept_and_one_byte_more_is_too_large(self):
        self.serve(upstream={'limits': {'response_body': '100KiB'}})
        self.backend.on('/reports', answer(200, b'x' * 102400))
        self.assertEqual(102400, self.submit().wait().result().length)
        for wrong in (answer(200, b'x' * 102401), raw(OK + b'\r\n' + b'x' * 102401),
                      raw(OK + b'Transfer-Encoding: chunked\r\n\r\n19001\r\n' + b'x' * 102401 + b'\r\n0\r\n\r\n')):
            self.backend.on('/reports', wrong)
            job = self.submit().wait()
            self.assertEqual('response_too_large', job.ended())
            self.assert_problem(job.result(), 502)
        wait_until(lambda: len(self.spool_files()) <= 1, lambda: f'one spool file, not {self.spool_files()}')

    def test_a_backend_that_never_answers_times_out(self):
        self.serve(upstream={'timeouts': {'connect': '300ms', 'attempt': '300ms'}})
        self.backend.on('/reports', hang)
        job = self.submit().wait()
        self.assertIn(job.ended(), ('upstream_timeout', 'outcome_unknown'))
        self.assert_problem(job.result(), 504)
        self.assertEqual(1, self.backend.count())

    def test_a_backend_that_falls_silent_within_its_answer_times_out(self):
        self.serve(upstream={'timeouts': {'between_bytes': '300ms'}})

        def stall(exchange):
            exchange.send(OK + b'Content-Length: 10\r\n\r\nabc')
            hang(exchange)
        self.backend.on('/reports', stall)
        job = self.submit().wait()
        self.assertEqual('upstream_timeout', job.ended())
        self.assertEqual(1, self.backend.count())

    def test_the_first_byte_has_a_limit_of_its_own(self):
        self.serve(upstream={'timeouts': {'first_byte': '300ms'}})
        self.backend.on('/reports', hang)
        self.assertIn(self.submit().ended(), ('upstream_timeout', 'outcome_unknown'))

    def test_a_drip_is_no_silence_but_ends_with_the_attempt(self):
        self.serve(upstream={'timeouts': {'connect': '500ms', 'between_bytes': '500ms', 'attempt': '1500ms'}})

        def drip(exchange):
            exchange.send(OK + b'Content-Length: 1000\r\n\r\n')
            while not exchange.hold(within=0.1) and not exchange.backend.stopping:
                exchange.send(b'.')
        self.backend.on('/reports', drip)
        started = time.monotonic()
        self.assertEqual('upstream_timeout', self.submit().ended())
        self.assertGreater(time.monotonic() - started, 1.0)

    def test_a_job_that_waits_too_long_expires(self):
        self.serve(routes=[route('/reports/*'), route('/later/*', queue_timeout='500ms')],
                   upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate())
        self.submit()
        self.wait_for_calls(gate)
        job = self.submit('/later/1')
        self.assertEqual('expired', job.ended())
        self.assert_problem(job.result(), 504)
        gate.open()
        self.submit().wait()
        self.assertEqual(0, self.backend.count('/later'))

    def test_a_job_that_takes_too_long_in_all_expires(self):
        self.serve(routes=[route(job_timeout='700ms')])
        gate = self.backend.on('/reports', Gate())
        job = self.submit()
        self.assertIn(job.ended(), ('expired', 'upstream_timeout', 'outcome_unknown'))
        wait_until(lambda: gate.aborted, 'the abort of the call')

    def test_never_more_calls_at_once_than_allowed(self):
        self.serve(routes=[route('/reports/*'), route('/hybrid/*', wait='5s')], upstream={'max_concurrency': 3})
        lock, jobs = threading.Lock(), []
        self.backend.on('/', lambda e: (e.hold(within=0.02), e.reply(200, b'ok')))

        def load(number):
            with Client(self.proxy.port) as client:
                for i in range(15):
                    path = '/hybrid/x' if (number + i) % 3 == 0 else '/reports/x'
                    answered = client.request('POST', path, (), b'')
                    if answered.status == 202:
                        with lock:
                            jobs.append(answered.get('Location'))
        threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: self.backend.count() == 120 and self.backend.in_flight == 0, 'all calls', 30)
        self.assertEqual(3, self.backend.peak)
        for url in jobs:
            wait_until(lambda: self.request('GET', url).status == 302, 'the end')  # pylint: disable=cell-var-from-loop

    def test_with_drain_a_given_up_call_keeps_its_slot_until_the_backend_has_ended(self):
        self.serve(upstream={'max_concurrency': 1, 'on_abort': 'drain'})
        gate = self.backend.on('/reports/held', Gate(goes_on=True))
        held = self.submit('/reports/held')
        self.wait_for_calls(gate)
        self.assertEqual('canceled', problem(held.cancel())['status'])
        following = self.submit('/reports/next')
        self.assertEqual(200, following.poll(query='?wait=1s').status)
        self.assertEqual(0, self.backend.count('/reports/next'))
        gate.open()
        self.assertEqual('succeeded', following.ended())
        self.assertEqual((1, 'canceled'), (self.backend.peak, held.ended()))

    def test_with_close_a_given_up_call_frees_its_slot_at_once(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports/held', Gate(goes_on=True))
        held = self.submit('/reports/held')
        self.wait_for_calls(gate)
        held.cancel()
        self.assertEqual('succeeded', self.submit('/reports/next').ended())
        gate.open()


class Retries(EndToEnd):
    def serve_with(self, upstream=None, **settings):
        self.serve(routes=[route('/reports/*', retry=QUICK, **settings)], upstream=upstream)

    def test_a_reset_after_the_request_was_read_is_never_sent_again_for_post(self):
        self.serve_with()
        self.backend.on('/reports', reset_after_reading)
        job = self.submit().wait()
        self.assertEqual('outcome_unknown', job.ended())
        self.assert_problem(job.result(), (500, 502))
        self.assertEqual(1, self.backend.count())

    def test_a_reset_after_the_request_was_read_is_sent_again_for_put(self):
        self.serve_with()
        self.backend.on('/reports', in_turn(reset_after_reading, reset_after_reading, echo))
        job = self.submit(method='PUT', body=b'again').wait()
        self.assertEqual((200, b'again'), (job.result().status, job.result().body))
        self.assertEqual([b'again'] * 3, [call.body for call in self.backend.seen()])

    def test_resend_always_and_never(self):
        self.serve(routes=[route('/always/*', resend='always', retry=QUICK),
                           route('/never/*', resend='never', retry=QUICK)])
        self.backend.on('/always', in_turn(reset_after_reading, echo))
        self.backend.on('/never', reset_after_reading)
        self.assertEqual('succeeded', self.submit('/always/1').ended())
        self.assertEqual('outcome_unknown', self.submit('/never/1', method='PUT').ended())
        self.assertEqual((2, 1), (self.backend.count('/always'), self.backend.count('/never')))

    def test_chosen_statuses_are_tried_again_for_put_and_the_last_is_kept(self):
        self.serve_with()
        self.backend.on('/reports', in_turn(answer(502, b'1'), answer(504, b'2'), answer(502, b'3')))
        job = self.submit(method='PUT').wait()
        self.assertEqual((502, b'3'), (job.result().status, job.result().body))
        self.assertEqual('upstream_status', job.ended())
        self.assertEqual(3, self.backend.count())

    def test_a_plain_502_503_or_504_of_a_post_is_its_answer(self):
        self.serve_with()
        for status in (502, 503, 504):
            self.backend.on('/reports', answer(status, b'once'))
            job = self.submit(f'/reports/{status}').wait()
            self.assertEqual((status, b'once'), (job.result().status, job.result().body))
            self.assertEqual(1, self.backend.count(f'/reports/{status}'))

    def test_429_and_503_with_retry_after_are_tried_again_even_for_post(self):
        self.serve_with()
        for path, status in (('/reports/a', 429), ('/reports/b', 503)):
            busy = answer(status, b'busy', {'Retry-After': '1'})
            self.backend.on(path, in_turn(busy, answer(200, b'now')))
            job = self.submit(path).wait()
            self.assertEqual((200, b'now'), (job.result().status, job.result().body))
            first, second = self.backend.seen(path)
            self.assertGreaterEqual(second.arrived - first.arrived, 0.95)

    def test_a_busy_backend_burns_no_attempts(self):
        self.serve_with()
        busy = answer(503, b'busy', {'Retry-After': '1'})
        self.backend.on('/reports', in_turn(busy, busy, busy, busy, answer(200, b'at last')))
        job = self.submit().wait(30)
        self.assertEqual(b'at last', job.result().body)

    def test_a_backend_that_is_down_longer_than_all_retries_fails_no_job(self):
        self.serve_with()
        self.backend.refuse()
        jobs = [self.submit(f'/reports/{i}', method=('POST', 'PUT')[i % 2]) for i in range(12)]
        jobs[0].poll(query='?wait=2s')
        self.assertNotIn('final', {job.state() for job in jobs})
        # In order: a kill may meet the one attempt that is under way, and nobody could know what came of it.
        self.proxy.stop()
        self.proxy.start()
        self.backend.accept()
        self.assertEqual({'succeeded'}, {job.ended() for job in jobs})
        self.assertEqual(12, self.backend.count())

    def test_a_backend_that_restarts_under_load_fails_no_job(self):
        self.serve_with(upstream={'max_concurrency': 4})
        jobs = []
        for _ in range(4):
            jobs += [self.submit(f'/reports/{len(jobs) + i}', method='PUT') for i in range(10)]
            self.backend.refuse(break_connections=False)
            jobs += [self.submit(f'/reports/{len(jobs) + i}', method='PUT') for i in range(5)]
            self.backend.accept()
        self.assertEqual({'succeeded'}, {job.wait(30).ended() for job in jobs})

    def test_a_backend_that_takes_connections_and_resets_them_is_not_hammered(self):
        self.serve_with()
        self.backend.on('/reports', lambda exchange: exchange.reset(), read_body=False)
        job = self.submit(method='PUT', body=b'x').wait()
        self.assertLessEqual(self.backend.count(), 3)
        self.assertNotEqual('succeeded', job.ended())

    def test_a_second_server_takes_over_from_one_that_is_down(self):
        self.backend.refuse()
        other = Backend()
        self.addCleanup(other.stop)
        self.serve(upstream={'servers': [self.backend.url, other.url]})
        jobs = [self.submit() for _ in range(6)]
        self.assertEqual({'succeeded'}, {job.ended() for job in jobs})
        self.assertEqual(6, other.count())
