"""A disk that is full, and a disk that fails. Skipped, loudly, where nothing can be mounted or strace is missing."""
import hashlib
import os
import shutil
import unittest

import harness  # noqa: F401
import powerfail
from backend import Gate, answer, echo
from harness import Job, route
from wire import ProtocolError, wait_until

REASON = None


def setUpModule():
    global REASON  # pylint: disable=global-statement
    REASON = powerfail.own_mounts()


class SmallDisks(harness.EndToEnd):
    """raincheck with its store on a disk that can be filled."""

    disks = powerfail.SmallDisk
    mebibytes = 16
    store = {}

    def setUp(self):
        if REASON:
            raise unittest.SkipTest(REASON)
        super().setUp()
        self.disk = self.disks(self.mebibytes)
        self.addCleanup(self.disk.close)
        self.serve(routes=[route('/reports/*', limits={'body': '100MiB'})], upstream={'max_concurrency': 4},
                   store={'directory': os.path.join(self.disk.path, 'store'), 'inline_max': '16KiB', **self.store},
                   jobs={'retention': {'result': '24h', **self.retention}})

    retention = {}

    def fill(self):
        """Fills the disk until a submission is refused."""
        def refused():
            self.disk.fill()
            answered = self.request('POST', '/reports/filler', (), b'x' * 8000)
            return answered if answered.status != 202 else None
        refused = wait_until(refused, 'a refusal', 20)
        self.assert_problem(refused, 503)
        self.assertRegex(refused.get('Retry-After'), r'\A[1-9][0-9]*\Z')

    def accepts_again(self):
        answered = self.request('POST', '/reports/again', (), b'x' * 8000)
        return Job(self.proxy, answered) if answered.status == 202 else None

    def reserved(self):
        return os.path.getsize(os.path.join(self.disk.path, 'store', 'reserve'))


class FullDisk(SmallDisks):
    """Without a reserve: nothing can be recorded."""

    store = {'min_free': '0B', 'reserve': '0B'}

    def test_a_full_disk_is_503_while_all_else_goes_on_and_recovers_by_itself(self):
        done = self.submit(body=b'kept').wait()
        self.fill()
        for _ in range(5):
            self.assertEqual(503, self.request('POST', '/reports/1', (), b'x' * 8000).status)
            self.assertEqual(b'plain', self.request('POST', '/plain', (), b'plain').body)
            self.assertEqual(302, done.poll().status)
            self.assertEqual(b'kept', done.result().body)
        self.assertEqual(0, self.backend.count('/reports/1') - 1)
        self.disk.free()
        job = wait_until(self.accepts_again, 'a 202 after space returned', 20)
        self.assertEqual(200, job.wait().result().status)
        self.assertTrue(self.proxy.running)

    def test_a_store_in_memory_is_warned_of(self):
        self.assertIn(f'the store is in memory ({self.disk.path}/store)', self.proxy.log())

    def test_a_large_body_that_does_not_fit_is_503_and_leaves_no_file(self):
        answered = self.request('POST', '/reports/1', (), b'x' * (20 << 20), timeout=60)
        self.assert_problem(answered, (503, 507))
        wait_until(lambda: not self.spooled(), lambda: f'an empty spool, not {self.spooled()}')
        self.assertEqual(0, self.backend.count())
        self.assertEqual(200, wait_until(self.accepts_again, 'a 202', 20).wait().result().status)

    def spooled(self):
        return [path for path in harness.files_under(os.path.join(self.disk.path, 'store'))
                if os.path.getsize(path) > 10 << 20]

    def test_a_result_that_cannot_be_written_is_held_until_it_can_be(self):
        for size in (1000, 2 << 20):
            body = os.urandom(size)
            gate = self.backend.on('/reports/held', Gate(answer(200, body)))
            job = self.submit('/reports/held')
            self.wait_for_calls(gate)
            self.fill()
            gate.open()
            self.assertEqual(200, job.poll(query='?wait=1s').status)
            self.assertEqual(b'plain', self.request('POST', '/plain', (), b'plain').body)
            self.disk.free()
            result = job.wait(30).result()
            self.assertEqual((200, hashlib.sha256(body).hexdigest()), (result.status, result.digest))
        self.assertEqual(2, self.backend.count('/reports/held'))

    def test_on_a_full_disk_it_starts_or_says_why_not_and_loses_nothing(self):
        done = self.submit(body=b'kept').wait()
        self.fill()
        self.proxy.kill()
        self.disk.fill()
        self.proxy.spawn()
        wait_until(lambda: self.proxy.notified('READY=1') or not self.proxy.running, 'a start or its end')
        if not self.proxy.running:
            self.assertEqual(74, self.proxy.process.returncode)
            self.assertIn('full', self.proxy.log().splitlines()[-1])
        else:
            self.proxy.kill()
        self.disk.free()
        self.proxy.start()
        self.assertEqual(b'kept', done.result().body)
        wait_until(self.accepts_again, 'a 202 after space returned', 20)


