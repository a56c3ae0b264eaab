"""The crash loop: the real program under real load, killed with -9 at random moments, at least fifty times; then every
promise is checked against what clients and backend saw. Prints its seed; RAINCHECK_SEED=n plays the same dice again,
RAINCHECK_CRASHES=n sets the number of kills. The same with SIGTERM, a fifth as often."""
import os
import random

from harness import EndToEnd
from load import Load, check, routes, summary
from program import Raincheck
from wire import Client, wait_until

CRASHES = int(os.environ.get('RAINCHECK_CRASHES', '50'))


def kill(proxy):
    proxy.kill()


def crash_loop(test, crashes, seed, program=None, end=kill):
    """Runs the loop, where `end` ends the program each time, and returns every broken promise."""
    dice = random.Random(seed)
    config = test.config(routes(), {'max_concurrency': 16}, store={'inline_max': '4KiB'})
    proxy = test.proxy = Raincheck(test.folder, config, program)
    test.addCleanup(proxy.close)
    load = test.load = Load(lambda: proxy.port, seed, test.backend)
    proxy.start()
    load.start()
    try:
        for _ in range(crashes):
            load.stopping.wait(dice.uniform(0.05, 0.6))
            test.assertTrue(proxy.running, 'it ended by itself')
            end(proxy)
            proxy.start()
        load.stopping.wait(0.5)
    finally:
        load.stop()
    broken = check(load, load.settle()) + proxy.faults()
    print(f'crash loop: seed {seed}, {crashes} ends, {summary(load)}', flush=True)
    return broken


class Crashes(EndToEnd):
    def test_no_promise_is_broken_however_often_it_is_killed(self):
        self.check_promises(CRASHES, kill)
        self.check_spool()

    def test_no_promise_is_broken_however_often_it_is_stopped_under_load(self):
        def stop(proxy):
            self.assertEqual(0, proxy.stop(), proxy.log()[-3000:])
        self.check_promises(CRASHES // 5, stop)

    def check_promises(self, ends, end):
        seed = int(os.environ.get('RAINCHECK_SEED') or random.SystemRandom().randrange(10**6))
        broken = crash_loop(self, ends, seed, end=end)
        self.assertEqual([], broken[:20], f'{len(broken)} broken promises; RAINCHECK_SEED={seed} plays it again')

    def check_spool(self):
        """When every known job has been erased, only bodies of jobs whose 202 was cut off may be left; a restart, which
        removes orphans, finds none."""
        with Client(self.proxy.port) as client:
            for submission in self.load.submissions:
                if submission.id:
                    self.assertEqual(204, client.request('DELETE', f'/_jobs/{submission.id}/result').status)
        unseen = sum(1 for s in self.load.submissions if None in s.outcomes and not s.id)
        wait_until(lambda: len(self.spool_files()) <= unseen, lambda: f'{unseen} files, not {len(self.spool_files())}')
        before = self.spool_files()
        self.proxy.restart()
        self.assertEqual(before, self.spool_files())
