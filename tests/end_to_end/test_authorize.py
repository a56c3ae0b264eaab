"""`authorize`: nothing goes on that the authorization service of its route has not allowed."""
import concurrent.futures
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

from backend import Backend, Gate, answer, in_turn, raw
from harness import EndToEnd, Job, route
from wire import request, request_bytes, wait_until

GOOD = {'Authorization': 'Bearer good'}
BAD = {'Authorization': 'Bearer bad'}
MODES = ('always', 'never', 'hybrid')
CORS = {'allow_origins': ['https://app.example.com'], 'allow_credentials': True}


def judge(exchange):
    """Lets in whoever says the right word."""
    if exchange.request.get('Authorization') == 'Bearer good':
        exchange.reply(200, b'welcome', {'X-User': 'ada', 'X-Other': 'not asked for'})
    else:
        exchange.reply(401, b'<h1>Who are you?</h1>',
                       [('WWW-Authenticate', 'Basic realm="reports"'), ('Content-Type', 'text/html'),
                        ('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2'), ('Cache-Control', 'private'),
                        ('Access-Control-Allow-Origin', '*')])


class Authorized(EndToEnd):
    """Every route is guarded, by a service of the test's own."""

    def setUp(self):
        super().setUp()
        self.auth = Backend()
        self.addCleanup(self.auth.stop)
        self.auth.on('/', judge)

    def guard(self, **settings):
        return {'url': self.auth.url + '/check', 'copy_headers': ['X-User'], **settings}

    def guarded_routes(self, rules=None, **settings):
        guard, rules = self.guard(**settings), rules or {}
        return [route('/always/*', authorize=guard, mode='always', **rules),
                route('/never/*', authorize=guard, mode='never', **rules),
                route('/hybrid/*', authorize=guard, mode='always', wait='20s', **rules)]

    def serve_with(self, upstream=None, rules=None, **settings):
        self.serve(upstream=upstream, routes=self.guarded_routes(rules, **settings))

    def call(self, mode, fields=(), body=b'data', path='/x'):
        """The response of the backend, or what stands in its place."""
        response = self.request('POST', f'/{mode}{path}', fields, body)
        if response.status != 202:
            return response
        job = Job(self.proxy, response)
        wait_until(lambda: job.poll(GOOD).status == 302, 'the job')
        return job.result(fields=GOOD)

    def questions(self, path=''):
        """What the service was asked about paths that begin so."""
        return [seen for seen in self.auth.seen() if seen.get('X-Original-URI').startswith(path)]

    def reasons(self):
        return [line['reason'] for line in self.proxy.access_log() if line['event'] == 'exchange']

    def assert_reason(self, reason):
        wait_until(lambda: reason in self.reasons(), lambda: f'{reason}; there are {self.reasons()}')

    def assert_unavailable(self, mode='always', fields=GOOD):
        response = self.request('POST', f'/{mode}/x', fields, b'data')
        self.assert_problem(response, 503, 'authorization_unavailable')
        self.assertEqual('1', response.get('Retry-After'))
        self.assertEqual(0, self.backend.count())


