"""An upstream of several servers: how calls are shared out among them."""
from backend import Backend, Gate, answer, hang, in_turn, reset_after_reading
from harness import EndToEnd, route
from wire import wait_until


class TwoServers(EndToEnd):
    def setUp(self):
        super().setUp()
        self.other = Backend()
        self.addCleanup(self.other.stop)

    def serve_both(self, first=(), second=(), routes=None, **upstream):
        servers = [{'url': self.backend.url, **dict(first)}, {'url': self.other.url, **dict(second)}]
        self.serve(routes, upstream={'servers': servers, **upstream})

    def server_of(self, session, method='GET', target='/x'):
        """Which of the two a call of a session goes to."""
        before = self.backend.count(target), self.other.count(target)
        fields = [('Cookie', f'SESSION={session}')]
        if method == 'POST':
            self.submit(target, fields=fields).wait()
        else:
            self.assertEqual(200, self.request(method, target, fields).status)
        after = self.backend.count(target), self.other.count(target)
        return {(1, 0): 'first', (0, 1): 'second'}[after[0] - before[0], after[1] - before[1]]

    def gates(self):
        return self.backend.on('/reports', Gate()), self.other.on('/reports', Gate())

    def logged(self, text):
        return self.proxy.log().count(text)

    def call(self, count=1, target='/x'):
        """So many plain calls, one after the other; their statuses."""
        with self.client() as client:
            return [client.request('GET', target).status for _ in range(count)]

    def counts(self, target='/x'):
        return self.backend.count(target), self.other.count(target)


