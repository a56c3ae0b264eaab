"""The monitoring listener and the admin socket: what they tell is true, and what must be refused is."""
import json
import os
import re
import socket
import stat
import subprocess
import unittest

import harness
import powerfail
import program
from backend import Gate, answer, in_turn, reset_after_reading
from harness import route, words_of
from monitoring import Metrics, ask, check_with_promtool, promtool
from wire import request, wait_until

REASON = None


def setUpModule():
    global REASON  # pylint: disable=global-statement
    REASON = powerfail.own_mounts()


class Monitored(harness.EndToEnd):
    def serve(self, *arguments, **sections):
        self.monitoring = os.path.join(self.folder, 'monitoring.sock')
        self.admin = os.path.join(self.folder, 'admin.sock')
        sections = {'monitoring': {'address': f'unix:{self.monitoring}'}, 'admin': {'socket': self.admin}, **sections}
        return super().serve(*arguments, **sections)

    def health(self, target='/healthz'):
        status, _, body = ask(self.monitoring, 'GET', target)
        return status, json.loads(body)

    def metrics(self):
        status, fields, body = ask(self.monitoring, 'GET', '/metrics')
        self.assertEqual(200, status)
        self.assertEqual('text/plain; version=0.0.4; charset=utf-8', fields['Content-Type'])
        return Metrics(body)

    def wait_for_metric(self, expected, name, **labels):
        wait_until(lambda: self.metrics().get(name, **labels) == expected,
                   lambda: f'{name}{labels} {expected}; it is {self.metrics().get(name, **labels)}', 10)


