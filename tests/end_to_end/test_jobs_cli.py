"""Jobs from the shell: each command, rightly and wrongly, against the running program."""
import datetime
import json
import os
import pty
import re
import subprocess
import threading
import unittest

import program
from backend import Gate, answer, echo, in_turn, reset_after_reading
from harness import EndToEnd, route, words_of
from monitoring import ask
from wire import wait_until

UNKNOWN = 'A' * 32
LARGE = os.urandom(700_000)


class Shell(EndToEnd):
    def serve(self, *arguments, **sections):
        self.admin = os.path.join(self.folder, 'admin.sock')
        return super().serve(*arguments, **{'admin': {'socket': self.admin}, **sections})

    def shell(self, command, *arguments, status=0):
        done = program.run(command, '--socket', self.admin, *arguments)
        self.assertEqual(status, done.returncode, done)
        return done

    def stats(self):
        (stats,) = self.lines('stats')
        return stats

    def lines(self, command, *arguments):
        return [json.loads(line) for line in self.shell(command, *arguments).stdout.splitlines()]

    def ids(self, *arguments):
        return [job['id'] for job in self.lines('jobs', *arguments)]

    def refused(self, words, command, *arguments, status=1):
        done = self.shell(command, *arguments, status=status)
        self.assertIn(words, done.stderr)

    def on_terminal(self, *arguments):
        """What a command prints on a terminal."""
        leader, follower = pty.openpty()
        command = [program.binary(), arguments[0], '--socket', self.admin, *arguments[1:]]
        done = subprocess.run(command, stdout=follower, stderr=subprocess.PIPE, timeout=30, check=True)
        self.assertEqual(b'', done.stderr)
        os.close(follower)
        text = b''
        try:
            while piece := os.read(leader, 65536):
                text += piece
        except OSError:
            pass
        os.close(leader)
        return text.decode().replace('\r\n', '\n')

    def audited(self, words):
        wait_until(lambda: re.search(words, self.proxy.log()), lambda: f'{words} in\n{self.proxy.log()}')

    def failed_job(self, body=b'data', target='/lost/1', **options):
        job = self.submit(target, body, **options)
        self.assertEqual('outcome_unknown', job.ended())
        return job

    def serve_failing(self, **settings):
        self.serve([route('/reports/*', name='reports'),
                    route('/lost/*', name='lost', resend='never', **settings)])
        self.lost = self.backend.on('/lost', reset_after_reading)


