"""Starting and stopping as systemd sees it, and coming back after a kill."""
import os
import signal
import time

from backend import Gate, echo, hang
from harness import EndToEnd, problem, route
from program import binary, is_sanitized
from wire import Truncated, request_bytes, wait_until


class Stopping(EndToEnd):
    def test_what_is_under_way_is_finished_and_what_is_queued_stays(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate(echo))
        running, queued = self.submit(body=b'running'), self.submit(body=b'queued')
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        wait_until(lambda: self.proxy.notified('STOPPING=1'), 'STOPPING=1')
        self.assertTrue(self.proxy.running)
        gate.open()
        self.assertEqual(0, self.proxy.wait())
        self.assertEqual(1, self.backend.count())
        self.proxy.start()
        self.assertEqual(b'running', running.wait().result().body)
        self.assertEqual(b'queued', queued.wait().result().body)
        self.assertEqual(2, self.backend.count())

    def test_nobody_who_waits_to_be_accepted_is_cut_off(self):
        self.serve()
        self.proxy.signal(signal.SIGSTOP)
        # More than each shard accepts in one turn of its loop.
        waiting = [self.client() for _ in range(200 * len(os.sched_getaffinity(0)))]
        for client in waiting:
            client.send(request_bytes('GET', '/x'))
        self.proxy.signal(signal.SIGTERM)
        self.proxy.signal(signal.SIGCONT)
        self.assertEqual([200] * len(waiting), [client.answer().status for client in waiting])
        self.assertEqual(0, self.proxy.wait())

    def test_a_plain_call_under_way_is_finished_and_its_connection_closed(self):
        self.serve()
        gate = self.backend.on('/plain', Gate())
        client = self.client()
        client.send(request_bytes('GET', '/plain'))
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        wait_until(lambda: self.proxy.notified('STOPPING=1'), 'STOPPING=1')
        gate.open()
        answered = client.answer()
        self.assertEqual((200, 'close'), (answered.status, answered.get('Connection', '').lower()))
        self.assertEqual(0, self.proxy.wait())

    def test_idle_connections_are_closed_and_new_ones_refused(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        idle = self.client()
        self.assertEqual(200, idle.request('GET', '/x').status)
        self.submit()
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        self.assertTrue(idle.ends())

        def refused():
            try:
                with self.client(timeout=2) as client:
                    return client.request('GET', '/x').status == 503
            except (OSError, Truncated):
                return True
        wait_until(refused, 'refusal')
        gate.open()
        self.assertEqual(0, self.proxy.wait())

    def test_a_second_sigterm_ends_it_at_once(self):
        self.serve()
        gate = self.backend.on('/reports', Gate(goes_on=True))
        job = self.submit()
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        wait_until(lambda: self.proxy.notified('STOPPING=1'), 'STOPPING=1')
        self.proxy.signal(signal.SIGTERM)
        self.proxy.wait(3)
        gate.open()
        self.proxy.start()
        self.assertEqual('outcome_unknown', job.ended())
        self.assertEqual(1, self.backend.count())

    def test_the_grace_period_has_an_end(self):
        self.serve(routes=[route('/reports/*')], shutdown={'grace_period': '500ms'})
        gate = self.backend.on('/reports', Gate(goes_on=True))
        jobs = [self.submit(method=method) for method in ('POST', 'PUT')]
        self.wait_for_calls(gate, 2)
        started = time.monotonic()
        self.assertEqual(0, self.proxy.stop())
        self.assertLess(time.monotonic() - started, 5)
        gate.open()
        self.proxy.start()
        self.assertEqual(['outcome_unknown', 'succeeded'], [job.ended() for job in jobs])

    def test_an_idle_program_stops_at_once(self):
        self.serve()
        self.submit().wait()
        started = time.monotonic()
        self.assertEqual(0, self.proxy.stop())
        self.assertLess(time.monotonic() - started, 2)

    def test_sigint_is_graceful_too(self):
        self.serve()
        self.proxy.signal(signal.SIGINT)
        self.assertEqual(0, self.proxy.wait())

    def test_held_polls_end_when_it_stops(self):
        self.serve()
        gate = self.backend.on('/reports', Gate())
        job = self.submit().wait_for('running')
        client = self.client()
        client.send(request_bytes('GET', job.url + '?wait=20s'))
        for _ in range(5):
            self.assertEqual('running', job.state())  # by now it has surely been read
        self.proxy.signal(signal.SIGTERM)
        self.assertIn(client.answer().status, (200, 302, 503))
        gate.open()
        self.assertEqual(0, self.proxy.wait())


class Starting(EndToEnd):
    def test_readiness_is_told_when_it_listens(self):
        self.serve()
        self.assertIn('READY=1', self.proxy.notifications)
        for step in ('opening the store', 'looking for jobs that were running'):
            self.assertIn(f'STATUS={step}', self.proxy.notifications)
        self.assertIn('EXTEND_TIMEOUT_USEC=300000000', self.proxy.notifications)
        self.assertEqual(200, self.request('GET', '/x').status)

    def test_each_listener_gets_its_port(self):
        self.serve(listeners=[{'address': '127.0.0.1:0'}, {'address': '[::1]:0'}])
        self.assertEqual(2, len(set(self.proxy.listening_ports())))

    def test_the_store_is_readable_by_nobody_else(self):
        self.serve(store={'inline_max': '1KiB'})
        self.submit(body=b'x' * 5000).wait()
        top = os.path.join(self.folder, 'store')
        for path in [top] + [os.path.join(top, name) for name in self.store_files()]:
            self.assertEqual(0, os.stat(path).st_mode & 0o077, path)

    def test_the_working_folder_and_the_environment_are_not_needed(self):
        self.serve(environment={'HOME': '/nonexistent', 'PATH': '', 'LANG': 'xx_YY', 'TZ': ':/nonexistent'})
        self.assertEqual('succeeded', self.submit().ended())

    def test_a_small_file_limit_is_an_answer_not_a_crash(self):
        if is_sanitized(binary()):
            self.skipTest('without a descriptor for a pipe, UBSan takes every object for a broken one')
        self.serve(wrapper=['prlimit', '--nofile=64:64'])
        clients = []
        try:
            for _ in range(100):
                clients.append(self.client(timeout=2))
        except OSError:
            pass
        for client in clients:
            client.close()
        wait_until(lambda: self.answers(), 'service after the flood')  # pylint: disable=unnecessary-lambda

    def answers(self):
        try:
            return self.request('GET', '/x', timeout=2).status == 200
        except OSError:
            return False


class ComingBack(EndToEnd):
    """One kill at a time, at a known place; test_crash.py does it at random."""

    def test_jobs_that_had_not_begun_are_carried_out_after_a_kill(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports/held', Gate())
        self.submit('/reports/held')
        self.wait_for_calls(gate)
        queued = [self.submit(f'/reports/{i}', body=b'%d' % i) for i in range(20)]
        self.proxy.kill()
        gate.open()
        self.proxy.start()
        self.assertEqual([b'%d' % i for i in range(20)], [job.wait().result().body for job in queued])
        self.assertEqual(20, self.backend.count() - self.backend.count('/reports/held'))

    def test_a_running_post_is_outcome_unknown_after_a_kill_and_a_put_is_sent_again(self):
        self.serve()
        gate = self.backend.on('/reports', Gate(echo))
        methods = ('POST', 'PUT', 'PATCH', 'DELETE')
        jobs = {method: self.submit(f'/reports/{method}', method=method) for method in methods}
        self.wait_for_calls(gate, 4)
        self.proxy.kill()
        gate.open()
        self.proxy.start()
        ended = {method: job.ended() for method, job in jobs.items()}
        self.assertEqual({'POST': 'outcome_unknown', 'PATCH': 'outcome_unknown', 'PUT': 'succeeded',
                          'DELETE': 'succeeded'}, ended)
        calls = {method: self.backend.count(f'/reports/{method}') for method in jobs}
        self.assertEqual({'POST': 1, 'PATCH': 1, 'PUT': 2, 'DELETE': 2}, calls)

    def test_the_outcome_stays_the_same_however_often_it_is_killed(self):
        self.serve()
        self.backend.on('/reports', hang)
        job = self.submit()
        wait_until(lambda: self.backend.count() == 1, 'the call')
        for _ in range(3):
            self.proxy.restart()
            self.assertEqual('outcome_unknown', job.ended())
        documents = []
        for _ in range(2):
            documents.append(problem(job.cancel()))
            self.proxy.restart()
        self.assertEqual(*documents)

    def test_with_drain_a_call_cut_by_a_kill_keeps_its_slot_from_its_retry(self):
        self.serve(upstream={'max_concurrency': 1, 'on_abort': 'drain', 'abort_hold': '1s'})
        gate = self.backend.on('/reports', Gate(echo, goes_on=True))
        began = time.monotonic()
        job = self.submit(method='PUT')
        self.wait_for_calls(gate)
        self.proxy.restart()
        wait_until(lambda: len(gate.entered) == 2, 'the second call')
        self.assertGreater(time.monotonic() - began, 1)
        gate.open()
        self.assertEqual('succeeded', job.ended())

    def test_with_drain_it_keeps_it_where_it_was_called_whatever_its_route_has_now(self):
        upstream = {'max_concurrency': 1, 'on_abort': 'drain', 'abort_hold': '1h'}
        self.serve(upstream=upstream)
        gate = self.backend.on('/reports', Gate(echo, goes_on=True))
        job = self.submit(method='PUT')
        self.wait_for_calls(gate)
        self.proxy.kill()
        moved = self.config([route(upstream='other')], upstream=upstream, upstreams={'other': self.backend.url})
        self.proxy.configure(moved)
        self.proxy.start()
        document = job.document()
        self.assertEqual('queued', document['status'])
        self.assertIn('nextAttemptAt', document)
        self.assertEqual(1, self.backend.count())
        gate.open()

    def test_a_job_whose_route_was_removed_fails_and_says_so(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate())
        self.submit()
        job = self.submit()
        self.wait_for_calls(gate)
        self.proxy.kill()
        gate.open()
        self.proxy.configure(self.config([route('/others/*')]))
        self.proxy.start()
        self.assertEqual('route_removed', job.ended())
        self.assert_problem(job.result(), 500)
