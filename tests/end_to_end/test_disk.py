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


class FullDisk(harness.EndToEnd):
    def setUp(self):
        if REASON:
            raise unittest.SkipTest(REASON)
        super().setUp()
        self.disk = powerfail.SmallDisk()
        self.addCleanup(self.disk.close)
        self.serve(routes=[route('/reports/*', limits={'body': '100MiB'})], upstream={'max_concurrency': 4},
                   store={'directory': os.path.join(self.disk.path, 'store'), 'inline_max': '16KiB'})

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