class Reserve(SmallDisks):
    """With one: what is under way ends."""

    disks = powerfail.SmallLoopDisk
    mebibytes = 96
    store = {'min_free': '8MiB', 'reserve': '16MiB'}
    retention = {'result': '4s', 'failed_request': '0s'}

    def test_on_a_disk_filled_by_others_jobs_under_way_end_and_are_recorded(self):
        bodies = {f'/reports/{number}': os.urandom(size) for number, size in enumerate((10, 12_000, 200_000, 2 << 20))}
        gates = {target: self.backend.on(target, Gate(answer(200, body))) for target, body in bodies.items()}
        jobs = {target: self.submit(target, fields=[('Idempotency-Key', f'"{target}"')]) for target in bodies}
        for gate in gates.values():
            self.wait_for_calls(gate)
        queued = self.submit('/reports/queued')
        self.assertEqual(16 << 20, self.reserved())
        self.fill()
        self.assertLess(self.disk.free_bytes(), 1 << 20)
        for gate in gates.values():
            gate.open()
        for target, job in jobs.items():
            result = job.wait().result()
            self.assertEqual((200, hashlib.sha256(bodies[target]).hexdigest()), (result.status, result.digest))
        # Some of the reserve was used, so nothing begins, and nothing new is taken; what is known is answered.
        self.assertLess(self.reserved(), 16 << 20)
        self.assert_problem(self.request('POST', '/reports/more', (), b'x'), 503)
        self.assertEqual('queued', queued.state())
        target, job = next(iter(jobs.items()))
        again = self.request('POST', target, [('Idempotency-Key', f'"{target}"')], b'data')
        self.assertEqual((202, job.url), (again.status, again.get('Location')))
        self.assertEqual(1, self.backend.count(target))
        self.assertIn('takes no new jobs', self.proxy.log())
        self.assertEqual({'disk_full'}, {line['reason'] for line in self.proxy.access_log() if line['status'] == 503})
        self.disk.free()
        self.assertEqual(200, queued.wait().result().status)
        wait_until(self.accepts_again, 'a 202 after space returned', 20)
        self.assertEqual(16 << 20, self.reserved())
        wait_until(lambda: 'takes new jobs again' in self.proxy.log(), 'the end of it in the log', 20)

    def test_a_backlog_with_large_results_fills_the_disk_and_ends_all_the_same(self):
        """200 MiB of results come through a disk of 96: they wait for room, which comes as results expire."""
        body = os.urandom(1 << 20)
        gate = self.backend.on('/reports', Gate(answer(200, body)))
        jobs = [self.submit(f'/reports/{number:03}') for number in range(200)]
        gate.open()
        refused = wait_until(lambda: self.request('POST', '/reports/more', (), b'x').status == 503, 'a refusal', 20)
        self.assertTrue(refused)
        wait_until(lambda: self.backend.count() >= 200, lambda: f'200 calls; {self.backend.count()} came', 90)
        wait_until(lambda: all(job.poll().status in (302, 404, 410) for job in jobs[-5:]), 'the last ones final', 30)
        calls = [self.backend.count(f'/reports/{number:03}') for number in range(200)]
        self.assertEqual({1}, set(calls))
        wait_until(self.accepts_again, 'a 202 after results expired', 20)
        self.assertTrue(self.proxy.running)

    def test_it_starts_on_a_full_disk_and_ends_what_was_under_way(self):
        gate = self.backend.on('/reports/held', Gate(answer(200, b'late')))
        held = self.submit('/reports/held', method='PUT')
        self.wait_for_calls(gate)
        self.fill()
        self.proxy.kill()
        self.disk.fill()
        gate.open()
        self.proxy.start()
        self.assertEqual(503, self.request('POST', '/reports/more', (), b'x').status)
        self.disk.free()
        self.assertEqual(b'late', held.wait().result().body)

    def test_less_than_min_free_is_503_while_queued_jobs_go_on(self):
        with open(self.disk.ballast, 'wb') as file:
            os.posix_fallocate(file.fileno(), 0, self.disk.free_bytes() - (6 << 20))
        self.assert_problem(self.request('POST', '/reports/1', (), b'x'), 503)
        self.assert_problem(self.request('POST', '/reports/1', (), b'x' * 100_000), 503)
        self.assertEqual(16 << 20, self.reserved())
        self.disk.free()
        self.assertEqual(200, self.accepts_again().wait().result().status)


