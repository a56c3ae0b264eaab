"""Run as a service inside the container: the package's whole life, from its installation to its purge, under a real
systemd. One test stands on what the ones before it left. Status: 0, or 1 if one failed.
"""
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'end_to_end'))

from backend import Backend, Gate, echo  # noqa: E402
from harness import Job  # noqa: E402
from test_activation import submit_until  # noqa: E402
from wire import Client, request, request_bytes, wait_until  # noqa: E402

CONFIG = '/etc/raincheck/raincheck.yaml'
ROUTES = '/etc/raincheck/conf.d/test.yaml'
DROP_IN = '/run/systemd/system/raincheck.service.d/test.conf'
PROBE = '/run/systemd/system/raincheck-probe.service'
STATE = '/var/lib/raincheck'

# What a sandboxed process may do; all else that probe.py tries must fail.
ALLOWED = {'write to its state', 'write to its runtime folder', 'open AF_INET', 'open AF_INET6', 'open AF_UNIX'}


def run(*command, good=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120)
    if good and done.returncode != 0:
        raise AssertionError(f'{" ".join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}\n{journal(30)}')
    return done


def journal(lines):
    return subprocess.run(['journalctl', '-u', 'raincheck', '-o', 'cat', '--no-pager', '-n', str(lines)],
                          capture_output=True, text=True, check=False).stdout


def shown(name, unit='raincheck'):
    return run('systemctl', 'show', '--property', name, '--value', unit).stdout.strip()


def pid():
    return int(shown('MainPID'))


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    os.chmod(path, mode)


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def drop_in(text):
    """Settings of the unit for one test; empty: those of the package again."""
    if text:
        write(DROP_IN, '[Service]\n' + text)
    elif os.path.exists(DROP_IN):
        os.unlink(DROP_IN)
    run('systemctl', 'daemon-reload')