class Servers(TwoServers):
    def test_calls_are_shared_out_by_weight(self):
        self.serve_both({'weight': 1}, {'weight': 3})
        with self.client() as client:
            for _ in range(40):
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual((10, 30), (self.backend.count('/x'), self.other.count('/x')))

    def test_a_server_at_its_limit_is_passed_over(self):
        self.serve_both({'max_concurrency': 1}, max_concurrency=6)
        limited, free = self.gates()
        jobs = [self.submit() for _ in range(5)]
        self.wait_for_calls(free, 4)
        self.assertEqual(1, len(limited.entered))
        limited.open()
        free.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)

    def test_what_no_server_has_room_for_waits_in_the_queue(self):
        self.serve_both({'max_concurrency': 1}, {'max_concurrency': 1}, max_concurrency=6)
        gates = self.gates()
        jobs = [self.submit() for _ in range(4)]
        for gate in gates:
            self.wait_for_calls(gate)
        self.assertEqual(['running', 'running', 'queued', 'queued'], [job.state() for job in jobs])
        for gate in gates:
            gate.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)
        self.assertEqual((1, 1), (self.backend.peak, self.other.peak))

    def test_a_server_at_its_limit_is_waited_for_when_the_other_is_down(self):
        self.other.refuse()
        self.serve_both({'max_concurrency': 1}, max_concurrency=3)
        gate = self.backend.on('/reports', Gate())
        jobs = [self.submit() for _ in range(3)]
        self.wait_for_calls(gate)
        wait_until(lambda: [job.state() for job in jobs] == ['running'] * 3, 'all begun')
        gate.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)
        self.assertEqual((3, 1), (self.backend.count('/reports'), self.backend.peak))

    def test_a_plain_call_waits_for_a_server_too(self):
        self.other.refuse()
        self.serve_both({'max_concurrency': 1}, max_concurrency=3)
        gate = self.backend.on('/x', Gate(answer(200, b'first')))
        waiting = [self.client() for _ in range(2)]
        for client in waiting:
            client.send(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
        self.wait_for_calls(gate)
        gate.open()
        for client in waiting:
            self.assertEqual(b'first', client.answer().body)
        self.assertEqual(1, self.backend.peak)

    def test_a_server_that_comes_back_is_called_again(self):
        self.other.refuse()
        self.serve_both()
        with self.client() as client:
            for _ in range(4):
                self.assertEqual(200, client.request('GET', '/x').status)
            self.assertEqual((4, 0), (self.backend.count('/x'), self.other.count('/x')))
            self.other.accept()
            self.backend.refuse()
            for _ in range(4):
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual(4, self.other.count('/x'))

    def test_a_server_that_a_check_finds_up_is_called_at_once(self):
        self.other.refuse()
        self.serve_both(health_check={'path': '/health', 'interval': '500ms', 'timeout': '400ms',
                                      'rise': 1, 'fall': 3})
        with self.client() as client:  # one, for each thread remembers for itself
            for _ in range(4):
                self.assertEqual(200, client.request('GET', '/x').status)
            self.assertEqual(0, self.logged('is down'), 'the calls met it before the checks did')
            wait_until(lambda: self.logged('is down'), 'down')
            self.other.accept()
            wait_until(lambda: self.logged('is up again'), 'up')
            before = self.counts()
            for _ in range(20):
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual(10, self.counts()[1] - before[1])

    def test_the_least_busy_server_is_called(self):
        self.serve_both(lb_policy='least_conn')
        gate = self.backend.on('/x', Gate())
        with self.client() as waiting:
            waiting.send(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
            self.wait_for_calls(gate)
            with self.client() as client:
                for _ in range(4):
                    self.assertEqual(200, client.request('GET', '/x').status)
            self.assertEqual((1, 4), (self.backend.count('/x'), self.other.count('/x')))
            gate.open()
            self.assertEqual(200, waiting.answer().status)

    def test_jobs_under_way_make_a_server_busy(self):
        self.serve_both({'weight': 2}, lb_policy='least_conn', max_concurrency=6)
        gates = self.gates()
        jobs = [self.submit() for _ in range(6)]
        self.wait_for_calls(gates[0], 4)
        self.wait_for_calls(gates[1], 2)
        for gate in gates:
            gate.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)

    def test_calls_with_the_same_key_go_to_the_same_server(self):
        self.serve_both(lb_policy='hash', hash_key='${cookie.SESSION}')
        sessions = range(12)
        servers = [self.server_of(session) for session in sessions]
        self.assertEqual({'first', 'second'}, set(servers))
        self.assertEqual(servers, [self.server_of(session) for session in sessions])
        jobs = [self.server_of(session, 'POST', '/reports/1') for session in sessions]
        self.assertEqual(servers, jobs, 'what is stored of a job has the same key')

    def test_a_lost_server_moves_its_keys_only_and_gets_them_back(self):
        self.serve_both(lb_policy='hash', hash_key='${cookie.SESSION}')
        sessions = range(12)
        servers = [self.server_of(session) for session in sessions]
        self.other.refuse()
        self.assertEqual({'first'}, {self.server_of(session) for session in sessions})
        self.other.accept()
        self.proxy.restart()
        self.assertEqual(servers, [self.server_of(session) for session in sessions])

    def test_calls_without_the_key_take_turns(self):
        self.serve_both(lb_policy='hash', hash_key='${cookie.SESSION}')
        with self.client() as client:
            for _ in range(10):
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual((5, 5), (self.backend.count('/x'), self.other.count('/x')))


class OutlierDetection(TwoServers):
    def test_a_server_whose_calls_fail_is_left_out(self):
        self.other.on('/x', answer(503))
        self.serve_both(outlier_detection={'consecutive_errors': 3, 'ejection_time': '60s'})
        statuses = self.call(20)
        self.assertEqual((17, 3), (statuses.count(200), statuses.count(503)))
        self.assertEqual((17, 3), self.counts())
        self.assertEqual(1, self.logged('is ejected for 60000 ms: 3 calls failed in a row, the last by: status 503'))
        self.assertEqual(1, self.logged('is ejected'))

    def test_a_good_answer_between_keeps_it(self):
        self.other.on('/x', in_turn(answer(503), answer(500), answer(504), answer(200), answer(502), answer(404)))
        self.serve_both(outlier_detection={'consecutive_errors': 2})
        self.call(20)
        self.assertEqual((10, 10), self.counts())
        self.assertEqual(0, self.logged('is ejected'))

    def test_jobs_and_plain_calls_count_alike(self):
        self.other.on('/reports', reset_after_reading)
        self.other.on('/x', answer(502))
        self.serve_both(outlier_detection={'consecutive_errors': 2, 'ejection_time': '60s'})
        # Threads take turns each for itself, so the first job may go to either server.
        while self.submit().ended() == 'succeeded':
            pass
        self.assertEqual(0, self.logged('is ejected'))
        self.assertEqual(1, self.call(6).count(502))
        self.assertEqual(1, self.logged('is ejected'))

    def test_a_timeout_counts(self):
        self.other.on('/x', hang)
        self.serve_both(timeouts={'first_byte': '300ms'}, outlier_detection={'consecutive_errors': 1, 'ejection_time': '60s'})
        self.assertEqual(1, self.call(8).count(504))
        self.assertEqual((7, 1), self.counts())

    def test_a_call_that_its_client_gave_up_does_not_count(self):
        gate = self.backend.on('/x', Gate())
        self.serve_both(outlier_detection={'consecutive_errors': 1})
        with self.client() as client:
            client.send(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
            self.wait_for_calls(gate)
        wait_until(lambda: gate.aborted, 'the call given up')
        gate.open()
        self.assertEqual([200] * 4, self.call(4))
        self.assertEqual((3, 2), self.counts())
        self.assertEqual(0, self.logged('is ejected'))

    def test_it_is_called_again_when_its_time_is_over(self):
        self.other.on('/x', answer(503))
        self.serve_both(outlier_detection={'consecutive_errors': 1, 'ejection_time': '300ms'})
        self.call(2)
        self.other.on('/x', answer(200))
        wait_until(lambda: self.call() and self.other.count('/x') > 1, 'called again')
        self.assertEqual((1, 1), (self.logged('is ejected'), self.logged('is called again')))

    def test_one_server_always_stays(self):
        self.other.on('/x', answer(503))
        self.backend.on('/x', answer(503))
        self.serve_both(outlier_detection={'consecutive_errors': 1, 'max_ejected_percent': 100})
        self.assertEqual([503] * 8, self.call(8))
        self.assertEqual(1, self.logged('is ejected'))
        self.assertEqual([1, 7], sorted(self.counts()))

    def test_an_ejected_server_comes_back_slowly(self):
        self.other.on('/x', in_turn(answer(503), answer()))
        self.serve_both(outlier_detection={'consecutive_errors': 1, 'ejection_time': '200ms'}, slow_start='60s')
        self.call(2)
        self.assertEqual(1, self.logged('is ejected'))
        wait_until(lambda: self.call() and self.logged('is called again'), 'the end of the ejection')
        before = self.counts()
        self.call(40)
        self.assertLess(self.counts()[1] - before[1], 10)

    def test_an_ejected_server_is_better_than_none(self):
        self.other.on('/x', answer(503))
        self.serve_both(outlier_detection={'consecutive_errors': 1, 'ejection_time': '60s'})
        self.call(2)
        self.assertEqual(1, self.logged('is ejected'))
        self.other.on('/x', answer(200))
        self.backend.refuse()
        self.assertEqual([200] * 2, self.call(2))

    def test_a_call_that_waits_for_room_goes_to_a_server_that_returns(self):
        self.other.on('/x', answer(503))
        self.serve_both({'max_concurrency': 1}, outlier_detection={'consecutive_errors': 1, 'ejection_time': '2s'})
        self.call(2)
        self.assertEqual(1, self.logged('is ejected'))
        self.other.on('/x', answer(200))
        gate = self.backend.on('/x', Gate())
        with self.client() as first, self.client() as second:
            for client in (first, second):
                client.send(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
            wait_until(lambda: self.other.count('/x') == 2, 'the other called')
            gate.open()
            for client in (first, second):
                self.assertEqual(200, client.answer().status)


class HealthChecks(TwoServers):
    check = {'path': '/health?deep=no', 'interval': '100ms', 'timeout': '100ms', 'rise': 2, 'fall': 2}

    def setUp(self):
        super().setUp()
        self.well(self.backend)
        self.well(self.other)

    def well(self, backend):
        backend.on('/health', answer(204, b''))

    def ill(self, backend):
        backend.on('/health', answer(500))

    def wait_for_log(self, text, count=1):
        wait_until(lambda: self.logged(text) >= count, lambda: f'{text}: {self.proxy.log()[-2000:]}')

    def test_a_server_that_is_down_takes_no_calls_until_it_is_up(self):
        self.ill(self.other)
        self.serve_both(health_check=self.check)
        self.wait_for_log('is down: 2 checks failed in a row, the last by: status 500')
        self.assertEqual([200] * 6, self.call(6))
        self.assertEqual((6, 0), self.counts())
        self.well(self.other)
        self.wait_for_log('is up again')
        self.assertEqual([200] * 6, self.call(6))
        self.assertEqual((9, 3), self.counts())
        self.assertEqual((1, 1), (self.logged('is down'), self.logged('is up again')))
        asked = self.other.seen('/health')[0]
        self.assertEqual(('GET', '/health?deep=no', 'close'), (asked.method, asked.target, asked.get('Connection')))
        self.assertEqual(self.other.url, 'http://' + asked.get('Host'))

    def test_who_refuses_connections_or_does_not_answer_in_time_is_down(self):
        self.backend.on('/health', hang)
        self.other.refuse()
        self.serve_both(health_check=self.check)
        self.wait_for_log('is down', 2)
        self.assertEqual(1, self.logged('the last by: timeout'))

    def test_while_all_are_down_jobs_wait_and_lose_no_attempt(self):
        self.ill(self.backend)
        self.ill(self.other)
        self.serve_both(routes=[route('/reports/*', retry={'max_attempts': 1})], health_check=self.check)
        self.wait_for_log('is down', 2)
        self.assertEqual([502], self.call())
        jobs = [self.submit() for _ in range(5)]
        self.wait_for_log('takes no calls: its jobs wait')
        self.assertNotIn('final', [job.state() for job in jobs])
        self.assertEqual((0, 0), self.counts('/reports'))
        self.well(self.other)
        for job in jobs:
            self.assertEqual('succeeded', job.ended())
        self.assertEqual((0, 5), self.counts('/reports'))

    def test_checks_take_no_slot_and_share_no_connection(self):
        self.serve_both({'max_concurrency': 1}, {'max_concurrency': 1}, health_check=self.check)
        gates = self.gates()
        jobs = [self.submit() for _ in range(2)]
        for gate in gates:
            self.wait_for_calls(gate)
        before = self.backend.count('/health')
        wait_until(lambda: self.backend.count('/health') >= before + 3, 'checked beside the calls')
        for gate in gates:
            gate.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)
        connections = [request.connection for request in self.backend.seen('/health')]
        self.assertEqual(len(connections), len(set(connections)))

    def test_a_check_under_way_does_not_hold_up_a_stop(self):
        gate = self.backend.on('/health', Gate())
        self.serve_both(health_check={'path': '/health', 'interval': '60s', 'timeout': '60s'})
        self.wait_for_calls(gate)
        wait_until(lambda: self.other.count('/health') == 1, 'the other checked')
        self.proxy.stop(within=5)
        self.assertEqual(0, self.proxy.process.returncode)