class Numbers(Monitored):
    def test_what_is_told_after_known_traffic_is_right(self):
        self.serve(routes=[route('POST /reports/*', name='reports'),
                           route('POST /again/*', name='again', resend='always',
                                 retry={'max_attempts': 2, 'on': [503], 'backoff': '10ms'}),
                           route('POST /lost/*', name='lost', resend='never')])
        gate = Gate(answer(200, b'12345'))
        self.backend.on('/reports/1', gate)
        self.backend.on('/again', in_turn(answer(503), answer(200)))
        self.backend.on('/lost', reset_after_reading)
        job = self.submit(body=b'four')
        self.wait_for_calls(gate)
        self.wait_for_metric(1, 'raincheck_jobs_running', route='reports')
        told = self.metrics()
        self.assertEqual(1, told.get('raincheck_upstream_requests_in_flight', upstream='legacy'))
        client = self.client()
        self.wait_for_metric(1, 'raincheck_http_connections')
        client.close()
        self.wait_for_metric(0, 'raincheck_http_connections')
        gate.open()
        job.wait().result()
        self.submit('/again/1').wait()
        self.assertEqual('outcome_unknown', self.submit('/lost/1').ended())
        self.request('PROPFIND', '/plain')
        self.request('GET', '/_jobs/nonsense')
        canceled = Gate()
        self.backend.on('/reports/2', canceled)
        other = self.submit('/reports/2')
        self.wait_for_calls(canceled)
        other.cancel()
        self.wait_for_metric(0, 'raincheck_jobs_running', route='reports')
        told = self.metrics()
        for expected, name, labels in (
                (2, 'raincheck_http_requests_total', {'route': 'reports', 'method': 'POST', 'code': '2xx'}),
                (1, 'raincheck_http_requests_total', {'route': '-', 'method': 'other', 'code': '2xx'}),
                (1, 'raincheck_http_rejected_total', {'reason': 'not_found'}),
                (0, 'raincheck_http_rejected_total', {'reason': 'queue_full'}),
                (0, 'raincheck_http_requests_in_flight', {'route': 'reports'}),
                (8, 'raincheck_http_request_bytes_total', {'route': 'reports'}),
                (2, 'raincheck_http_request_duration_seconds_count', {'route': 'reports'}),
                (2, 'raincheck_jobs_accepted_total', {'route': 'reports'}),
                (1, 'raincheck_jobs_finished_total', {'route': 'reports', 'outcome': 'succeeded'}),
                (1, 'raincheck_jobs_finished_total', {'route': 'reports', 'outcome': 'canceled'}),
                (1, 'raincheck_jobs_finished_total', {'route': 'again', 'outcome': 'succeeded'}),
                (1, 'raincheck_jobs_finished_total', {'route': 'lost', 'outcome': 'outcome_unknown'}),
                (1, 'raincheck_job_duration_seconds_count', {'route': 'reports'}),
                (1, 'raincheck_job_queue_duration_seconds_count', {'route': 'reports'}),
                (1, 'raincheck_upstream_retries_total', {'upstream': 'legacy', 'reason': '503'}),
                (1, 'raincheck_upstream_requests_total', {'upstream': 'legacy', 'code': '5xx'}),
                (1, 'raincheck_upstream_healthy', {'upstream': 'legacy'}),
                (0, 'raincheck_upstream_held', {'upstream': 'legacy'}),
                (0, 'raincheck_store_failed', {}),
                (10 << 30, 'raincheck_store_limit_bytes', {}),
                (1, 'raincheck_config_last_reload_successful', {}),
                (0, 'raincheck_recovered_jobs', {'outcome': 'outcome_unknown'}),
                (1, 'raincheck_build_info', {})):
            with self.subTest(name, **labels):
                self.assertEqual(expected, told.get(name, **labels))
        self.assertGreaterEqual(told.get('raincheck_job_polls_total', route='reports'), 2)
        self.assertGreater(told.get('raincheck_store_commits_total'), 4)
        self.assertEqual(told.get('raincheck_store_commits_total'), told.get('raincheck_store_commit_commands_count'))
        self.assertGreater(told.get('raincheck_store_bytes'), 0)
        self.assertGreater(told.get('raincheck_http_response_bytes_total', route='reports'), 100)
        self.assertAlmostEqual(self.proxy.process.pid and told.get('process_start_time_seconds'),
                               os.stat(f'/proc/{self.proxy.process.pid}').st_ctime, delta=5)
        # The connection that asked may be closed by now, and others of the test's.
        self.assertAlmostEqual(self.proxy.open_files(), told.get('process_open_fds'), delta=4)

    def test_the_queue_is_told_with_its_oldest(self):
        self.serve([route('/reports/*', name='reports'), route('/letters/*', name='letters')],
                   upstream={'max_concurrency': 1})
        gate = Gate()
        self.backend.on('/reports', gate)
        for i in range(4):
            self.submit(f'/reports/{i}')
        self.wait_for_metric(3, 'raincheck_queue_depth', upstream='legacy', route='reports')
        self.wait_for_metric(0, 'raincheck_queue_depth', upstream='legacy', route='letters')
        wait_until(lambda: self.metrics().get('raincheck_queue_oldest_age_seconds', upstream='legacy') > 1, 'an age')
        gate.open()
        self.wait_for_metric(0, 'raincheck_queue_depth', upstream='legacy')
        self.wait_for_metric(0, 'raincheck_queue_oldest_age_seconds', upstream='legacy')
        self.wait_for_metric(4, 'raincheck_jobs_finished_total', outcome='succeeded')

    def test_a_job_that_ends_while_it_waits_is_counted_for_its_route(self):
        self.serve(routes=[route('/reports/*', name='reports', queue_timeout='300ms')], upstream={'max_concurrency': 1})
        gate = Gate()
        self.backend.on('/reports', gate)
        self.submit('/reports/1')
        self.wait_for_calls(gate)
        self.submit('/reports/2')
        self.wait_for_metric(1, 'raincheck_jobs_finished_total', route='reports', outcome='expired')
        gate.open()

    def test_an_ejection_is_told(self):
        self.serve(upstream={'servers': [self.backend.url, 'http://127.0.0.1:9'],
                                        'outlier_detection': {'consecutive_errors': 1}})
        for _ in range(4):
            self.request('GET', '/x')
        self.wait_for_metric(1, 'raincheck_upstream_ejections_total', server='127.0.0.1:9')
        self.assertEqual(0, self.metrics().get('raincheck_upstream_healthy', server='127.0.0.1:9'))

    def test_clients_cannot_make_series(self):
        self.serve()
        before = None
        for i in range(60):
            request(self.proxy.port, f'METHOD{i}', f'/other/{i}?{i}', ((f'X-{i}', str(i)), ('Host', f'h{i}')))
            if i == 5:
                before = set(self.metrics().samples)
        self.assertEqual(before, set(self.metrics().samples))

    def test_every_metric_is_documented_and_every_documented_one_is_there(self):
        self.serve(routes=[route('/reports/*', name='reports')])
        self.submit().wait()
        self.assertEqual(words_of('metrics.md', '| metric |') & set(self.metrics().families),
                         set(self.metrics().families))
        documented = {word for word in words_of('metrics.md', '| metric |') if re.match('(raincheck|process)_', word)}
        self.assertEqual(documented, set(self.metrics().families))

    def test_every_reason_of_the_access_log_that_refuses_is_one_of_the_metrics(self):
        self.serve()
        told = {dict(pairs)['reason'] for (name, pairs) in self.metrics().samples if name.endswith('rejected_total')}
        no_refusal = {'ok', 'accepted', 'followed', 'pending', 'canceled'}
        of_attempts = {'store_full', 'outcome_unknown', 'expired', 'route_removed', 'stopping', 'client_gone'}
        self.assertEqual(words_of('logs.md', '## Reasons') - no_refusal - of_attempts, told - {'other'})

    def test_prometheus_finds_nothing_wrong(self):
        if not promtool():
            self.skipTest('no promtool: install Debian\'s prometheus')
        self.serve(routes=[route('/reports/*', name='a "quoted"\\name')])
        self.submit().wait()
        self.assertEqual('', check_with_promtool('check', 'metrics', text=self.metrics().text))


