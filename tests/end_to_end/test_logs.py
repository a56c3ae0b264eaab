"""Logs: one line per exchange, one per attempt, joined by ids; nothing secret in them, nothing forged."""
import concurrent.futures
import fcntl
import json
import os
import re
import time

from backend import Gate, answer, in_turn, raw, reset_after_reading
from harness import EndToEnd, Job, route
from program import Raincheck
from wire import request_bytes, wait_until

CANARIES = ('s3cr3t-authorization', 's3cr3t-cookie', 's3cr3t-query', 's3cr3t-body', 's3cr3t-proxy', 's3cr3t-key',
            's3cr3t-setcookie')


class Logs(EndToEnd):
    def lines(self, count=0, **wanted):
        """The lines of the access log that have these values, once there are enough of them."""
        def found():
            lines = [line for line in self.proxy.access_log() if all(line.get(k) == v for k, v in wanted.items())]
            return lines if len(lines) >= count else None
        return wait_until(lambda: (f := found()) is not None and [f], lambda: f'{count} lines like {wanted} in '
                          f'{self.proxy.access_log()}')[0]

    def reason(self, status, **wanted):
        line = self.lines(1, event='exchange', status=status, **wanted)[-1]
        return line['reason']

    def attempts(self, count):
        return self.lines(count, event='attempt')

    def test_an_exchange_is_one_line_with_what_an_operator_needs(self):
        self.serve(routes=[route('/reports/*', name='reports')])
        answered = self.request('POST', '/reports/7', {'User-Agent': 'tester/1'}, b'12345')
        line, = self.lines(1, status=202)
        job = Job(self.proxy, answered)
        for key, value in {'method': 'POST', 'path': '/reports/7', 'status': 202, 'route': 'reports', 'job_id': job.id,
                           'client': '127.0.0.1', 'bytes_in': 5, 'bytes_out': len(answered.body),
                           'user_agent': 'tester/1'}.items():
            self.assertEqual(value, line.get(key), key)
        self.assertEqual(answered.get('X-Request-Id'), line['request_id'])
        self.assertRegex(line['ts'], r'\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\Z')
        self.assertGreaterEqual(line['duration_us'], 0)

    def test_every_attempt_is_one_line_joined_by_the_ids(self):
        self.serve(routes=[route(retry={'max_attempts': 3, 'backoff': '10ms'})])
        self.backend.on('/reports', in_turn(reset_after_reading, answer(502), answer(200)))
        job = self.submit(method='PUT').wait()
        lines = self.attempts(3)
        submission, = self.lines(1, status=202)
        self.assertEqual([1, 2, 3], [line['attempt'] for line in lines])
        self.assertEqual([job.id] * 3, [line['job_id'] for line in lines])
        self.assertEqual([submission['request_id']] * 3, [line['request_id'] for line in lines])
        self.assertEqual(['legacy'] * 3, [line['upstream'] for line in lines])
        self.assertEqual([502, 200], [line['status'] for line in lines[1:]])
        self.assertEqual('upstream_lost', lines[0]['reason'])
        self.assertEqual(submission['request_id'], self.backend.seen()[-1].get('X-Request-Id'))

    def test_a_plain_call_has_both_lines_too(self):
        self.serve()
        self.request('GET', '/x')
        line, = self.lines(1, event='exchange', path='/x')
        attempt, = self.attempts(1)
        self.assertEqual(line['request_id'], attempt['request_id'])
        self.assertEqual(('legacy', 200), (attempt['upstream'], attempt['status']))

    def test_what_went_wrong_has_a_reason_from_the_closed_list(self):
        self.serve(routes=[route('POST /reports/*', limits={'body': '1KiB'})], default_upstream=None,
                   listeners=[{'address': '127.0.0.1:0', 'timeouts': {'header': '200ms', 'body': '200ms'}}])
        self.request('GET', '/nowhere')
        self.assertEqual('no_route', self.reason(404))
        self.request('GET', '/reports/1')
        self.assertEqual('method_not_allowed', self.reason(405))
        self.request('POST', '/reports/1', (), b'x' * 2000)
        self.assertEqual('body_too_large', self.reason(413))
        client = self.client()
        client.send(b'nonsense\r\n\r\n')
        client.answer()
        self.assertEqual('bad_request', self.reason(400))
        client = self.client()
        client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n')
        client.answer()
        self.assertEqual('body_timeout', self.reason(408))
        client = self.client()
        client.send(b'POST /reports/1 HT')
        client.answer()
        wait_until(lambda: any(line.get('reason') == 'header_timeout' for line in self.proxy.access_log()),
                   'a header timeout in the log')

    def test_what_upstreams_do_wrong_has_a_reason_too(self):
        self.serve(upstream={'timeouts': {'first_byte': '200ms'}, 'limits': {'response_body': '1KiB'}})
        for path, script, status, reason in (
                ('/garbled', raw(b'nonsense\r\n\r\n'), 502, 'upstream_protocol_error'),
                ('/lost', reset_after_reading, 502, 'upstream_lost'), ('/late', Gate(), 504, 'upstream_timeout')):
            self.backend.on(path, script)
            self.request('GET', path)
            self.assertEqual(reason, self.reason(status, path=path))
        self.backend.refuse()
        self.request('GET', '/refused')
        self.assertEqual('upstream_unreachable', self.reason(502, path='/refused'))

    def test_a_client_that_left_is_told(self):
        self.serve()
        gate = self.backend.on('/x', Gate())
        client = self.client()
        client.send(request_bytes('GET', '/x'))
        self.wait_for_calls(gate)
        client.close()
        wait_until(lambda: any(line.get('reason') == 'client_closed' for line in self.proxy.access_log()),
                   'client_closed in the log')

    def test_a_full_queue_has_its_reason(self):
        self.serve(jobs={'max_pending': 1}, upstream={'max_concurrency': 1})
        gate = self.backend.on('/reports', Gate())
        self.submit()
        self.request('POST', '/reports/1', (), b'')
        self.assertEqual('queue_full', self.reason(503))
        gate.open()

    def test_secrets_and_queries_are_never_logged(self):
        self.serve(log={'level': 'debug'}, routes=[route(retry={'max_attempts': 2, 'backoff': '10ms'})])
        self.backend.on('/', answer(200, b's3cr3t-body', {'Set-Cookie': 's3cr3t-setcookie'}))
        fields = {'Authorization': 'Bearer s3cr3t-authorization', 'Cookie': 'a=s3cr3t-cookie',
                  'Proxy-Authorization': 's3cr3t-proxy', 'X-Api-Key': 's3cr3t-key',
                  'Referer': 'http://a/?s3cr3t-query', 'Idempotency-Key': 's3cr3t-key'}
        for path in ('/plain?x=s3cr3t-query', '/reports/1?x=s3cr3t-query'):
            self.request('POST', path, fields, b's3cr3t-body')
        Job(self.proxy, self.request('POST', '/reports/1?x=s3cr3t-query', fields, b's3cr3t-body')).wait().result()
        self.backend.on('/', raw(b'HTTP/1.1 200 s3cr3t-body\r\ns3cr3t-body\r\n\r\n'))
        self.request('GET', '/plain?s3cr3t-query', fields)
        client = self.client()
        client.send(b'GET /x?s3cr3t-query HTTP/1.1\r\nAuthorization: s3cr3t-authorization\r\nbad line\r\n\r\n')
        client.answer()
        self.lines(1, status=400)
        self.proxy.stop()
        with open(self.proxy.stdout_path, encoding='utf-8') as file:
            written = file.read() + self.proxy.log()
        self.assertEqual([], [canary for canary in CANARIES if canary in written])

    def test_nothing_can_be_forged_into_a_log(self):
        self.serve(log={'level': 'debug'})
        client = self.client()
        client.send(b'GET /a%0a%0d%1b[31m"\'\\HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n')
        client.answer()
        self.request('GET', '/x', {'User-Agent': 'a"b\\c\x85\xff\tz'})
        client = self.client()
        client.send(b'GET /\x1b[31m HTTP/1.1\r\nHost: a\r\nX: \x1b\r\n\r\n')
        client.answer()
        self.lines(3)
        for text in (open(self.proxy.stdout_path, 'rb').read(), open(self.proxy.stderr_path, 'rb').read()):
            self.assertIsNone(re.search(rb'[\x00-\x09\x0b-\x1f\x7f]', text))
            text.decode('utf-8')

    def test_every_line_is_json_of_its_own(self):
        self.serve()
        for i in range(30):
            self.request('GET', f'/x{i}')
        self.lines(30, event='exchange')

    def test_under_journald_each_line_has_its_priority_and_no_time(self):
        path = f'{self.folder}/raincheck.log'
        open(path, 'w', encoding='ascii').close()
        info = os.stat(path)
        self.serve(environment={'JOURNAL_STREAM': f'{info.st_dev}:{info.st_ino}'})
        lines = self.proxy.log().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r'\A<[0-7]>(?!\d{4}-)')

    def test_why_it_does_not_start_has_its_priority_too(self):
        wrong = {'bogus': 1}
        path = f'{self.folder}/raincheck.log'
        open(path, 'w', encoding='ascii').close()
        info = os.stat(path)
        journal = {'JOURNAL_STREAM': f'{info.st_dev}:{info.st_ino}'}
        proxy = Raincheck(self.folder, '', None, (), None)
        self.addCleanup(proxy.close)
        for settings, environment in ((wrong, journal), ({**wrong, 'log': {'format': 'json'}}, None)):
            proxy.configure(self.config(**settings))
            proxy.environment = environment or {}
            os.truncate(path, 0)
            self.assertEqual(78, proxy.spawn().wait())
            lines = proxy.log().splitlines()
            if environment:
                self.assertRegex(lines[0], r"\A<3>.*raincheck.yaml:\d+:\d+: error: bogus: unknown key 'bogus'")
                self.assertRegex(lines[-1], r'\A<2>.* is refused: raincheck does not start')
            else:
                self.assertEqual(['error', 'critical'], [json.loads(line)['level'] for line in lines])

    def test_on_request_the_program_log_is_json(self):
        self.serve(log={'format': 'json'})
        for line in self.proxy.log().splitlines():
            self.assertTrue({'level', 'ts'} <= set(json.loads(line)), line)

    def test_a_request_id_is_taken_from_whom_we_trust_and_returned(self):
        self.serve()
        self.assertEqual('mine-1', self.request('GET', '/x', {'X-Request-Id': 'mine-1'}).get('X-Request-Id'))
        self.assertEqual('mine-1', self.backend.seen()[-1].get('X-Request-Id'))
        for bad in ('a b', 'x' * 200, 'a\x85b', '', 'a"b'):
            given = self.request('GET', '/x', {'X-Request-Id': bad}).get('X-Request-Id')
            self.assertNotEqual(bad, given)

    def test_a_request_id_of_a_stranger_is_replaced(self):
        self.serve(trusted_proxies=['10.0.0.0/8'])
        answered = self.request('GET', '/x', {'X-Request-Id': 'mine', 'X-Forwarded-For': '6.6.6.6'})
        self.assertNotEqual('mine', answered.get('X-Request-Id'))
        self.assertEqual('127.0.0.1', self.backend.seen()[-1].get('X-Forwarded-For'))

    def test_no_line_is_lost_while_their_reader_rests(self):
        """More pieces than the queue has places for, if each were a request's lines."""
        path = os.path.join(self.folder, 'access.log')
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)

        def unhurried(exchange):
            time.sleep(0.025)
            answer()(exchange)
        self.backend.on('/x', unhurried)
        self.serve()
        for _ in range(180):
            self.request('GET', '/x')
        os.set_blocking(reader, True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            text = pool.submit(lambda: b''.join(iter(lambda: os.read(reader, 65536), b'')))
            self.proxy.stop()
            written = text.result()
        os.unlink(path)
        with open(path, 'wb') as file:
            file.write(written)
        self.assertEqual([180] * 2, [len(self.lines(event=event)) for event in ('exchange', 'attempt')])

    def test_it_ends_though_nobody_reads_the_lines(self):
        path = os.path.join(self.folder, 'access.log')
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.serve()
        client = self.client()
        for _ in range(1000):  # more than the pipe takes
            client.request('GET', '/x')
        client.close()
        began = time.monotonic()
        self.proxy.stop()
        self.assertLess(time.monotonic() - began, 5)
        os.unlink(path)
        with open(path, 'wb'):
            pass

    def test_paths_can_be_left_out_of_the_access_log(self):
        self.serve(access_log={'exclude_paths': ['/healthz']})
        self.request('GET', '/healthz')
        self.request('GET', '/seen')
        self.lines(1, path='/seen', status=200)
        self.assertEqual([], [line for line in self.proxy.access_log() if line.get('path') == '/healthz'])
