"""Power loss under load: every 202 that a client saw is there when power returns, every final state is what it was, and
no unsafe call is sent twice. Skipped, loudly, where the machine cannot mount a loop device."""
import os
import random
import unittest

import harness  # noqa: F401
import powerfail
from load import Load, check, routes, summary
from program import Raincheck

ROUNDS = int(os.environ.get('RAINCHECK_POWER_CUTS', '6'))
REASON = None


def setUpModule():
    global REASON  # pylint: disable=global-statement
    REASON = powerfail.own_mounts()


def power_loop(test, rounds, seed, program=None):
    """Cuts the power under load `rounds` times and returns every broken promise."""
    dice = random.Random(seed)
    disk = powerfail.LoopDisk()
    test.addCleanup(disk.close)
    config = test.config(routes(), {'max_concurrency': 16},
                         store={'inline_max': '4KiB', 'directory': os.path.join(disk.path, 'store')})
    proxy = test.proxy = Raincheck(test.folder, config, program)
    test.addCleanup(proxy.close)
    load = test.load = Load(lambda: proxy.port, seed, test.backend)
    proxy.start()
    load.start()
    try:
        for _ in range(rounds):
            load.stopping.wait(dice.uniform(0.3, 1.2))
            test.assertTrue(proxy.running, 'it ended by itself')
            load.failing = True
            disk.cut_power()
            load.stopping.wait(0.02)  # answers that are given now rest on nothing
            proxy.kill()
            disk.return_power()
            load.failing = False
            try:
                proxy.start()
            except AssertionError as error:
                return [f'everything is lost, for it does not start again: {error}']
        load.stopping.wait(0.3)
    finally:
        load.stop()
    broken = check(load, load.settle()) + proxy.faults()
    print(f'power loss: seed {seed}, {rounds} cuts, {summary(load)}', flush=True)
    return broken


class PowerLoss(harness.EndToEnd):
    def setUp(self):
        if REASON:
            raise unittest.SkipTest(REASON)
        super().setUp()

    def test_every_202_survives_the_loss_of_power(self):
        seed = int(os.environ.get('RAINCHECK_SEED') or random.SystemRandom().randrange(10**6))
        broken = power_loop(self, ROUNDS, seed)
        self.assertEqual([], broken[:20], f'{len(broken)} broken promises; RAINCHECK_SEED={seed} plays it again')