class Health(Monitored):
    def test_a_program_that_is_well_says_so(self):
        self.serve()
        self.assertEqual((200, {'status': 'ok', 'checks': {}}), self.health())
        status, body = self.health('/readyz?verbose')
        self.assertEqual(200, status)
        self.assertEqual({'shards', 'dispatchers', 'store_writer', 'store', 'space', 'queue', 'draining'},
                         set(body['checks']))
        self.assertEqual({'ok'}, set(body['checks'].values()))
        for option in ((), ('--ready',)):
            done = program.run('healthcheck', '-c', self.proxy.config_path, *option)
            self.assertEqual((0, ''), (done.returncode, done.stderr))
        wait_until(lambda: any(re.match('STATUS=serving 1 routes, 0 running, 0 queued', line)
                               for line in self.proxy.drain_notifications()), 'a status for systemd')

    def test_healthcheck_of_a_program_that_does_not_run_fails(self):
        done = program.run('healthcheck', '--address', f'unix:{self.folder}/none')
        self.assertEqual(1, done.returncode)
        self.assertIn('no answer', done.stderr)

    def test_while_it_waits_to_stop_it_is_not_ready_and_serves_on(self):
        self.serve(shutdown={'delay': '3s'})
        self.proxy.signal(15)
        wait_until(lambda: self.health('/readyz')[0] == 503, 'not ready')
        self.assertEqual({'draining': 'it is stopping'}, self.health('/readyz')[1]['checks'])
        self.assertEqual(200, self.health()[0])
        self.submit().wait()
        done = program.run('healthcheck', '-c', self.proxy.config_path, '--ready')
        self.assertEqual(1, done.returncode)
        self.assertEqual(0, self.proxy.wait())

    def test_a_full_queue_is_not_ready(self):
        self.serve(upstream={'max_concurrency': 1}, jobs={'max_pending': 1})
        gate = Gate()
        self.backend.on('/reports', gate)
        self.submit()
        self.assertEqual({'queue': 'jobs.max_pending jobs are waiting'}, self.health('/readyz')[1]['checks'])
        gate.open()
        wait_until(lambda: self.health('/readyz')[0] == 200, 'ready')


class Disks(Monitored):
    def setUp(self):
        if REASON:
            raise unittest.SkipTest(REASON)
        super().setUp()

    def test_a_full_disk_is_not_ready_but_healthy(self):
        disk = powerfail.SmallDisk()
        self.addCleanup(disk.close)
        self.serve(store={'directory': os.path.join(disk.path, 'store'), 'min_free': '1MiB', 'reserve': '0B'})
        self.assertEqual(200, self.health('/readyz')[0])
        disk.fill()
        wait_until(lambda: self.health('/readyz')[0] == 503, 'not ready')
        trouble = r"\A[0-9.]+ MiB are free on the store's disk, and store.min_free is 1.0 MiB\Z"
        self.assertRegex(self.health('/readyz')[1]['checks']['space'], trouble)
        wait_until(lambda: 'the store takes no new jobs: ' in self.proxy.log(), 'the log says so')
        self.assertRegex(self.proxy.log(), 'the store takes no new jobs: [0-9.]+ MiB are free')
        self.assertEqual(200, self.health()[0])
        disk.free()
        wait_until(lambda: self.health('/readyz')[0] == 200, 'ready')

    def test_a_disk_that_does_not_answer_is_not_healthy_and_no_watchdog_is_answered(self):
        disk = powerfail.LoopDisk(64)
        self.addCleanup(disk.close)
        self.serve(store={'directory': os.path.join(disk.path, 'store'), 'min_free': '0B', 'reserve': '0B'},
                   environment={'WATCHDOG_USEC': '4000000'})
        wait_until(lambda: 'WATCHDOG=1' in self.proxy.drain_notifications(), 'an answer for the watchdog')
        subprocess.run(['fsfreeze', '-f', disk.path], check=True)
        thaw = ['fsfreeze', '-u', disk.path]
        self.addCleanup(subprocess.run, thaw, check=False, stderr=subprocess.DEVNULL)
        with socket.create_connection(('127.0.0.1', self.proxy.port)) as client:
            client.sendall(b'POST /reports/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx')
            wait_until(lambda: self.health()[0] == 503, 'not healthy', 30)
            self.assertRegex(self.health()[1]['checks']['store_writer'], r'\Ano progress for \d+ s\Z')
            self.assertNotIn('shards', self.health()[1]['checks'])
            self.assertEqual(503, self.health('/readyz')[0])
            self.proxy.drain_notifications()
            self.proxy.notifications.clear()
            with self.assertRaises(AssertionError):
                wait_until(lambda: 'WATCHDOG=1' in self.proxy.drain_notifications(), 'an answer', 3)
            self.assertTrue(any(line.startswith('STATUS=not well: ') for line in self.proxy.notifications)
                            or 'not well: ' in self.proxy.log())
            subprocess.run(thaw, check=True)
            wait_until(lambda: self.health()[0] == 200, 'healthy again', 20)
            self.assertIn(b' 202 ', client.recv(4096))
        wait_until(lambda: 'WATCHDOG=1' in self.proxy.drain_notifications(), 'an answer for the watchdog')