@unittest.skipUnless(shutil.which('strace'), 'failing system calls are made with strace, which is missing')
class FailingDisk(harness.EndToEnd):
    def serve_failing(self, fault):
        self.serve(store={'inline_max': '4KiB'}, environment={'ASAN_OPTIONS': 'detect_leaks=0'},  # not under strace
                   wrapper=['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fsync,fdatasync', '-e',
                            f'inject=fsync,fdatasync:{fault}'])

    def submit_until_refused(self):
        """Submits until there is something else than a 202; returns the accepted jobs."""
        accepted = []
        for number in range(400):
            body = b'%d' % number * (1 if number % 3 else 3000)
            try:
                answered = self.request('POST', f'/reports/{number}', (), body)
            except (OSError, ProtocolError):
                return accepted, None
            if answered.status != 202:
                return accepted, answered
            accepted.append((Job(self.proxy, answered), body))
        self.fail('four hundred submissions and no sync failed')

    def test_a_sync_that_fails_is_never_answered_202_nor_trusted_again(self):
        self.backend.on('/reports', echo)
        self.serve_failing('error=EIO:when=60+')
        accepted, refusal = self.submit_until_refused()
        self.assertTrue(accepted)
        if refusal:
            self.assertEqual(503, refusal.status)
        for number in range(5):
            try:
                self.assertEqual(503, self.request('POST', f'/reports/more{number}', (), b'').status)
            except (OSError, ProtocolError):
                break
        self.assertEqual(74, self.proxy.wait())
        self.proxy.wrapper = []
        self.proxy.start()
        for job, _ in accepted:
            self.assertIn(job.poll().status, (200, 302))
        for job, body in accepted:
            if job.ended() == 'succeeded':
                self.assertEqual(body, job.result().body)
        for number in range(5):
            self.assertEqual(0, self.backend.count(f'/reports/more{number}'))

    def test_one_sync_that_fails_is_enough(self):
        """The kernel forgets what a failed sync did not write: the next one that succeeds proves nothing."""
        self.serve_failing('error=EIO:when=60')
        accepted, _ = self.submit_until_refused()
        try:
            for number in range(20):
                self.assertNotEqual(202, self.request('POST', f'/reports/more{number}', (), b'').status)
        except (OSError, ProtocolError):
            pass
        self.assertEqual(74, self.proxy.wait())
        self.proxy.wrapper = []
        self.proxy.start()
        for job, _ in accepted:
            self.assertIn(job.poll().status, (200, 302))

    def check_health(self, proxy):
        proxy.stop_at_once()  # to end after a failed sync is right, whatever the exit code
        self.assertEqual([], proxy.faults())