class Service(unittest.TestCase):
    backend = None
    port = 8080

    @classmethod
    def setUpClass(cls):
        cls.backend = Backend()

    def setUp(self):
        # All of it starts more often than StartLimitBurst allows.
        run('systemctl', 'reset-failed', 'raincheck', good=False)

    def configure(self, more='', concurrency=1, routes='POST /reports/*'):
        write(ROUTES, f'upstreams:\n  legacy:\n    servers: [{self.backend.url}]\n'
                      f'    max_concurrency: {concurrency}\nroutes:\n'
                      f'  - match: "{routes}"\n    upstream: legacy\n{more}')

    def submit(self, target='/reports/1', method='POST', body=b'data'):
        accepted = request(self.port, method, target, body=body)
        self.assertEqual(202, accepted.status, accepted.body)
        return Job(types.SimpleNamespace(port=self.port), accepted)

    def wait_for_call(self, gate, count=1):
        wait_until(lambda: len(gate.entered) >= count, lambda: f'{count} calls; {len(gate.entered)} came')

    def active(self):
        return run('systemctl', 'is-active', 'raincheck', good=False).stdout.strip() == 'active'

    def wait_for_restart(self, count, within=20):
        wait_until(lambda: int(shown('NRestarts')) == count and self.active(),
                   lambda: f'restart {count}; {shown("NRestarts")}, {shown("ActiveState")}\n{journal(20)}', within)

    def test_installed_it_is_enabled_active_and_harmless(self):
        run('dpkg', '--install', '/debs/raincheck.deb')
        self.assertEqual('enabled', run('systemctl', 'is-enabled', 'raincheck.service').stdout.strip())
        self.assertTrue(self.active(), journal(20))
        self.assertEqual('disabled', run('systemctl', 'is-enabled', 'raincheck.socket', good=False).stdout.strip())
        answered = request(8080, 'GET', '/anything')
        self.assertEqual((404, 'application/problem+json'), (answered.status, answered.get('Content-Type')))
        listening = read('/proc/net/tcp').splitlines()[1:] + read('/proc/net/tcp6').splitlines()[1:]
        listening = {line.split()[1] for line in listening if line.split()[3] == '0A'}
        self.assertEqual({f'0100007F:{port:04X}' for port in (8080, 9901, self.backend.port)}, listening)
        self.assertIn('serving', shown('StatusText'))
        self.assertEqual('', run('systemctl', '--failed', '--no-legend').stdout)

    def test_its_files_are_where_they_belong_and_nobody_reads_what_is_secret(self):
        user = run('id', '-u', 'raincheck').stdout.strip()
        group = run('id', '-g', 'raincheck').stdout.strip()
        modes = {path: oct(os.stat(path).st_mode & 0o7777) for path in ('/etc/raincheck', CONFIG, STATE, '/run/raincheck')}
        self.assertEqual({'/etc/raincheck': '0o755', CONFIG: '0o640', STATE: '0o700', '/run/raincheck': '0o755'}, modes)
        self.assertEqual((0, int(group)), (os.stat(CONFIG).st_uid, os.stat(CONFIG).st_gid))
        self.assertEqual(int(user), os.stat(STATE).st_uid)
        files = run('dpkg', '--listfiles', 'raincheck').stdout.split()
        for path in ('/usr/sbin/raincheck', '/usr/share/man/man1/raincheck.1.gz', '/usr/share/man/man5/raincheck.yaml.5.gz',
                     '/usr/share/bash-completion/completions/raincheck', '/usr/share/zsh/vendor-completions/_raincheck',
                     '/usr/share/fish/vendor_completions.d/raincheck.fish', '/usr/lib/sysusers.d/raincheck.conf',
                     '/usr/share/raincheck/raincheck.schema.json', '/usr/share/doc/raincheck/NEWS.Debian.gz'):
            self.assertIn(path, files)
        conffiles = [line.split()[0] for line in run('dpkg-query', '--show', '--showformat=${Conffiles}', 'raincheck')
                     .stdout.splitlines() if line]
        self.assertEqual([CONFIG, '/etc/default/raincheck', '/etc/raincheck/conf.d/README'], sorted(
            conffiles, key=lambda path: (path != CONFIG, path)))

    def test_the_units_have_no_mistake_and_expose_little(self):
        run('systemd-analyze', 'verify', '--man=no', 'raincheck.service', 'raincheck.socket')
        run('systemd-analyze', 'security', '--threshold=11', 'raincheck.service')
        status = read(f'/proc/{pid()}/status')
        for line in ('NoNewPrivs:\t1', 'Seccomp:\t2', 'CapBnd:\t0000000000000000', 'CapEff:\t0000000000000000'):
            self.assertIn(line, status)

    def test_autopkgtest_would_pass(self):
        run('/ci/packaging/debian/tests/smoke')

    def test_a_job_runs_through_it(self):
        self.configure()
        run('systemctl', 'restart', 'raincheck')
        self.backend.on('/reports', echo)
        self.assertEqual(b'a report', self.submit(body=b'a report').wait().result().body)

    def test_the_sandbox_lets_nothing_out(self):
        unit = read('/lib/systemd/system/raincheck.service')
        unit = re.sub(r'^Type=.*', 'Type=oneshot', unit, flags=re.M)
        unit = re.sub(r'^(Restart|WatchdogSec|RestartSec|RestartPrevent\w*|ExecReload)=.*\n', '', unit, flags=re.M)
        python = os.path.realpath(sys.executable)
        unit = re.sub(r'^ExecStart=.*', f'ExecStart={python} /ci/tests/systemd/probe.py', unit, flags=re.M)
        unit = re.sub(r'^(ExecPaths=.*)', rf'\1 {python}', unit, flags=re.M)
        write(PROBE, unit.replace('[Service]', '[Service]\nEnvironment=PYTHONDONTWRITEBYTECODE=1'))
        self.addCleanup(run, 'systemctl', 'daemon-reload')
        self.addCleanup(os.unlink, PROBE)
        run('systemctl', 'daemon-reload')
        run('systemctl', 'stop', 'raincheck')
        run('systemctl', 'start', 'raincheck-probe')
        told = run('journalctl', '-u', 'raincheck-probe', '-o', 'cat', '--no-pager').stdout
        results = dict(line.rsplit(': ', 1) for line in told.splitlines() if re.search(r': (worked|E[A-Z0-9]+)$', line))
        self.assertGreater(len(results), 30, told)
        self.assertEqual(ALLOWED, {name for name, result in results.items() if result == 'worked'}, told)
        run('systemctl', 'start', 'raincheck')
        # The same from within the files that the real process sees.
        done = run('nsenter', '--target', str(pid()), '--mount', '/bin/sh', '-c', 'true', good=False)
        self.assertIn('Permission denied', done.stderr)

    def test_credentials_reach_the_backend_and_nobody_else(self):
        write('/etc/raincheck/credentials/token', 'sesame\n', 0o600)
        drop_in('LoadCredential=token:/etc/raincheck/credentials/token\n')
        self.configure('    request_headers:\n      set: { Authorization: "Bearer ${credential:token}" }\n')
        run('systemctl', 'restart', 'raincheck')
        self.submit('/reports/secret').wait()
        self.assertEqual('Bearer sesame', self.backend.seen('/reports/secret')[-1].get('Authorization'))
        self.assertNotIn('sesame', journal(1000))
        done = run('setpriv', '--reuid=raincheck', '--clear-groups', '--regid=raincheck', 'cat',
                   '/etc/raincheck/credentials/token', good=False)
        self.assertNotEqual(0, done.returncode)
        drop_in('')
        self.configure()
        os.unlink('/etc/raincheck/credentials/token')
        os.rmdir('/etc/raincheck/credentials')
        run('systemctl', 'restart', 'raincheck')

    def test_a_reload_takes_effect_or_fails_in_words(self):
        before = pid()
        self.configure(routes='POST /others/*')
        run('systemctl', 'reload', 'raincheck')
        self.assertEqual('succeeded', self.submit('/others/1').wait().outcome()['status'])
        self.configure(routes='POST others')
        self.assertNotEqual(0, run('systemctl', 'reload', 'raincheck', good=False).returncode)
        self.assertRegex(journal(20), r'test\.yaml:\d+:\d+: error: ')
        self.assertTrue(self.active())
        self.submit('/others/2').wait()
        self.configure()
        run('systemctl', 'reload', 'raincheck')
        self.submit('/reports/2').wait()
        self.assertEqual(before, pid())

    def test_a_wrong_configuration_does_not_loop(self):
        self.configure(routes='POST reports')
        self.assertNotEqual(0, run('systemctl', 'restart', 'raincheck', good=False).returncode)
        time.sleep(2.5)  # RestartSec is one
        self.assertEqual(('failed', '78', '0'), (shown('ActiveState'), shown('ExecMainStatus'), shown('NRestarts')))
        self.configure()
        run('systemctl', 'start', 'raincheck')

    def test_after_a_sigkill_every_job_is_still_there(self):
        gate = self.backend.on('/reports', Gate(echo, goes_on=True))
        running = self.submit(body=b'running')
        self.wait_for_call(gate)
        queued = [self.submit(body=b'%d' % i) for i in range(5)]
        os.kill(pid(), signal.SIGKILL)
        self.wait_for_restart(1)
        gate.open()
        self.assertEqual([b'%d' % i for i in range(5)], [job.wait().result().body for job in queued])
        self.assertEqual('outcome_unknown', running.outcome()['error']['type'])

    def test_a_hung_process_is_restarted(self):
        drop_in('WatchdogSec=2s\n')
        run('systemctl', 'restart', 'raincheck')
        job, before = self.submit(), pid()
        time.sleep(5)
        self.assertEqual(before, pid(), 'a process that works is left alone')
        os.kill(before, signal.SIGSTOP)
        self.wait_for_restart(1)
        self.assertNotEqual(before, pid())
        self.assertTrue(job.wait())
        drop_in('')
        run('systemctl', 'restart', 'raincheck')

    def test_stopping_drains_for_as_long_as_it_needs(self):
        drop_in('TimeoutStopSec=2s\n')
        run('systemctl', 'restart', 'raincheck')
        gate = self.backend.on('/reports', Gate(echo))
        job = self.submit(body=b'drained')
        self.wait_for_call(gate)
        stopping = subprocess.Popen(['systemctl', 'stop', 'raincheck'])
        wait_until(lambda: shown('StatusText') == 'draining, 1 calls in flight', lambda: shown('StatusText'))
        time.sleep(4)  # longer than TimeoutStopSec
        gate.open()
        self.assertEqual(0, stopping.wait(20))
        self.assertEqual('success', shown('Result'))
        drop_in('')
        run('systemctl', 'start', 'raincheck')
        self.assertEqual(b'drained', job.wait().result().body)

    def test_port_80_without_a_capability(self):
        text = read(CONFIG).replace('address: 127.0.0.1:8080', 'address: systemd:http')
        with open(CONFIG, 'w', encoding='utf-8') as file:
            file.write(text)
        run('systemctl', 'stop', 'raincheck')
        run('systemctl', 'enable', '--now', 'raincheck.socket')
        type(self).port = 80
        # It is not there yet: the connection starts it.
        self.backend.on('/reports', echo)
        self.assertEqual(b'first', self.submit(body=b'first').wait().result().body)
        self.assertIn('"client":"127.0.0.1"', journal(1))
        self.assertIn('CapEff:\t0000000000000000', read(f'/proc/{pid()}/status'))

    def test_restarts_under_load_lose_and_refuse_nothing(self):
        self.assertGreater(self.load(lambda: [run('systemctl', 'restart', 'raincheck') for _ in range(3)]), 100)

    def load(self, what):
        """Gives how many jobs clients submitted while `what` was done, none of which may fail."""
        over, troubles, accepted = threading.Event(), [], []
        clients = [threading.Thread(target=submit_until, args=(self.port, over, accepted, troubles, i % 2 == 0))
                   for i in range(4)]
        for client in clients:
            client.start()
        try:
            wait_until(lambda: len(accepted) > 50, 'jobs')
            what()
            before = len(accepted)
            wait_until(lambda: len(accepted) > before + 50, 'jobs afterwards')
        finally:
            over.set()
            for client in clients:
                client.join()
        self.assertEqual([], troubles[:5])
        return len(accepted)

    def test_who_connects_while_it_is_stopped_is_served(self):
        with Client(self.port) as client:
            self.assertEqual(404, client.request('GET', '/').status)
            run('systemctl', 'stop', 'raincheck')
            self.assertTrue(client.ends())
        with Client(self.port) as client:
            client.send(request_bytes('GET', '/'))
            self.assertEqual(404, client.answer().status)
        self.assertTrue(self.active())

    def test_an_upgrade_drains_first_and_loses_no_job(self):
        gate = self.backend.on('/reports/held', Gate(echo))
        running = self.submit('/reports/held', body=b'running')
        self.wait_for_call(gate)
        queued = [self.submit(body=b'%d' % i) for i in range(5)]
        before = pid()

        def upgrade():
            threading.Timer(1, gate.open).start()
            run('dpkg', '--install', '/debs/newer.deb')
        self.load(upgrade)
        self.assertNotEqual(before, pid())
        self.assertEqual(b'running', running.wait().result().body)
        self.assertEqual([b'%d' % i for i in range(5)], [job.wait().result().body for job in queued])
        self.assertIn('systemd:http', read(CONFIG))
        self.assertEqual('enabled', run('systemctl', 'is-enabled', 'raincheck.socket').stdout.strip())
        self.assertEqual(oct(0o640), oct(os.stat(CONFIG).st_mode & 0o7777))

    def test_removed_it_keeps_the_jobs_and_purged_nothing(self):
        run('dpkg', '--remove', 'raincheck')
        self.assertFalse(self.active())
        self.assertEqual('', run('systemctl', 'list-units', '--no-legend', 'raincheck*').stdout)
        self.assertRaises(OSError, request, self.port, 'GET', '/')
        self.assertTrue(os.path.exists(f'{STATE}/raincheck.db'))
        self.assertTrue(os.path.exists(CONFIG))
        if os.path.exists(ROUTES):
            os.unlink(ROUTES)
        run('dpkg', '--purge', 'raincheck')
        run('systemctl', 'daemon-reload')
        self.assertEqual('', run('find', '/', '-xdev', '-iname', '*raincheck*').stdout)
        self.assertEqual('', run('systemctl', 'list-unit-files', '--no-legend', 'raincheck*', good=False).stdout)
        # As Debian's packages do: its number must not become somebody else's.
        run('id', 'raincheck')


class Result(unittest.TextTestResult):
    """One line for each test."""

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def tell(self, word, test, why=''):
        name = test.id().rsplit('.', 1)[1].removeprefix('test_').replace('_', ' ')
        self.stream.writeln(f'{word:5} {name} ({time.monotonic() - self.began:.1f} s){why}')
        self.stream.flush()

    def addSuccess(self, test):
        self.tell('ok', test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell('SKIP', test, f': NOT TESTED, {reason}')

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell('FAIL', test)
        self.stream.writeln(self.failures[-1][1] + journal(20))

    def addError(self, test, err):
        super().addError(test, err)
        self.tell('FAIL', test)
        self.stream.writeln(self.errors[-1][1] + journal(20))


def main():
    wanted = read('/debs/tests').split()
    # In the order in which they stand above. What is named needs the first of them, too.
    names = [name for name in vars(Service) if name.startswith('test_')]
    names = [name for i, name in enumerate(names) if i == 0 or not wanted or any(word in name for word in wanted)]
    suite = unittest.TestSuite(Service(name) for name in names)
    runner = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0)
    return 0 if runner.run(suite).wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main())