class Allowed(Authorized):
    def test_goes_on_with_what_the_service_says_of_the_client(self):
        self.serve_with(rules={'request_headers': {'set': {'X-Greeting': 'hello ${header.X-User}'}}})
        for mode in MODES:
            response = self.call(mode, {**GOOD, 'X-User': 'forged', 'x-user': 'again', 'Connection': 'X-User'})
            self.assertEqual((200, b'data'), (response.status, response.body))
            seen = self.backend.seen()[-1]
            self.assertEqual((f'/{mode}/x', 'ada', 'hello ada', None),
                             (seen.target, seen.get('X-User'), seen.get('X-Greeting'), seen.get('X-Other')))

    def test_the_question_says_who_asks_for_what_and_has_no_body(self):
        self.serve_with()
        forged = {name: 'forged' for name in (
            'X-Original-URI', 'X-Original-Method', 'X-Original-URL', 'X-Forwarded-Uri', 'X-Forwarded-Method',
            'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-For', 'X_Forwarded_Uri')}
        for mode in MODES:
            self.call(mode, {**GOOD, **forged, 'Cookie': 'c=d', 'Host': 'public.example', 'Content-Type': 'text/plain',
                             'Range': 'bytes=0-1', 'If-Match': '*', 'X-Custom': 'yes', 'TE': 'trailers'},
                      path='/%61?q=1')
            question = self.questions(f'/{mode}')[0]
            self.assertEqual(('GET', '/check', 'none', b''),
                             (question.method, question.target, question.framing, question.body))
            self.assertEqual(f'127.0.0.1:{self.auth.port}', question.get('Host'))
            for name, value in (
                    ('Authorization', 'Bearer good'), ('Cookie', 'c=d'), ('X-Custom', 'yes'),
                    ('X-Original-Method', 'POST'), ('X-Original-URI', f'/{mode}/a?q=1'),
                    ('X-Forwarded-Method', 'POST'), ('X-Forwarded-Uri', f'/{mode}/a?q=1'),
                    ('X-Original-URL', None), ('X_Forwarded_Uri', None), ('Content-Type', None),
                    ('Content-Length', None), ('Transfer-Encoding', None), ('Range', None), ('If-Match', None),
                    ('TE', None), ('Connection', None)):
                self.assertEqual(value, question.get(name), name)
            self.assertEqual(question.get('X-Request-Id'), self.backend.seen()[-1].get('X-Request-Id'))

    def test_peers_that_are_not_believed_say_nothing_of_themselves_to_the_service(self):
        self.serve(trusted_proxies=[], routes=[route('/never/*', authorize=self.guard(), mode='never')])
        self.call('never', {**GOOD, 'Host': 'public.example', 'X-Forwarded-Host': 'inside', 'Forwarded': 'host=inside',
                            'X-Forwarded-For': '10.0.0.1', 'X-Real-IP': '10.0.0.1', 'X-Forwarded-Proto': 'https'})
        question = self.questions()[0]
        self.assertEqual(('public.example', '127.0.0.1', 'http', None, None), tuple(question.get(name) for name in (
            'X-Forwarded-Host', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Real-IP', 'Forwarded')))

    def test_a_field_that_the_service_does_not_give_is_taken_out(self):
        self.serve_with()
        self.auth.on('/', answer(204, b'', {}))
        for mode in MODES:
            self.assertEqual(200, self.call(mode, {'X-User': 'forged', 'x-USER': 'twice'}).status)
            self.assertEqual([], self.backend.seen()[-1].all('X-User'))

    def test_the_service_is_asked_over_connections_that_are_kept(self):
        self.serve_with()
        with self.client() as client:
            for _ in range(3):
                self.assertEqual(200, client.request('GET', '/never/x', GOOD).status)
            self.assertEqual(1, self.auth.connections)
            # One that the service has given up meanwhile is no failure.
            self.auth.break_connections()
            self.assertEqual(200, client.request('GET', '/never/x', GOOD).status)

    def test_interim_answers_are_read_over(self):
        self.serve_with()
        self.auth.on('/', raw(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
                              b'HTTP/1.1 200 OK\r\nX-User: ada\r\nContent-Length: 0\r\n\r\n'))
        self.assertEqual(200, self.call('never').status)
        self.assertEqual('ada', self.backend.seen()[-1].get('X-User'))

    def test_the_body_of_a_positive_answer_is_of_no_interest(self):
        self.serve_with()
        self.auth.on('/', answer(200, b'x' * 300_000, {'X-User': 'ada'}))
        self.assertEqual(200, self.call('always').status)

    def test_other_methods_may_be_used(self):
        self.serve_with(method='HEAD')
        self.assertEqual(200, self.call('never', GOOD).status)
        self.assertEqual(401, self.call('never', BAD).status)
        self.assertEqual({'HEAD'}, {seen.method for seen in self.auth.seen()})

    def test_more_questions_than_the_service_may_have_at_once_wait(self):
        gate = self.auth.on('/', Gate(judge))
        self.serve_with(timeout='20s', upstream={'max_concurrency': 100})
        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            calls = [pool.submit(self.request, 'GET', '/never/x', GOOD) for _ in range(80)]
            self.wait_for_calls(gate, 64)
            gate.open()
            self.assertEqual([200] * 80, [call.result().status for call in calls])
        self.assertEqual(64, self.auth.peak)


class Refused(Authorized):
    def test_the_answer_of_the_service_is_the_clients(self):
        self.serve_with()
        for mode in MODES:
            response = self.request('POST', f'/{mode}/x', BAD, b'data')
            self.assertEqual((401, b'<h1>Who are you?</h1>'), (response.status, response.body))
            self.assertEqual(('Basic realm="reports"', 'text/html', 'private'), tuple(
                response.get(name) for name in ('WWW-Authenticate', 'Content-Type', 'Cache-Control')))
            self.assertEqual(['a=1', 'b=2'], response.all('Set-Cookie'))
            self.assertEqual(1, len(response.all('X-Request-Id')))
            head = self.request('HEAD', f'/{mode}/x', BAD)
            self.assertEqual((401, '21'), (head.status, head.get('Content-Length')))
        self.assertEqual(0, self.backend.count())
        self.assert_reason('not_authorized')

    def test_a_connection_goes_on_after_a_refusal(self):
        self.serve_with()
        with self.client() as client:
            for mode in MODES:
                self.assertEqual(401, client.request('POST', f'/{mode}/x', BAD, b'data').status)
            self.assertEqual(200, client.request('POST', '/never/x', GOOD, b'data').status)

    def test_redirects_are_passed_on_and_not_followed(self):
        self.serve_with()
        self.auth.on('/', answer(302, b'', {'Location': self.auth.url + '/login', 'Set-Cookie': 'state=1'}))
        response = self.request('GET', '/never/x')
        self.assertEqual((302, self.auth.url + '/login', 'state=1'),
                         (response.status, response.get('Location'), response.get('Set-Cookie')))
        self.assertEqual(['/check'], [seen.target for seen in self.auth.seen()])

    def test_what_is_too_long_is_not_cut(self):
        self.serve_with()
        fields = {'Content-Type': 'text/html', 'ETag': '"1"', 'X-Why': 'because', 'Set-Cookie': 'a=1'}
        for size, whole in ((65536, True), (65537, False)):
            self.auth.on('/', answer(403, b'x' * size, fields))
            response = self.request('POST', '/always/x', body=b'data')
            self.assertEqual((403, 'because', 'a=1'),
                             (response.status, response.get('X-Why'), response.get('Set-Cookie')))
            if whole:
                self.assertEqual((size, '"1"'), (len(response.body), response.get('ETag')))
            else:
                self.assert_problem(response, 403, 'not_authorized')
                self.assertIsNone(response.get('ETag'))

    def test_what_browsers_are_told_is_the_routes_to_say(self):
        self.serve_with(rules={'cors': CORS})
        response = self.request('POST', '/always/x', {**BAD, 'Origin': CORS['allow_origins'][0]}, b'data')
        self.assertEqual((401, CORS['allow_origins']), (response.status, response.all('Access-Control-Allow-Origin')))

    def test_preflights_are_answered_without_the_service(self):
        self.serve_with(rules={'cors': CORS})
        for path in ('/always/x', '/never/x', '/_jobs/x'):
            told = self.request('OPTIONS', path, {'Origin': CORS['allow_origins'][0],
                                                  'Access-Control-Request-Method': 'GET'})
            self.assertEqual((204, CORS['allow_origins'][0]), (told.status, told.get('Access-Control-Allow-Origin')))
        self.assertEqual(0, self.auth.count())

    def test_what_looks_like_a_preflight_where_nobody_answers_it_is_a_call(self):
        self.serve_with()
        told = self.request('OPTIONS', '/never/x', {'Origin': 'https://a', 'Access-Control-Request-Method': 'GET'})
        self.assertEqual(401, told.status)
        self.assertEqual(0, self.backend.count())

    def test_an_upgrade_is_a_call(self):
        self.serve_with()
        upgrade = {**BAD, 'Connection': 'Upgrade', 'Upgrade': 'websocket'}
        self.assertEqual([401, 401], [self.request('GET', f'/{mode}/x', upgrade).status for mode in ('always', 'never')])
        self.assertEqual(0, self.backend.count())
        self.assertEqual([None, None], [question.get('Upgrade') for question in self.questions()])

    def test_cheaper_checks_come_first(self):
        self.serve(routes=[route('/always/*', authorize=self.guard(), validate={
            'headers': {'X-Needed': 'required'}, 'content_types': ['text/plain']})])
        self.assert_problem(self.request('POST', '/always/x', BAD, b'data'), 415, 'invalid_request')
        self.assert_problem(self.request('POST', '/always/x', {**BAD, 'Transfer-Encoding': 'chunked'}), 415)
        self.assertEqual(0, self.auth.count())
        fields = {**BAD, 'X-Needed': 'yes', 'Content-Type': 'text/plain'}
        self.assertEqual(401, self.request('POST', '/always/x', fields, b'data').status)

    def test_a_key_is_its_callers_alone(self):
        """Who that is says the service; without its word, what the caller itself says."""
        self.auth.on('/', lambda exchange: exchange.reply(
            204, b'', {'X-User': exchange.request.get('Authorization').split()[-1]}))
        open_guard = self.guard(copy_headers=[])
        self.serve(routes=[route('/always/*', authorize=self.guard()), route('/open/*', authorize=open_guard)])

        def job_of(path, authorization):
            return self.submit(path, fields={'Authorization': authorization, 'Idempotency-Key': 'k'}).id

        ada = job_of('/always/x', 'old ada')
        self.assertNotEqual(ada, job_of('/always/x', 'new eve'))
        self.assertEqual(ada, job_of('/always/x', 'new ada'))
        ada = job_of('/open/x', 'old ada')
        self.assertEqual(ada, job_of('/open/x', 'old ada'))
        self.assertNotEqual(ada, job_of('/open/x', 'new ada'))

    def test_head_is_no_way_round_a_route_for_get(self):
        self.serve(routes=[route('GET /secret/*', mode='never', authorize=self.guard())])
        self.assertEqual([401, 401], [self.request(method, '/secret/1', BAD).status for method in ('GET', 'HEAD')])
        self.assertEqual(0, self.backend.count())
        self.assertEqual(200, self.request('HEAD', '/secret/1', GOOD).status)

    def test_a_repeated_key_does_not_open_the_door(self):
        self.serve_with()
        first = self.submit('/always/x', fields={**GOOD, 'Idempotency-Key': 'k'})
        again = self.request('POST', '/always/x', {**BAD, 'Idempotency-Key': 'k'}, b'data')
        self.assertEqual((401, None), (again.status, again.get('Location')))
        again = self.submit('/always/x', fields={**GOOD, 'Idempotency-Key': 'k'})
        self.assertEqual(first.id, again.id)


class Bodies(Authorized):
    """A body is asked for when its call is allowed."""

    def send_head(self, mode, fields):
        client = self.client()
        client.send(request_bytes('POST', f'/{mode}/x', {
            **fields, 'Content-Length': '4', 'Expect': '100-continue'}))
        return client

    def test_is_not_asked_for_when_the_call_is_refused(self):
        self.serve_with()
        for mode in MODES:
            refused = self.send_head(mode, BAD).answer('POST')
            self.assertEqual((401, []), (refused.status, refused.interim))

    def test_is_asked_for_when_the_call_is_allowed(self):
        gate = self.auth.on('/', Gate(judge))
        self.serve_with(timeout='20s')
        clients = [self.send_head(mode, GOOD) for mode in MODES]
        self.wait_for_calls(gate, len(MODES))
        gate.open()
        for mode, client in zip(MODES, clients):
            self.assertEqual(100, client.read_head().status)
            client.send(b'data')
            self.assertEqual(202 if mode == 'always' else 200, client.answer('POST').status)

    def test_that_has_to_be_checked_comes_after_what_its_head_says(self):
        schema = os.path.join(self.folder, 'schema.json')
        with open(schema, 'w', encoding='ascii') as file:
            file.write('{"type": "object"}')
        validate = {'json_schema': schema, 'query': {'customer': {'required': True}}}
        self.serve(routes=[route('/always/*', authorize=self.guard(), validate=validate)])
        for query, fields, status, asked in (('', GOOD, 400, 0), ('?customer=7', BAD, 401, 1),
                                             ('?customer=7', GOOD, 422, 2)):
            client = self.client()
            client.send(request_bytes('POST', '/always/x' + query, {**fields, 'Content-Length': '3',
                                                                    'Content-Type': 'application/json',
                                                                    'Expect': '100-continue'}))
            if status == 422:
                self.assertEqual(100, client.read_head().status)
                client.send(b'[1]')
            refused = client.answer('POST')
            self.assertEqual((status, [], asked), (refused.status, refused.interim, self.auth.count()))

    def test_that_comes_slowly_is_kept_after_the_call_was_allowed(self):
        self.serve_with()
        for mode in ('always', 'never'):
            client = self.client()
            client.send(request_bytes('POST', f'/{mode}/x', {**GOOD, 'Content-Length': '100000'}) + b'x' * 10)
            wait_until(lambda m=mode: self.questions(f'/{m}'), 'the question')
            client.send(b'x' * 99_990)
            response = client.answer('POST')
            if response.status == 202:
                job = Job(self.proxy, response)
                wait_until(lambda j=job: j.poll(GOOD).status == 302, 'the job')
                response = job.result(fields=GOOD)
            self.assertEqual((200, 100_000), (response.status, response.length))


class Unavailable(Authorized):
    """Without an answer nothing goes on."""

    def test_when_it_is_down(self):
        self.serve_with()
        self.auth.refuse()
        for mode in MODES:
            self.assert_unavailable(mode)
        self.assert_reason('authorization_unavailable')
        self.assertEqual({'upstream_unreachable'}, {
            line['reason'] for line in self.proxy.access_log() if line['event'] == 'attempt'})
        self.auth.accept()
        self.assertEqual(200, self.call('always', GOOD).status)

    def test_when_it_is_slow(self):
        self.serve_with(timeout='300ms')
        stages = (b'', b'HTTP/1.1 200 OK\r\nX-User:', b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab')
        for begun in stages:
            def hang(exchange, begun=begun):
                exchange.send(begun)
                exchange.hold()
                exchange.close()
            self.auth.on('/', hang)
            started = time.monotonic()
            self.assert_unavailable()
            self.assertLess(time.monotonic() - started, 5)

    def test_when_its_answer_is_none(self):
        self.serve_with()
        for data in (b'', b'garbage\r\n\r\n', b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort',
                     b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
                     b'HTTP/1.1 200 OK\r\nX-User: a\0b\r\n\r\n', b'HTTP/1.1 200 OK\r\nbad header\r\n\r\n',
                     b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n',
                     b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
                     b'HTTP/1.1 200 OK\r\n' + b'X-User: %s\r\n' % (b'x' * 70_000) + b'\r\n'):
            self.auth.on('/', raw(data))
            self.assert_unavailable()

    def test_a_call_that_was_not_allowed_holds_nothing_of_the_backend(self):
        gate = self.auth.on('/', Gate(judge))
        self.serve_with(upstream={'max_concurrency': 1}, timeout='20s')
        waiting = self.client()
        waiting.send(request_bytes('GET', '/never/x', GOOD))
        self.wait_for_calls(gate)
        self.assertEqual(200, self.request('GET', '/plain').status)
        gate.open()
        self.assertEqual(200, waiting.answer().status)

    def test_a_client_that_leaves_ends_its_question(self):
        gate = self.auth.on('/', Gate(judge))
        self.serve_with(timeout='60s')
        for number, mode in enumerate(MODES, 1):
            client = self.client()
            client.send(request_bytes('POST', f'/{mode}/x', GOOD, b'data'))
            self.wait_for_calls(gate, number)
            client.close()
            wait_until(lambda n=number: len(gate.aborted) == n, 'the question given up')
        self.assert_reason('client_closed')
        self.assertEqual(0, self.backend.count())

    def test_stopping_does_not_wait_for_a_question_without_end(self):
        gate = self.auth.on('/', Gate(judge))
        self.serve(routes=[route('/always/*', authorize=self.guard(timeout='10m'))], shutdown={'grace_period': '300ms'})
        client = self.client()
        client.send(request_bytes('POST', '/always/x', GOOD, b'data'))
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        self.assertEqual(0, self.proxy.wait(15))
        self.assertEqual(0, self.backend.count())

    def test_a_question_that_is_answered_while_it_drains_is_in_time(self):
        gate = self.auth.on('/', Gate(judge))
        self.serve_with(timeout='20s')
        client = self.client()
        client.send(request_bytes('GET', '/never/x', GOOD))
        self.wait_for_calls(gate)
        self.proxy.signal(signal.SIGTERM)
        wait_until(lambda: self.proxy.notified('STOPPING=1'), 'STOPPING=1')
        gate.open()
        self.assertEqual(200, client.answer().status)
        self.assertEqual(0, self.proxy.wait())


class Remembered(Authorized):
    def serve_alone(self, **settings):
        """To a single connection, which stays on one shard: each has a cache of its own."""
        self.serve_with(**settings)
        self.one = self.client()

    def ask(self, times, fields=GOOD, path='/never/x', method='GET'):
        return [self.one.request(method, path, fields).status for _ in range(times)]

    def test_nothing_unless_it_is_asked_for(self):
        self.serve_alone()
        self.assertEqual([200] * 3, self.ask(3))
        self.assertEqual(3, self.auth.count())

    def test_a_positive_answer_for_the_same_question(self):
        self.serve_alone(cache='1m')
        self.assertEqual([200] * 3, self.ask(3))
        self.assertEqual(1, self.auth.count())
        self.assertEqual(['ada'] * 3, [seen.get('X-User') for seen in self.backend.seen()])
        for number, (fields, path, method) in enumerate((
                (GOOD, '/never/y', 'GET'), (GOOD, '/never/x?q', 'GET'), (GOOD, '/never/x', 'PUT'),
                ({**GOOD, 'Cookie': 'a=b'}, '/never/x', 'GET'), ({**GOOD, 'X-User': 'forged'}, '/never/x', 'GET')), 2):
            self.assertEqual([200] * 2, self.ask(2, fields, path, method))
            self.assertEqual(number, self.auth.count())
        self.assertEqual({'ada'}, {seen.get('X-User') for seen in self.backend.seen()})

    def test_no_refusal_and_no_failure(self):
        self.serve_alone(cache='1m')
        self.assertEqual([401] * 2, self.ask(2, BAD))
        self.auth.on('/', in_turn(raw(b'garbage\r\n\r\n'), judge))
        self.assertEqual([503, 200, 200], self.ask(3))
        self.assertEqual(4, self.auth.count())

    def test_nothing_that_the_service_forbids_to_keep(self):
        self.serve_alone(cache='1m')
        self.auth.on('/', answer(200, b'', {'Cache-Control': 'no-store'}))
        self.assertEqual([200] * 2, self.ask(2))
        self.assertEqual(2, self.auth.count())

    def test_no_longer_than_it_may_be(self):
        self.serve_alone(cache='50ms')
        wait_until(lambda: self.ask(1) == [200] and self.auth.count() >= 2, 'the second question')


class Polls(Authorized):
    def submit_held(self, **settings):
        """A job that runs until the gate is opened."""
        self.gate = self.backend.on('/always', Gate())
        self.serve_with(**settings)
        job = self.submit('/always/x', fields=GOOD)
        self.wait_for_calls(self.gate)
        return job

    def touch(self, job, fields):
        """Everything that can be asked about a job, but for its end."""
        return [job.poll(fields).status, job.poll(fields, '?wait=1s').status, job.result(fields=fields).status,
                job.result('HEAD', fields).status]

    def test_are_asked_about_with_their_own_words(self):
        job = self.submit_held()
        self.assertEqual(200, job.poll(GOOD, '?x=1').status)
        question = self.auth.seen()[-1]
        self.assertEqual(('GET', f'/_jobs/{job.id}?x=1', 'Bearer good'), tuple(
            question.get(name) for name in ('X-Original-Method', 'X-Original-URI', 'Authorization')))

    def test_of_strangers_are_refused(self):
        job = self.submit_held()
        self.assertEqual([401] * 4, self.touch(job, BAD))
        self.assertEqual(401, job.poll({**BAD, 'Accept': 'text/event-stream'}).status)
        for url in (job.url, job.result_url):
            refused = self.request('DELETE', url, BAD)
            self.assertEqual((401, b'<h1>Who are you?</h1>'), (refused.status, refused.body))
        self.gate.open()
        wait_until(lambda: job.poll(GOOD).status == 302, 'the job, which nobody has canceled')
        self.assertEqual([401] * 4, self.touch(job, BAD))
        self.assertEqual(401, self.request('DELETE', job.result_url, BAD).status)
        self.assertEqual(200, job.result(fields=GOOD).status)
        self.assertEqual(204, self.request('DELETE', job.result_url, GOOD).status)

    def test_of_jobs_that_are_not_there_are_no_question(self):
        job = self.submit_held()
        asked = self.auth.count()
        for id_ in ('x', 'A' * 32, job.id[:-1] + ('A' if job.id[-1] != 'A' else 'B')):
            for target in (f'/_jobs/{id_}', f'/_jobs/{id_}/result'):
                self.assert_problem(self.request('GET', target, BAD), 404, 'not_found')
                self.assert_problem(self.request('DELETE', target, BAD), 404, 'not_found')
        self.assertEqual(405, self.request('POST', job.url, BAD, b'').status)
        self.assertEqual(asked, self.auth.count())

    @contextlib.contextmanager
    def long_polls(self, job):
        """Two of them, one of each kind, which have been allowed."""
        asked = self.auth.count()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            polls = [pool.submit(job.poll, GOOD, '?wait=20s'),
                     pool.submit(job.poll, {**GOOD, 'Accept': 'text/event-stream'})]
            wait_until(lambda: self.auth.count() == asked + 2, 'both questions')
            yield polls

    def test_that_are_long_are_asked_about_once(self):
        job = self.submit_held()
        asked = self.auth.count()
        with self.long_polls(job) as polls:
            self.gate.open()
            statuses = [poll.result() for poll in polls]
        self.assertEqual([302, 200], [response.status for response in statuses])
        self.assertIn(b'event: succeeded', statuses[1].body)
        self.assertEqual(asked + 2, self.auth.count())

    def test_without_an_answer_tell_nothing(self):
        job = self.submit_held()
        self.auth.refuse()
        self.assert_problem(job.poll(GOOD), 503, 'authorization_unavailable')
        self.assert_problem(self.request('DELETE', job.url, GOOD), 503, 'authorization_unavailable')
        self.auth.accept()
        self.assertEqual('running', job_state(job))

    def put_in_force(self, restart, routes):
        if restart:
            self.proxy.configure(self.config(routes))
            self.proxy.restart()
        else:
            self.assertTrue(self.proxy.reload(self.config(routes)), self.proxy.log())

    def assert_closed(self, job):
        """Whatever is asked, and by whom."""
        asked = self.auth.count()
        for fields in (GOOD, BAD):
            for method, url, more in (
                    ('GET', job.url, {}), ('GET', job.url + '?wait=1s', {}), ('GET', job.url + '?wait=x', {}),
                    ('GET', job.url, {'If-None-Match': '*'}), ('GET', job.url, {'Accept': 'text/event-stream'}),
                    ('GET', job.result_url, {}), ('GET', job.result_url, {'Range': 'bytes=0-1'}),
                    ('DELETE', job.url, {}), ('DELETE', job.result_url, {})):
                with self.subTest(method, url=url, more=more):
                    refused = self.request(method, url, {**fields, **more})
                    self.assert_problem(refused, 403, 'not_authorized')
                    self.assertIn('is no longer configured', refused.text)
            for url in (job.url, job.result_url):
                self.assertEqual(403, self.request('HEAD', url, fields).status)
        self.assertEqual(asked, self.auth.count())

    def test_of_a_route_that_is_gone_are_refused_until_it_is_back(self):
        self.serve_with()
        job = self.submit('/always/x', fields=GOOD)
        wait_until(lambda: job.poll(GOOD).status == 302, 'the job')
        renamed = route('/always/*', name='renamed', authorize=self.guard())
        for restart in (False, True):
            for routes in ([route('/other/*')], [renamed], [route('/always/*', name='open')]):
                self.put_in_force(restart, routes)
                self.assert_closed(job)
                self.assert_reason('route_removed')
            self.put_in_force(restart, self.guarded_routes())
            self.assertEqual([302, 302, 200, 200], self.touch(job, GOOD))
            self.assertEqual([401] * 4, self.touch(job, BAD))
        # Whoever takes the guard away from the route opens its jobs.
        self.put_in_force(False, self.guarded_routes(polls=False))
        self.assertEqual([302, 302, 200, 200], self.touch(job, BAD))

    def test_of_a_route_that_is_gone_cancel_nothing_and_those_that_were_allowed_are_answered(self):
        job = self.submit_held()
        with self.long_polls(job) as polls:
            self.put_in_force(False, [route('/other/*')])
            self.assert_closed(job)
            self.gate.open()
            responses = [poll.result() for poll in polls]
        self.assertEqual([302, 200], [response.status for response in responses])
        self.assertIn(b'event: succeeded', responses[1].body)
        self.assert_closed(job)

    def test_of_a_route_that_is_gone_are_nobodys_business_where_the_url_was_enough(self):
        self.serve_with(polls=False)
        job = self.submit('/always/x', fields=GOOD).wait()
        for routes in ([route('/other/*')], [route('/other/*', authorize=self.guard())]):
            self.put_in_force(False, routes)
            self.assertEqual([302, 302, 200, 200], self.touch(job, BAD))
        self.assertEqual(204, self.request('DELETE', job.result_url, BAD).status)

    def test_are_not_asked_about_where_the_url_is_enough(self):
        job = self.submit_held(polls=False)
        asked = self.auth.count()
        self.assertEqual([200, 200, 404, 404], self.touch(job, BAD))
        self.assertEqual(200, job.cancel().status)
        self.assertEqual(asked, self.auth.count())

    def test_of_other_routes_are_not_asked_about(self):
        self.serve(routes=[route('/open/*'), route('/always/*', authorize=self.guard())])
        self.assertEqual(200, self.result_of('/open/x').status)
        self.assertEqual(0, self.auth.count())


def job_state(job):
    return job.poll(GOOD).text.split('"status":"')[1].split('"')[0]


class TheBackendItself(Authorized):
    """`upstream` and `path`: a question takes a slot, as any call does."""

    def serve_itself(self, upstream=None):
        self.backend.on('/may', judge)
        self.serve(upstream=upstream, routes=[
            route('/jobs/*', authorize={'upstream': 'legacy', 'path': '/may?i', 'copy_headers': ['X-User']}),
            route('/never/*', mode='never', authorize={'upstream': 'legacy', 'path': '/may?i', 'timeout': '300ms'})])

    def test_is_asked(self):
        self.serve_itself({'max_concurrency': 1})
        job = self.submit('/jobs/x', fields=GOOD)
        wait_until(lambda: job.poll(GOOD).status == 302, 'the job')
        self.assertEqual(401, self.request('POST', '/jobs/x', BAD, b'').status)
        self.assertEqual({'/may?i', '/jobs/x'}, {seen.target for seen in self.backend.seen()})
        self.assertEqual('ada', self.backend.seen('/jobs')[0].get('X-User'))
        self.assertEqual(1, self.backend.peak)

    def test_is_never_asked_more_at_once_than_it_is_allowed(self):
        self.serve_itself({'max_concurrency': 1})
        gate = self.backend.on('/plain', Gate())
        client = self.client()
        client.send(request_bytes('GET', '/plain'))
        self.wait_for_calls(gate)
        self.assert_problem(self.request('GET', '/never/x', GOOD), 503, 'authorization_unavailable')
        self.assertEqual(0, self.backend.count('/may'))
        gate.open()
        self.assertEqual(200, client.answer().status)
        self.assertEqual(200, self.request('GET', '/never/x', GOOD).status)
        self.assertEqual(1, self.backend.peak)

    def test_keeps_its_slot_until_it_has_ended_where_it_drains(self):
        gate = Gate(judge, goes_on=True)
        self.serve_itself({'max_concurrency': 1, 'on_abort': 'drain'})
        self.backend.on('/may', gate)
        for _ in range(2):
            self.assert_problem(self.request('GET', '/never/x', GOOD), 503, 'authorization_unavailable')
            self.assertEqual(1, self.backend.count('/may'))
        gate.open()
        self.assertEqual(200, self.request('GET', '/plain').status)
        self.assertEqual(1, self.backend.peak)


@unittest.skipUnless(shutil.which('nginx', path=os.environ.get('PATH', '') + ':/usr/sbin'), 'needs nginx')
class Nginx(EndToEnd):
    """Basic authentication of a server that everybody has."""

    def start_nginx(self):
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        for name, text in (('users', 'ada:{PLAIN}secret\n'), ('ok', ''), ('nginx.conf', f'''
            daemon off; master_process off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log;
            events {{}}
            http {{
              access_log off;
              client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
              fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
              server {{
                listen 127.0.0.1:{port};
                location = /check {{
                  auth_basic "reports"; auth_basic_user_file {self.folder}/users;
                  add_header X-User $remote_user; alias {self.folder}/ok;
                }}
              }}
            }}''')):
            with open(os.path.join(self.folder, name), 'w', encoding='ascii') as file:
                file.write(text)
        path = shutil.which('nginx', path=os.environ.get('PATH', '') + ':/usr/sbin')
        process = subprocess.Popen([path, '-c', f'{self.folder}/nginx.conf', '-e', f'{self.folder}/nginx.log'],
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_until(lambda: answers(port), 'nginx')
        return port

    def test_lets_in_who_knows_the_password(self):
        port = self.start_nginx()
        self.serve(routes=[route('/reports/*', authorize={
            'url': f'http://127.0.0.1:{port}/check', 'copy_headers': ['X-User']})])
        refused = self.request('POST', '/reports/1', {}, b'data')
        self.assertEqual((401, 'Basic realm="reports"'), (refused.status, refused.get('WWW-Authenticate')))
        self.assertIn(b'401 Authorization Required', refused.body)
        known = {'Authorization': 'Basic YWRhOnNlY3JldA=='}
        job = self.submit(fields={**known, 'X-User': 'root'})
        wait_until(lambda: job.poll(known).status == 302, 'the job')
        self.assertEqual(401, job.poll().status)
        self.assertEqual('ada', self.backend.seen()[-1].get('X-User'))


def answers(port):
    try:
        return request(port, 'GET', '/check').status == 401
    except OSError:
        return False
