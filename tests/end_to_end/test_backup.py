"""Backups: of one instant while the store is served, harmless when they are cut short, and when they are put back nothing
is sent again that may have been carried out since."""
import os
import random
import subprocess
import time

import harness
from backend import Gate, answer, echo
from harness import Job, route
from load import Load, check, routes, summary
from program import Raincheck, binary, die_with_parent, run
from wire import wait_until


class Backups(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.store = os.path.join(self.folder, 'store')
        self.copies = 0

    def copy_path(self):
        self.copies += 1
        return os.path.join(self.folder, f'copy-{self.copies}')

    def back_up(self):
        copy = self.copy_path()
        done = run('store', 'backup', '--config', self.proxy.config_path, copy)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return copy

    def serve_copy(self, copy):
        """Another process, over what is put back from the copy."""
        self.proxy.stop_at_once()
        restored = os.path.join(self.folder, 'restored')
        done = run('store', 'restore', '--store', restored, copy)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        with open(self.proxy.config_path, encoding='utf-8') as file:
            config = file.read().replace(self.store, restored)
        folder = os.path.join(self.folder, 'second')
        os.mkdir(folder)
        self.proxy = Raincheck(folder, config).start()
        self.addCleanup(self.proxy.close)

    def test_what_is_put_back_sends_nothing_again_that_may_have_been_carried_out(self):
        self.serve(routes=[route('/reports/*'), route('/follow/*', follow={})], upstream={'max_concurrency': 2},
                   store={'inline_max': '4KiB'})
        self.backend.on('/reports/done', echo)
        large = os.urandom(300_000)
        done = [self.submit('/reports/done', body).wait() for body in (b'small', large)]
        gate = self.backend.on('/reports', Gate(answer(200, b'answered')))
        held = [self.submit(f'/reports/held{number}') for number in range(2)]
        self.wait_for_calls(gate, 2)
        unsafe = [self.submit(f'/reports/unsafe{number}', body) for number, body in enumerate((b'x', large))]
        safe = [self.submit(f'/reports/safe{number}', body, method='PUT') for number, body in enumerate((b'x', large))]
        keyed = self.submit('/reports/keyed', fields=[('Idempotency-Key', '"before"')])
        copy = self.back_up()
        # Life goes on: everything in the copy is carried out, and more comes.
        gate.open()
        for job in (*held, *unsafe, *safe, keyed):
            self.assertEqual('succeeded', job.ended())
        since = [self.submit(f'/reports/since{number}').wait() for number in range(5)]
        calls = {target: self.backend.count(target) for target in ('/reports/held0', '/reports/unsafe1')}
        self.serve_copy(copy)
        self.assertIn('a backup that was put back', self.proxy.log())
        for job in (*done, *held, *unsafe, *safe, keyed, *since):
            job.proxy = self.proxy
        self.assertEqual([b'small', large], [job.result().body for job in done])
        for job in (*held, *unsafe, keyed):
            self.assertEqual('outcome_unknown', job.ended())
        for job in safe:
            self.assertEqual('succeeded', job.ended())
            self.assertEqual(b'answered', job.result().body)
        self.assertEqual(calls, {target: self.backend.count(target) for target in calls})
        self.assertEqual({1}, {self.backend.count(f'/reports/unsafe{number}') for number in range(2)})
        # Ids given out since are of nobody, whatever is submitted now.
        new = [self.submit(f'/reports/new{number}').wait() for number in range(10)]
        self.assertEqual({410}, {job.poll().status for job in since})
        self.assertEqual({410}, {job.result().status for job in since})
        self.assertEqual(15, len({job.id for job in (*new, *since)}))
        again = self.request('POST', '/reports/keyed', [('Idempotency-Key', '"before"')], b'data')
        self.assertEqual(keyed.url, again.get('Location'))
        self.proxy.restart()
        self.assertNotIn('a backup that was put back', self.proxy.log().rpartition('listening on')[0][-400:])
        self.assertEqual('outcome_unknown', unsafe[0].ended())

    def test_backups_under_load_are_whole_and_those_that_are_killed_harm_nothing(self):
        seed = int(os.environ.get('RAINCHECK_SEED') or random.SystemRandom().randrange(10**6))
        dice = random.Random(seed)
        self.serve(routes=routes(), upstream={'max_concurrency': 16}, store={'inline_max': '4KiB'})
        load = Load(lambda: self.proxy.port, seed, self.backend)
        load.start()
        whole = []
        try:
            until = time.monotonic() + 6
            while time.monotonic() < until:
                copy = self.copy_path()
                process = subprocess.Popen(  # pylint: disable=consider-using-with
                    [binary(), 'store', 'backup', '--store', self.store, copy], stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, preexec_fn=die_with_parent)
                if dice.random() < 0.5:
                    load.stopping.wait(dice.uniform(0, 0.08))
                    process.kill()
                stderr = process.communicate(timeout=30)[1].decode()
                if process.returncode == 0:
                    whole.append(copy)
                elif process.returncode != -9:
                    self.fail(f'a backup failed: {stderr}')
        finally:
            load.stop()
        self.assertTrue(whole)
        for copy in whole:
            verified = run('store', 'verify', copy)
            self.assertEqual((0, ''), (verified.returncode, verified.stderr))
        self.assertEqual(0, run('store', 'verify', self.store).returncode)
        broken = check(load, load.settle()) + self.proxy.faults()
        print(f'backups: seed {seed}, {len(whole)} of {self.copies} whole, {summary(load)}', flush=True)
        self.assertEqual([], broken[:20], f'RAINCHECK_SEED={seed} plays it again')

    def test_files_that_were_held_for_a_backup_are_removed_afterwards(self):
        self.serve(store={'inline_max': '4KiB'})
        self.backend.on('/reports', echo)
        job = self.submit(body=b'x' * 100_000).wait()
        self.back_up()
        self.assertEqual(204, self.request('DELETE', job.result_url).status)
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')

    def test_what_is_wrong_is_said_in_words_with_an_exit_status(self):
        self.serve(store={'inline_max': '4KiB'})
        self.submit(body=b'x' * 100_000).wait()
        copy = self.back_up()
        missing = os.path.join(self.folder, 'missing')
        for arguments, status, words in (
                (('verify', missing), 66, f'cannot read {missing}: No such file'),
                (('verify', self.folder), 65, 'is missing: there is no store in'),
                (('restore', '--store', missing, self.folder), 65, 'is missing: there is no store in'),
                (('backup', '--store', missing, missing), 66, f'cannot read {missing}: No such file'),
                (('backup', '--config', missing, missing), 66, f'cannot read {missing}: No such file'),
                (('backup', '--store', self.store, copy), 73, 'is not empty'),
                (('backup', '--store', self.store, copy + '/raincheck.db/x'), 73, 'Not a directory'),
                (('backup', '--store', self.store, self.store + '/copy'), 73, "in the store's own directory"),
                (('backup', '--config', self.proxy.config_path, self.store), 73, "in the store's own directory"),
                (('restore', '--store', self.store, copy), 74, 'in use by another raincheck process'),
                (('restore', '--store', missing, self.store), 65, 'is not a backup'),
                (('backup', '--config', self.proxy.config_path), 64, 'required'),
                ((), 64, 'subcommand is required')):
            with self.subTest(arguments=arguments):
                done = run('store', *arguments)
                self.assertEqual(status, done.returncode, done.stderr)
                self.assertIn(words, done.stderr + done.stdout)
        spool = os.path.join(copy, 'spool')
        for name in os.listdir(spool):
            os.truncate(os.path.join(spool, name), 5)
        for arguments in (('verify', copy), ('restore', '--store', missing, copy)):
            done = run('store', *arguments)
            self.assertEqual(65, done.returncode, done.stderr)
            self.assertIn('has 5 bytes instead of 100000', done.stderr)
        self.assertFalse(os.path.exists(missing))
        self.assertFalse(os.path.exists(self.store + '/copy'))
        self.assertTrue(self.proxy.running)
        self.assertIsInstance(self.submit(), Job)

    def test_every_damage_is_said_in_words_and_65(self):
        self.serve()
        self.submit().wait()
        whole = self.back_up()
        database = os.path.join(whole, 'raincheck.db')
        with open(database, 'rb') as file:
            good = file.read()
        middle = len(good) // 2
        for name, content in {'nothing': b'', 'text': b'no database at all' * 999, 'cut short': good[:middle],
                              'overwritten': good[:4096] + b'\xa5' * (len(good) - 4096)}.items():
            with open(database, 'wb') as file:
                file.write(content)
            for arguments in (('verify', whole), ('restore', '--store', os.path.join(self.folder, 'other'), whole),
                              ('backup', '--store', whole, self.copy_path())):
                with self.subTest(name, arguments=arguments):
                    done = run('store', *arguments)
                    self.assertEqual(65, done.returncode, done.stderr)
                    self.assertIn('raincheck: ', done.stderr)
                    self.assertNotIn('filesystem error', done.stderr)