class Jobs(Shell):
    def test_jobs_are_listed_by_what_is_asked(self):
        self.serve([route('/reports/*', name='reports'), route('/slow/*', name='slow'),
                    route('/lost/*', name='lost', resend='never')], upstream={'max_concurrency': 1})
        self.backend.on('/lost', reset_after_reading)
        gate = self.backend.on('/slow', Gate(echo))
        done = self.submit('/reports/1', fields=(('X-Request-Id', 'of-mine'),)).wait()
        lost = self.failed_job()
        running = self.submit('/slow/1')
        self.wait_for_calls(gate)
        queued = self.submit('/slow/2')
        every = [queued.id, running.id, lost.id, done.id]
        self.assertEqual(every, self.ids())
        for arguments, found in ((('--state', 'queued'), [queued]), (('--state', 'running'), [running]),
                                 (('--state', 'succeeded'), [done]), (('--state', 'canceled'), []),
                                 (('--error', 'outcome_unknown'), [lost]), (('--error', 'expired'), []),
                                 (('--route', 'slow'), [queued, running]),
                                 (('--route', 'slow', '--state', 'queued'), [queued]),
                                 (('--request-id', 'of-mine'), [done]), (('--older-than', '1h'), []),
                                 (('--newer-than', '1h', '--limit', '1'), [queued])):
            with self.subTest(arguments):
                self.assertEqual([job.id for job in found], self.ids(*arguments))
        listed = {job['id']: job for job in self.lines('jobs')}
        self.assertEqual(('failed', 'lost', 'legacy', 1, 'outcome_unknown'),
                         tuple(listed[lost.id][name] for name in ('status', 'route', 'upstream', 'attempts')) +
                         (listed[lost.id]['error']['type'],))
        self.assertEqual((200, 4), (listed[done.id]['responseStatus'], listed[done.id]['responseBytes']))
        table = self.on_terminal('jobs').splitlines()
        self.assertEqual(['ID', 'STATE', 'ROUTE', 'AGE', 'ATTEMPTS', 'ERROR'], table[0].split())
        self.assertEqual(every, [line.split()[0] for line in table[1:]])
        self.assertRegex(table[3], r' failed +lost +\d+s +1 +outcome_unknown$')
        self.assertEqual(every, [json.loads(line)['id'] for line in self.on_terminal('jobs', '--json').splitlines()])
        gate.open()

    def test_jobs_are_found_by_their_labels(self):
        labels = {'customer': '${path.customer}', 'kind': '${header.X-Kind}', 'team': 'billing'}
        self.serve([route('/reports/{customer}', name='reports', labels=labels, resend='never',
                          retry={'max_attempts': 1}),
                    route('/hybrid/{customer}', name='hybrid', labels=labels, wait='100ms'),
                    route('/other/*', name='other')])
        first = self.submit('/reports/17', fields=(('X-Kind', 'letter'),)).wait()
        second = self.submit('/reports/18').wait()
        odd = self.submit('/reports/a%20b%3D%C3%A4', fields=(('X-Kind', 'x' * 129),)).wait()
        bad = self.submit('/reports/17%0Akind=letter').wait()
        gate = self.backend.on('/hybrid', Gate(echo))
        held = self.submit('/hybrid/17')
        gate.open()
        held.wait()
        other = self.submit('/other/17').wait()
        self.backend.on('/reports', reset_after_reading)
        lost = self.submit('/reports/17', fields=(('X-Kind', 'letter'),))
        self.assertEqual('outcome_unknown', lost.ended())
        for restart in (False, True):
            if restart:
                self.proxy.restart()
            for arguments, found in (
                    (('--label', 'customer=17'), [lost, held, first]), (('--label', 'customer=18'), [second]),
                    (('--label', 'kind=letter'), [lost, first]), (('--label', 'customer=a b=\u00e4'), [odd]),
                    (('--label', 'team=billing'), [lost, held, bad, odd, second, first]),
                    (('--label', 'team=billing', '--limit', '4'), [lost, held, bad, odd]),
                    (('--label', 'customer=17', '--state', 'failed'), [lost]), (('--label', 'customer=1'), []),
                    (('--label', 'team=billing', '--route', 'other'), [])):
                with self.subTest(arguments):
                    self.assertEqual([job.id for job in found], self.ids(*arguments))
        (shown,) = self.lines('job', first.id)
        self.assertEqual({'customer': '17', 'kind': 'letter', 'team': 'billing'}, shown['labels'])
        self.assertNotIn('labels', self.lines('job', other.id)[0])
        self.assertIn('\nlabels          customer=17, kind=letter, team=billing\n', self.on_terminal('job', first.id))
        # A new job has the labels that its route gives it now.
        self.backend.on('/reports', echo)
        self.assertTrue(self.proxy.reload(self.config(
            [route('/reports/{customer}', name='reports', labels={'of': '${path.customer}'})],
            admin={'socket': self.admin})))
        self.shell('redrive', '--label', 'kind=letter', '--error', 'outcome_unknown')
        wait_until(lambda: self.ids('--label', 'of=17', '--state', 'succeeded'), 'the redriven job')
        self.assertEqual('3 jobs would be purged\n', self.shell('purge', '--label', 'customer=17', '--dry-run').stdout)
        self.shell('purge', '--label', 'customer=17')
        self.assertEqual([], self.ids('--label', 'customer=17'))
        self.assertEqual([bad.id, odd.id, second.id], self.ids('--label', 'team=billing'))

    def test_tables_are_as_wide_as_what_is_in_them(self):
        name = 'a-route-\u00e4-of-more-than-' + 'x' * 40
        self.serve([route('/reports/*', name=name), route('/b/*', name='b')])
        gate = self.backend.on('/reports', Gate(echo))
        running = self.submit()
        self.wait_for_calls(gate)
        other = self.submit('/b/1').wait()
        table = self.on_terminal('jobs').splitlines()
        self.assertEqual([other.id, running.id], [line.split()[0] for line in table[1:]])
        self.assertEqual(1, len({line.index(word) for line, word in zip(table, ('ROUTE', ' b ', name))} -
                                {table[1].index(' b ')}))
        self.assertEqual(table[0].index('ROUTE'), table[1].index(' b ') + 1)
        self.assertEqual(1, len({re.search(r' (AGE|\d+m?s) ', line).end() for line in table}), table)
        wait_until(lambda: self.stats()['running'] == 1, lambda: f'{self.stats()}')
        lines = self.on_terminal('stats').splitlines()
        self.assertEqual('1 job pending, 1 of them running', lines[0].partition(';')[0])
        routes = lines[next(i for i, line in enumerate(lines) if line.startswith('ROUTE')):]
        self.assertEqual(1, len({re.search('STATE|ok', line).start() for line in routes}), routes)
        gate.open()

    def test_what_is_asked_wrongly_is_said(self):
        self.serve()
        for arguments, words in ((('--state', 'done'), "state: 'done' is none of queued, running, succeeded, failed"),
                                 (('--error', 'late'), "error: 'late' is none of none, upstream_status"),
                                 (('--older-than', 'long'), 'raincheck: --older-than: '), (('--limit', '-1'), '--limit'),
                                 (('--label', 'customer'), '--label: must be NAME=VALUE'),
                                 (('--label', 'a=1', '--label', 'b=2'), '--label')):
            with self.subTest(arguments):
                self.refused(words, 'jobs', *arguments, status=64)
        for command in ('jobs', 'cancel'):
            self.assertIn("there is no route 'report' that makes jobs", self.shell(command, '--route', 'report').stderr)
        self.assertNotIn('there is no route', self.shell('jobs', '--route', self.stats()['routes'][0]['name']).stderr)
        gone = program.run('jobs', '--socket', self.admin + 'x')
        self.assertEqual(69, gone.returncode)
        self.assertIn(self.admin + 'x', gone.stderr)
        for target in ('/jobs?cursor=x', '/jobs?cursor=1.', '/jobs?limit=0', '/jobs?limit=1001', '/jobs?color=red',
                       '/jobs?route='):
            status, _, body = ask(self.admin, 'GET', target)
            self.assertEqual(400, status, body)

    def test_a_long_list_comes_in_pages(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate(echo))
        count, jobs = 5000, []
        lock = threading.Lock()

        def submit(number):
            client = self.client()
            for i in range(number, count, 4):
                accepted = client.request('POST', f'/reports/{i}', (('X-Request-Id', f'r{i}'),), b'x')
                with lock:
                    jobs.append(accepted.get('Location').rsplit('/', 1)[1])
        threads = [threading.Thread(target=submit, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wait_for_calls(gate)
        listed = self.lines('jobs', '--limit', '100000')
        self.assertEqual(sorted(jobs), sorted(job['id'] for job in listed))
        # Threads look at the clock by themselves, and a commit takes a while.
        times = [datetime.datetime.fromisoformat(job['createdAt']) for job in listed]
        self.assertLess(max(after - before for before, after in zip(times, times[1:])), datetime.timedelta(seconds=1))
        self.assertGreater(times[0], times[-1])
        self.assertEqual(100, len(self.ids()))
        self.assertEqual(1234, len(self.ids('--limit', '1234', '--state', 'queued')))
        self.assertEqual(1, len(self.ids('--request-id', 'r77')))
        would = self.shell('cancel', '--state', 'queued', '--dry-run').stdout
        self.assertEqual(f'{count - 1} jobs would be canceled\n', would)
        gate.open()

    def test_one_job_with_its_attempts_and_no_credential(self):
        self.serve([route('/reports/*', name='reports', resend='always',
                          retry={'max_attempts': 3, 'on': [503], 'backoff': '10ms'})])
        self.backend.on('/reports', in_turn(answer(503), answer(503), answer(201, b'made')))
        secrets = [(name, 'Sesame-42') for name in ('Authorization', 'Cookie', 'X-Api-Key')]
        job = self.submit('/reports/1?of=2026', b'12345', [*secrets, ('X-Mine', 'yes')]).wait()
        (shown,) = self.lines('job', job.id)
        self.assertEqual(('succeeded', 'reports', 'legacy', 3, 201), tuple(
            shown[name] for name in ('status', 'route', 'upstream', 'attempts', 'responseStatus')))
        server = self.backend.url.split('//')[1]
        self.assertEqual([(1, 503, 'ok', server), (2, 503, 'ok', server), (3, 201, 'ok', server)], [
            (each['attempt'], each['responseStatus'], each['reason'], each['server']) for each in shown['history']])
        times = [each[name] for each in shown['history'] for name in ('startedAt', 'endedAt')]
        self.assertEqual(sorted(times), times)
        self.assertNotIn('request', shown)
        gate = self.backend.on('/reports', Gate(echo))
        waiting = self.submit('/reports/2?of=2026', b'12345', [*secrets, ('X-Mine', 'yes')])
        self.wait_for_calls(gate)
        (shown,) = self.lines('job', waiting.id)
        self.assertEqual(('POST /reports/2?of=2026', 5), (shown['request']['line'], shown['request']['bytes']))
        self.assertIn('X-Mine: yes', shown['request']['fields'])
        for name, _ in secrets:
            self.assertIn(f'{name}: ***', shown['request']['fields'])
        self.assertNotIn('Sesame', json.dumps(shown))
        on_terminal = self.on_terminal('job', waiting.id)
        self.assertIn('\nPOST /reports/2?of=2026\n', on_terminal)
        self.assertNotIn('Sesame', on_terminal)
        self.assertIn('Its request is erased.', self.on_terminal('job', job.id))
        self.refused('there is no such job', 'job', UNKNOWN)
        self.refused('there is no such job', 'job', '../drain')
        gate.open()

    def test_an_attempt_that_a_crash_ended_is_in_the_history(self):
        self.serve([route('/reports/*', resend='always')])
        gate = self.backend.on('/reports', Gate(echo))
        job = self.submit()
        self.wait_for_calls(gate)
        self.proxy.restart()
        gate.open()
        job.wait()
        (shown,) = self.lines('job', job.id)
        self.assertEqual([(1, 'lost'), (2, 'ok')], [(each['attempt'], each['reason']) for each in shown['history']])
        self.assertNotIn('endedAt', shown['history'][0])


class Changes(Shell):
    def test_cancel(self):
        self.serve(upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate(echo))
        jobs = [self.submit() for _ in range(5)]
        self.wait_for_calls(gate)
        canceled = self.shell('cancel', jobs[1].id, jobs[0].id).stdout
        self.assertEqual([f'{job.id}: canceled' for job in (jobs[1], jobs[0])], canceled.splitlines())
        self.assertEqual(['canceled'] * 2, [job.ended() for job in jobs[:2]])
        self.audited(f'POST /jobs/{jobs[0].id}/cancel: 200 the job was running')
        self.audited(f'POST /jobs/{jobs[1].id}/cancel: 200 the job was queued')
        self.refused('the job has ended already: canceled', 'cancel', jobs[0].id)
        self.refused('there is no such job', 'cancel', UNKNOWN, jobs[2].id)
        self.assertEqual('canceled', jobs[2].ended())
        self.shell('cancel', '--all')
        self.assertEqual(['canceled'] * 2, [job.ended() for job in jobs[3:]])
        self.assertIn('no such job can be canceled', self.shell('cancel', '--state', 'failed').stderr)
        self.refused('give either ids', 'cancel', status=64)
        self.refused('give either ids', 'cancel', jobs[0].id, '--state', 'queued', status=64)
        gate.open()

    def test_purge(self):
        self.serve(upstream={'max_concurrency': 1})
        done = [self.submit().wait() for _ in range(3)]
        gate = self.backend.on('/reports', Gate(echo))
        running = self.submit()
        self.wait_for_calls(gate)
        self.refused('cancel it first', 'purge', running.id)
        self.shell('purge', done[0].id)
        self.assertEqual(410, done[0].poll().status)
        self.audited(f'DELETE /jobs/{done[0].id}: 204 the job had succeeded')
        self.refused("the job's retention is over, or it was purged", 'purge', done[0].id)
        self.assertEqual('2 jobs would be purged\n', self.shell('purge', '--newer-than', '1h', '--dry-run').stdout)
        self.shell('purge', '--newer-than', '1h')
        self.assertEqual([running.id], self.ids())
        gate.open()
        running.wait()

    def test_a_failed_job_is_redriven_once(self):
        self.serve_failing()
        for body in (b'small', LARGE):
            with self.subTest(len(body)):
                self.backend.on('/lost', reset_after_reading)
                original = self.failed_job(body, fields=(('Idempotency-Key', f'k{len(body)}'),))
                before = original.outcome()
                self.backend.on('/lost', echo)
                told = self.shell('redrive', original.id).stdout
                new_id = re.fullmatch(f'{original.id}: redriven as (.*)\n', told)[1]
                self.audited(f'POST /jobs/{original.id}/redrive: 201 as job {new_id}')
                new = self.job(new_id)
                self.assertEqual(body, new.wait().result().body)
                document = new.outcome()
                self.assertEqual((original.id, 'succeeded'), (document['redriveOf'], document['status']))
                self.assertEqual(before, original.outcome())
                again = self.shell('redrive', original.id).stdout
                self.assertEqual(f'{original.id}: redriven before as {new_id}\n', again)
                (shown,) = self.lines('job', new_id)
                self.assertEqual(original.id, shown['redriveOf'])
        self.assertEqual(1, len(self.spool_files()) - 1, 'the original request and the result')

    def job(self, job_id):
        class Accepted:
            @staticmethod
            def get(_):
                return '/_jobs/' + job_id
        from harness import Job
        return Job(self.proxy, Accepted)

    def test_jobs_are_redriven_by_what_is_asked(self):
        self.serve_failing()
        jobs = [self.failed_job(b'%d' % i) for i in range(3)]
        self.submit().wait()
        self.assertEqual('3 jobs would be redriven\n', self.shell(
            'redrive', '--state', 'failed', '--error', 'outcome_unknown', '--route', 'lost', '--dry-run').stdout)
        self.assertEqual(4, len(self.ids()))
        self.backend.on('/lost', echo)
        told = self.shell('redrive', '--error', 'outcome_unknown', '--route', 'lost').stdout
        self.assertEqual({job.id for job in jobs}, {line.split(':')[0] for line in told.splitlines()})
        wait_until(lambda: len(self.ids('--state', 'succeeded')) == 4, lambda: f'4 successes: {self.lines("jobs")}')
        again = self.shell('redrive', '--route', 'lost').stdout
        self.assertEqual(3, again.count('redriven before'))
        self.assertEqual({(line.split(':')[0], line.rpartition(' ')[2]) for line in again.splitlines()},
                         {(job['redriveOf'], job['id']) for job in self.lines('redrive', '--json', '--route', 'lost')})
        self.assertEqual(7, len(self.ids()))

    def test_what_cannot_be_redriven_is_refused_in_words(self):
        self.serve_failing()
        done = self.submit().wait()
        self.refused('only a failed job can be redriven; this one is succeeded', 'redrive', done.id)
        self.refused('there is no such job', 'redrive', UNKNOWN)
        purged = self.failed_job()
        self.shell('purge', purged.id)
        self.refused("the job's retention is over, or it was purged", 'redrive', purged.id)
        removed = self.failed_job()
        self.assertTrue(self.proxy.reload(self.config(admin={'socket': self.admin})))
        self.refused("its route 'lost' is not configured any more", 'redrive', removed.id)
        self.assertTrue(self.proxy.reload(self.config(
            [route('/lost/*', name='lost', mode='never')], admin={'socket': self.admin})))
        self.refused("its route 'lost' makes no jobs any more", 'redrive', removed.id)

    def test_a_request_that_is_erased_cannot_be_redriven(self):
        self.serve_failing()
        self.assertTrue(self.proxy.reload(self.config(
            [route('/lost/*', name='lost', resend='never')], admin={'socket': self.admin},
            jobs={'retention': {'failed_request': '1ms'}})))
        job = self.failed_job()
        wait_until(lambda: 'request' not in self.lines('job', job.id)[0], 'the request erased')
        self.refused('its request is erased already (jobs.retention.failed_request)', 'redrive', job.id)

    def test_a_redriven_job_obeys_what_its_route_says_now(self):
        self.serve_failing()
        job = self.failed_job()
        self.assertTrue(self.proxy.reload(self.config(
            [route('/lost/*', name='lost', resend='always', retry={'max_attempts': 2, 'backoff': '10ms'})],
            admin={'socket': self.admin})))
        self.backend.on('/lost', in_turn(reset_after_reading, echo))
        self.shell('redrive', job.id)
        wait_until(lambda: self.ids('--state', 'succeeded'), lambda: f'a success: {self.lines("jobs")}')
        (new,) = self.lines('jobs', '--state', 'succeeded')
        self.assertEqual(2, new['attempts'])

    def test_killed_in_the_middle_of_redriving(self):
        self.serve_failing()
        jobs = [self.failed_job(LARGE) for _ in range(6)]
        before = {job.id: job.outcome() for job in jobs}
        self.backend.on('/lost', echo)
        for kills in range(4):
            redriving = subprocess.Popen(
                [program.binary(), 'redrive', '--socket', self.admin, *(job.id for job in jobs)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for _ in range(kills):
                redriving.stdout.readline()
            self.proxy.restart()
            redriving.communicate(timeout=20)
        self.shell('redrive', *(job.id for job in jobs))
        wait_until(lambda: len(self.ids('--limit', '1000')) == 12 and
                   not self.ids('--state', 'running') + self.ids('--state', 'queued'),
                   lambda: f'six new jobs that have ended: {self.lines("jobs")}')
        new = {job['redriveOf']: job['status'] for job in self.lines('jobs') if 'redriveOf' in job}
        self.assertEqual(set(before), set(new))
        # One that was under way at a kill may have been executed: its route says never to resend.
        self.assertLessEqual(set(new.values()), {'succeeded', 'failed'})
        self.assertEqual(before, {job.id: job.outcome() for job in jobs})
        done = sum(status == 'succeeded' for status in new.values())
        wait_until(lambda: len(self.spool_files()) == 6 + done + (6 - done), lambda: f'{self.spool_files()}')


class Control(Shell):
    def test_every_operation_is_documented(self):
        self.serve()
        status, _, body = ask(self.admin, 'GET', '/')
        self.assertEqual(200, status)
        operations = {f'{each["method"]} {each["path"]}' for each in json.loads(body)}
        self.assertEqual(operations, {word for word in words_of('admin.md', '#') if ' /' in word})

    def test_every_command_and_option_is_in_the_manual(self):
        with open(os.path.join(program.ROOT, 'packaging/man/raincheck.1'), encoding='utf-8') as file:
            manual = file.read()
        described = set(re.findall(r'[a-z-]+', ' '.join(re.findall(r'^\.(?:It )?(?:Cm|Fl|Op Fl) .*', manual, re.M))))
        for command in ('jobs', 'job', 'cancel', 'redrive', 'purge', 'stats', 'pause', 'resume', 'drain'):
            self.assertIn(command, described)
            options = re.findall(r'--([a-z-]+)', program.run(command, '--help').stdout.partition('Options:')[2])
            self.assertIn('socket', options)
            for option in set(options) - {'help', 'help-all'}:
                self.assertIn('-' + option, described, command)

    def test_a_paused_upstream_begins_no_job(self):
        self.serve(upstream={'max_concurrency': 2})
        gate = self.backend.on('/reports', Gate(echo))
        under_way = self.submit()
        self.wait_for_calls(gate)
        self.shell('pause', 'legacy')
        self.audited('POST /upstreams/legacy/pause: 204 paused')
        waiting = [self.submit() for _ in range(3)]
        gate.open()
        self.assertEqual(200, under_way.wait().result().status)
        self.assertEqual(200, self.request('GET', '/plain').status)
        self.assertTrue(self.proxy.reload(self.config(admin={'socket': self.admin}, upstream={'max_concurrency': 3})))
        wait_until(lambda: self.stats()['upstreams'][0]['queued'] == 3, lambda: f'{self.stats()}')
        (upstream,) = self.stats()['upstreams']
        self.assertEqual((True, False, 0, 3), tuple(
            upstream[name] for name in ('paused', 'held', 'calls', 'maxConcurrency')))
        self.assertEqual(1, len(self.backend.seen('/reports')))
        self.assertRegex(self.on_terminal('stats'), r'\nlegacy +3 .* paused\n')
        self.shell('resume', 'legacy')
        for job in waiting:
            self.assertEqual(200, job.wait().result().status)
        self.assertFalse(self.stats()['upstreams'][0]['paused'])
        self.refused("there is no upstream 'other'", 'pause', 'other')

    def test_retries_of_a_paused_upstream_wait_too(self):
        self.serve([route('/reports/*', resend='always', retry={'max_attempts': 9, 'on': [503], 'backoff': '1ms'})])
        gate = Gate(answer(503))
        self.backend.on('/reports', in_turn(gate, echo))
        job = self.submit()
        self.wait_for_calls(gate)
        self.shell('pause', 'legacy')
        gate.open()
        job.wait_for('queued')
        self.assertEqual(1, self.backend.count('/reports'))
        self.shell('resume', 'legacy')
        self.assertEqual(200, job.wait().result().status)

    def test_stats(self):
        self.serve()
        gate = self.backend.on('/reports', Gate(echo))
        self.submit()
        self.wait_for_calls(gate)
        wait_until(lambda: self.stats()['running'] == 1, lambda: f'{self.stats()}')
        stats = self.stats()
        self.assertEqual((1, True, False), (stats['pending'], stats['lastReloadSuccessful'], stats['draining']))
        self.assertEqual([{'server': self.backend.url.split('//')[1], 'calls': 1, 'healthy': True}],
                         stats['upstreams'][0]['servers'])
        self.assertGreater(stats['storeBytes'], 0)
        self.assertFalse(self.proxy.reload('nonsense'))
        self.assertFalse(self.stats()['lastReloadSuccessful'])
        gate.open()

    def test_drain(self):
        self.serve()
        gate = self.backend.on('/reports', Gate(echo))
        self.submit()
        self.wait_for_calls(gate)
        self.shell('drain', '--no-wait')
        self.audited('POST /drain: 202')
        self.assertTrue(self.stats()['draining'])
        draining = subprocess.Popen([program.binary(), 'drain', '--socket', self.admin])
        wait_until(lambda: self.proxy.log().count('POST /drain: 202') == 2, 'the second to be heard')
        self.assertIsNone(draining.poll())
        self.assertTrue(self.proxy.running)
        gate.open()
        self.assertEqual(0, draining.wait(20))
        self.assertEqual(0, self.proxy.wait())
        self.proxy.start()

    def test_what_is_paused_stays_so_until_it_is_resumed_or_gone(self):
        routes = [route('/reports/*', name='reports'), route('/letters/*', name='letters')]
        self.serve(routes)
        self.shell('pause', '--route', 'letters')
        self.shell('pause', 'legacy')
        waiting = [self.submit(f'/{name}/1') for name in ('letters', 'reports')]
        self.proxy.kill()
        self.proxy.start()
        for what in ('upstream legacy', 'route letters'):
            self.assertIn(f'warning {what} is still paused: its jobs wait', self.proxy.log())
        self.shell('resume', 'legacy')
        self.assertEqual(200, waiting[1].wait().result().status)
        self.assertEqual([('reports', False), ('letters', True)],
                         [(each['name'], each['paused']) for each in self.stats()['routes']])
        # A route that makes no jobs any more is told of, for it has one; one that is gone is forgotten.
        never = [routes[0], route('/letters/*', name='letters', mode='never')]
        admin = {'socket': self.admin}
        self.assertTrue(self.proxy.reload(self.config(never, admin=admin)))
        self.assertEqual([True], [each['paused'] for each in self.stats()['routes'] if each['name'] == 'letters'])
        self.assertEqual('queued', waiting[0].document()['status'])
        self.assertTrue(self.proxy.reload(self.config(routes[:1], admin=admin)))
        self.assertEqual('route_removed', waiting[0].ended())
        self.assertIn('route letters was paused, and is not configured any more: forgotten', self.proxy.log())
        self.assertTrue(self.proxy.reload(self.config(routes, admin=admin)))
        self.assertEqual(200, self.submit('/letters/2').wait().result().status)
        self.proxy.kill()
        self.proxy.start()
        self.assertEqual(2, self.proxy.log().count('is still paused'))
        self.assertEqual(1, len(self.backend.seen('/letters')))

    def test_a_paused_route_begins_no_job_while_others_go_on(self):
        routes = [route('/reports/*', name='reports'), route('/letters/*', name='letters', wait='100ms'),
                  route('/plain/*', name='plain', mode='never')]
        self.serve(routes)
        gate = self.backend.on('/letters', Gate(echo))
        under_way = self.submit('/letters/1')
        self.wait_for_calls(gate)
        self.shell('pause', '--route', 'letters')
        self.audited('POST /routes/letters/pause: 204 paused')
        waiting = [self.submit(f'/letters/{i}') for i in range(3)]
        gate.open()
        self.assertEqual(200, under_way.wait().result().status)
        self.assertEqual(200, self.submit('/reports/1').wait().result().status)
        self.assertTrue(self.proxy.reload(self.config(routes, admin={'socket': self.admin})))
        wait_until(lambda: self.stats()['upstreams'][0]['queued'] == 3, lambda: f'{self.stats()}')
        told = {each['name']: (each['queued'], each['paused']) for each in self.stats()['routes']}
        self.assertEqual({'reports': (0, False), 'letters': (3, True)}, told)
        self.assertRegex(self.on_terminal('stats'), r'\nletters +3 .* paused\n')
        self.assertEqual(1, len(self.backend.seen('/letters')))
        self.shell('resume', '--route', 'letters')
        for job in waiting:
            self.assertEqual(200, job.wait().result().status)
        self.refused("there is no route 'other'", 'pause', '--route', 'other')
        self.refused("route 'plain' makes no jobs", 'pause', '--route', 'plain')
        for words in ((), ('legacy', '--route', 'letters')):
            self.assertEqual(64, program.run('pause', *words).returncode)
