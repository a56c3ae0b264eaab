"""Negative controls: programs with one promise broken on purpose. The same checkers that pass the real program must
fail these, or they prove nothing. $RAINCHECK_CONTROLS names their folder; without it build/*/controls is looked for,
and without that the tests are skipped, loudly."""
import glob
import os
import random
import unittest

import harness
import powerfail
import test_powerloss
from backend import Gate, answer
from program import ROOT
from test_crash import crash_loop
from wire import wait_until

REASON = None


def setUpModule():
    global REASON  # pylint: disable=global-statement
    REASON = powerfail.own_mounts()


def control(name):
    folders = [os.environ['RAINCHECK_CONTROLS']] if 'RAINCHECK_CONTROLS' in os.environ else glob.glob(
        os.path.join(ROOT, 'build', '*', 'controls'))
    for folder in folders:
        path = os.path.join(folder, f'raincheck-{name}')
        if os.access(path, os.X_OK):
            return path
    raise unittest.SkipTest(f'no raincheck-{name}: configure with -DRAINCHECK_CONTROLS=ON, or set $RAINCHECK_CONTROLS')


class Controls(harness.EndToEnd):
    def broken_promises(self, loop, name, attempts, words, count):
        """Runs `loop` against the control until a checker says one of `words`; several attempts, for it is chance."""
        program = control(name)
        broken = []
        for _ in range(attempts):
            seed = random.SystemRandom().randrange(10**6)
            broken = loop(self, count, seed, program)
            if any(word in text for text in broken for word in words):
                return
            self.proxy.close()
            self.doCleanups()
            self.setUp()
        self.fail(f'{name} broke none of {words}: the checker is blind; it only said {broken[:5]}')

    def test_a_202_before_the_commit_is_caught_by_polls_and_kill_9(self):
        self.broken_promises(crash_loop, 'early-202', 4, ('lost', 'not there at once'), 10)

    def test_an_attempt_without_a_record_is_caught_by_kill_9(self):
        self.broken_promises(crash_loop, 'no-attempt-record', 4, ('unsafe call was sent',), 10)

    def test_a_store_without_sync_is_caught_by_loss_of_power(self):
        if REASON:
            raise unittest.SkipTest(REASON)
        words = ('lost', 'changed', 'unsafe', 'pending again')
        self.broken_promises(test_powerloss.power_loop, 'sync-off', 4, words, 3)

    def test_a_finish_without_a_fence_is_caught_by_cancels_that_race_it(self):
        self.serve(program=control('no-fence'), upstream={'max_concurrency': 50})
        for _ in range(400):
            gate = self.backend.on('/reports', Gate(answer(200, b'won')))
            job = self.submit()
            self.wait_for_calls(gate)
            gate.open()
            told = harness.problem(job.cancel())['status']
            final = wait_until(lambda: job.outcome()['status'], 'the end')  # pylint: disable=cell-var-from-loop
            if told != final:
                return
        self.fail('no canceled job ever changed its mind: the checker is blind')