class Listeners(Monitored):
    def test_nothing_on_the_monitoring_listener_changes_anything(self):
        self.serve()
        for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'X'):
            for target in ('/metrics', '/healthz', '/readyz', '/version'):
                status, fields, _ = ask(self.monitoring, method, target)
                self.assertEqual((405, 'GET, HEAD'), (status, fields['Allow']))
        for target in ('/', '/reload', '/jobs', '/drain'):
            self.assertEqual(404, ask(self.monitoring, 'POST', target)[0])
        self.assertEqual(413, ask(self.monitoring, 'GET', '/healthz', body=b'x')[0])
        self.assertEqual('', ask(self.monitoring, 'HEAD', '/metrics')[2])

    def test_the_admin_socket_is_for_its_owner_and_group(self):
        self.serve()
        self.assertEqual(0o660, stat.S_IMODE(os.stat(self.admin).st_mode))
        self.assertEqual(200, ask(self.admin, 'GET', '/version')[0])

    def test_an_admin_socket_that_a_killed_process_left_is_replaced_and_a_live_one_is_not(self):
        self.serve()
        self.proxy.kill()
        self.proxy.start()
        self.assertEqual(200, ask(self.admin, 'GET', '/version')[0])
        second = program.Raincheck(self.make_folder(), self.config(
            admin={'socket': self.admin}, store={'directory': os.path.join(self.folder, 'second')}))
        self.addCleanup(second.close)
        second.spawn()
        self.assertEqual(69, second.wait())
        self.assertIn('another process listens there', second.log())

    def make_folder(self):
        folder = os.path.join(self.folder, 'other')
        os.mkdir(folder)
        return folder

    def test_a_default_address_that_is_taken_is_a_warning_and_one_that_was_set_is_an_error(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(('127.0.0.1', 9901))
            except OSError:
                pass  # somebody else has it, which is as good
            taken.listen()
            self.serve(monitoring={})
            self.assertIn('no monitoring: 127.0.0.1:9901', self.proxy.log())
            second = program.Raincheck(self.make_folder(), self.config(
                monitoring={'address': '127.0.0.1:9901'}, store={'directory': os.path.join(self.folder, 'second')}))
            self.addCleanup(second.close)
            second.spawn()
            self.assertEqual(69, second.wait())


class Examples(Monitored):
    EXAMPLES = os.path.join(program.ROOT, 'packaging', 'examples')

    def named_metrics(self, text):
        names = set(re.findall(r'\b((?:raincheck|process)_[a-z_]+)', text)) - {'raincheck_rules'}
        return {re.sub('_(bucket|sum|count)$', '', name) for name in names}

    def test_the_alert_rules_do_what_they_say(self):
        if not promtool():
            self.skipTest('no promtool: install Debian\'s prometheus')
        folder = os.path.join(self.EXAMPLES, 'prometheus')
        self.assertEqual('', check_with_promtool('check', 'rules', os.path.join(folder, 'raincheck.rules.yml')))
        self.assertEqual('', check_with_promtool('test', 'rules', os.path.join(folder, 'raincheck.rules.test.yml')))

    def test_alert_rules_and_dashboard_name_only_metrics_that_exist(self):
        documented = words_of('metrics.md', '| metric |')
        with open(os.path.join(self.EXAMPLES, 'grafana', 'raincheck.json'), encoding='utf-8') as file:
            dashboard = json.load(file)
        expressions = [target['expr'] for panel in dashboard['panels'] for target in panel['targets']]
        self.assertGreater(len(expressions), 10)
        with open(os.path.join(self.EXAMPLES, 'prometheus', 'raincheck.rules.yml'), encoding='utf-8') as file:
            rules = re.findall(r'expr: (.*(?:\n {10}.*)*)', file.read())
        self.assertGreater(len(rules), 5)
        for expression in expressions + rules:
            self.assertNotEqual(set(), self.named_metrics(expression) or ('up' in expression and {'up'}), expression)
            self.assertEqual(set(), self.named_metrics(expression) - documented, expression)
