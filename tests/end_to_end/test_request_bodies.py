"""What a route changes in the bodies of calls: plain, hybrid and jobs, of any size, at each attempt anew."""
import gzip
import hashlib
import json
import os

from backend import Gate, answer, hang
from harness import EndToEnd, Job, problem, route
from wire import chunked, request_bytes, wait_until

MIB = 1 << 20
JSON = {'Content-Type': 'application/json'}
TEXT = {'Content-Type': 'text/plain'}
MODES = ('never', 'always', 'hybrid')
PATCH = [{'op': 'add', 'path': '/via', 'value': '${route.name}'}, {'op': 'remove', 'path': '/secret', 'optional': True}]
REPLACE = [{'from': 'https://public.example', 'to': 'http://legacy'}]


class RequestBodies(EndToEnd):
    def serve_with(self, environment=None, upstream=None, limits=None, resend='idempotent', store=None, **rules):
        """The same rules on /never/*, /always/* and, with a window to answer in line, /hybrid/*."""
        routes = []
        for mode in MODES:
            settings = {'mode': mode} if mode != 'hybrid' else {'mode': 'always', 'wait': '30s'}
            routes.append(route(f'/{mode}/*', name=mode, request_body=rules, resend=resend,
                                **({'limits': limits} if limits else {}), **settings))
        self.serve(routes=routes, environment=environment, upstream=upstream, **({'store': store} if store else {}))

    def call(self, mode, body, fields, method='POST', client=None):
        """Makes the call and returns what the backend got."""
        response = (client or self).request(method, f'/{mode}/x', fields, body)
        self.assertEqual(202 if mode == 'always' else 200, response.status, response.body)
        if mode == 'always':
            self.assertEqual('succeeded', Job(self.proxy, response).ended())
        return self.backend.seen(f'/{mode}')[-1]

    def each(self, body, fields, modes=MODES):
        return [(mode, self.call(mode, body, fields)) for mode in modes]

    def secret(self, text):
        folder = os.path.join(self.folder, 'credentials')
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, 'token')
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        return path, {'CREDENTIALS_DIRECTORY': folder}


class Changed(RequestBodies):
    def test_json_is_patched_and_what_is_untrue_then_goes(self):
        self.serve_with(json_patch=PATCH)
        fields = {**JSON, 'Content-MD5': 'x', 'Digest': 'y', 'Content-Digest': 'z', 'Repr-Digest': 'r', 'X-Kept': 'k'}
        for mode, seen in self.each(b'{"big":12345678901234567890.10,"secret":1}', fields):
            expected = b'{"big":12345678901234567890.10,"via":"%s"}' % mode.encode()
            self.assertEqual((expected, 'length', str(len(expected))),
                             (seen.body, seen.framing, seen.get('Content-Length')))
            self.assertEqual([None] * 4, [seen.get(name) for name in ('Content-MD5', 'Digest', 'Content-Digest',
                                                                      'Repr-Digest')])
            self.assertEqual('k', seen.get('X-Kept'))

    def test_a_coded_body_is_decoded_and_coded_again(self):
        self.serve_with(json_patch=PATCH, replace=REPLACE)
        body = gzip.compress(b'{"u":"https://public.example/' + b'a' * 30_000 + b'"}')
        for mode, seen in self.each(body, {**JSON, 'Content-Encoding': 'gzip'}):
            self.assertEqual('gzip', seen.get('Content-Encoding'))
            self.assertEqual({'u': 'http://legacy/' + 'a' * 30_000, 'via': mode}, json.loads(gzip.decompress(seen.body)))

    def test_other_bodies_and_none_stay_as_they_are(self):
        self.serve_with(json_patch=PATCH)
        for _, seen in self.each(b'{"secret": 1}', {**TEXT, 'Content-MD5': 'x'}):
            self.assertEqual((b'{"secret": 1}', 'x'), (seen.body, seen.get('Content-MD5')))
        for _, seen in self.each(b'', JSON):
            self.assertEqual(b'', seen.body)
        for _, seen in self.each(b'{"cut": ', JSON):
            self.assertEqual(b'{"cut": ', seen.body)
        self.assertEqual(1, self.proxy.log().count('route never: the body of a call is not changed as its rules say'))

    def test_a_value_of_the_client_cannot_break_out_of_its_string(self):
        self.serve_with(json_patch=[{'op': 'add', 'path': '/who', 'value': '${header.X-Who:-nobody}'}])
        for _, seen in self.each(b'{}', {**JSON, 'X-Who': '","admin":"yes'}):
            self.assertEqual({'who': '","admin":"yes'}, json.loads(seen.body))
        for _, seen in self.each(b'{}', JSON):
            self.assertEqual({'who': 'nobody'}, json.loads(seen.body))

    def test_the_client_that_waits_for_100_continue_is_asked_for_its_body(self):
        self.serve_with(json_patch=PATCH)
        for mode in MODES:
            client = self.client()
            client.send(request_bytes('POST', f'/{mode}/x', {**JSON, 'Content-Length': '2', 'Expect': '100-continue'}))
            self.assertEqual(100, client.read_head().status)
            client.send(b'{}')
            response = client.answer('POST')
            if mode == 'always':
                Job(self.proxy, response).wait()
            self.assertEqual(f'{{"via":"{mode}"}}'.encode(), self.backend.seen(f'/{mode}')[-1].body)

    def test_a_call_on_a_connection_that_had_died_is_sent_again_changed(self):
        self.serve_with(json_patch=PATCH, resend='always')
        for mode in MODES:
            client = self.client()  # one shard, and so the same connection to the backend
            self.call(mode, b'{}', JSON, 'PUT', client)

            def close_unanswered(exchange, first=[]):
                if not first:
                    first.append(exchange)
                    exchange.reset()
                else:
                    exchange.reply(200, b'')
            self.backend.on(f'/{mode}', close_unanswered)
            self.call(mode, b'{"n":1}', JSON, 'PUT', client)
            bodies = [seen.body for seen in self.backend.seen(f'/{mode}')[-2:]]
            self.assertEqual([f'{{"n":1,"via":"{mode}"}}'.encode()] * 2, bodies)


class Streamed(RequestBodies):
    def large(self, size=64 * MIB):
        """Text in which each needle is cut by some piece or other, and what it becomes."""
        unit = b'<a href="https://public.example/%07d">' % 7 + b'x' * 61
        return unit, unit.replace(b'https://public.example', b'http://legacy'), size // len(unit)

    def send_large(self, mode, unit, count, framing='length'):
        client = self.client(timeout=120)
        block = unit * 4096
        whole, rest = divmod(count, 4096)
        frame = (lambda data: client.send(b'%x\r\n%s\r\n' % (len(data), data))) if framing == 'chunked' else client.send
        fields = {'Transfer-Encoding': 'chunked'} if framing == 'chunked' else {'Content-Length': str(len(unit) * count)}
        client.send(request_bytes('POST', f'/{mode}/x', {**TEXT, **fields}))
        for _ in range(whole):
            frame(block)
        if rest:
            frame(unit * rest)
        if framing == 'chunked':
            client.send(b'0\r\n\r\n')
        return client.answer('POST')

    def digest(self, unit, count):
        digest, block = hashlib.sha256(), unit * 4096
        for _ in range(count // 4096):
            digest.update(block)
        digest.update(unit * (count % 4096))
        return digest.hexdigest()

    def test_a_spooled_body_of_64_mib_is_changed_in_little_memory_and_has_a_length(self):
        self.serve_with(replace=REPLACE, limits={'body': '1GiB'})
        self.backend.on('/', answer())
        unit, changed, count = self.large()
        response = self.send_large('always', unit, count)
        self.assertEqual(202, response.status, response.body)
        self.assertEqual('succeeded', Job(self.proxy, response).wait(120).ended())
        seen = self.backend.seen('/always')[-1]
        self.assertEqual(('length', len(changed) * count, self.digest(changed, count)),
                         (seen.framing, seen.length, seen.digest))
        self.assertLess(self.proxy.memory('VmHWM'), 64 * MIB)

    def test_a_plain_call_of_64_mib_is_changed_while_it_streams(self):
        self.serve_with(replace=REPLACE, limits={'body': '1GiB'})
        self.backend.on('/', answer())
        unit, changed, count = self.large()
        for framing in ('length', 'chunked'):
            self.assertEqual(200, self.send_large('never', unit, count, framing).status)
            seen = self.backend.seen('/never')[-1]
            self.assertEqual(('chunked', self.digest(changed, count)), (seen.framing, seen.digest))
        self.assertLess(self.proxy.memory('VmHWM'), 64 * MIB)

    def test_a_plain_body_that_fits_into_max_size_has_a_length(self):
        self.serve_with(replace=REPLACE)
        unit, changed, _ = self.large()
        for count in (1, 1000, 5000):
            seen = self.call('never', unit * count, TEXT)
            self.assertEqual((changed * count, 'length'), (seen.body, seen.framing))
        body = chunked(unit, unit)
        seen = self.call('never', body, {**TEXT, 'Transfer-Encoding': 'chunked'})
        self.assertEqual(changed * 2, seen.body)

    def test_text_that_grows_beyond_max_size_is_streamed(self):
        self.serve_with(replace=[{'from': 'a', 'to': 'b' * 100}], max_size='64KiB')
        for body in (b'a' * 100, b'a' * 8_000):
            for _, seen in self.each(body, TEXT):
                self.assertEqual(b'b' * 100 * len(body), seen.body)

    def test_a_large_coded_body_is_changed_in_a_job_and_on_its_way(self):
        self.serve_with(replace=REPLACE, limits={'body': '100MiB'})
        unit, changed, _ = self.large()
        noise = os.urandom(250_000).hex().encode()
        body = gzip.compress(unit * 5000 + noise)
        for _, seen in self.each(body, {**TEXT, 'Content-Encoding': 'gzip'}):
            self.assertEqual(changed * 5000 + noise, gzip.decompress(seen.body))

    def test_a_plain_body_that_is_not_in_its_coding_reaches_no_backend_as_a_whole(self):
        self.serve_with(replace=REPLACE, limits={'body': '100MiB'}, on_failure='refuse')
        good = gzip.compress(os.urandom(2 * MIB))
        fields = {**TEXT, 'Content-Encoding': 'gzip'}
        for body in (b'no gzip' * 20_000, good[:-9], good[:MIB] + b'broken' * 10 + good[MIB + 60:]):
            response = self.request('POST', '/never/x', fields, body)
            self.assert_problem(response, 415, 'unchangeable_body')
        self.assertEqual(0, self.backend.count())
        wait_until(lambda: len(self.proxy.access_log()) >= 5, 'the log')
        attempts = [line['reason'] for line in self.proxy.access_log() if 'upstream' in line]
        self.assertEqual(['unchangeable_body'] * 2, attempts)


class Refused(RequestBodies):
    def refused(self, body, fields, status):
        for mode in MODES:
            response = self.request('POST', f'/{mode}/x', fields, body)
            self.assert_problem(response, status, 'unchangeable_body')
        self.assertEqual(0, self.backend.count())
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')
        return problem(response)['detail']

    def test_what_the_rules_cannot_change_is_refused_before_anything_is_stored_or_called(self):
        self.serve_with(json_patch=[{'op': 'replace', 'path': '/a', 'value': '${header.X-A}'}], on_failure='refuse',
                        max_size='32KiB')
        fields = {**JSON, 'X-A': '1'}
        self.assertIn('the body is not JSON', self.refused(b'{"cut": ', fields, 422))
        self.assertIn("replace '/a'", self.refused(b'{}', fields, 422))
        self.assertIn("'${header.X-A}'", self.refused(b'{"a":0}', JSON, 422))
        self.assertIn('max_size', self.refused(b'{"a":"' + b'x' * 40_000 + b'"}', fields, 413))
        self.assertIn('zstd', self.refused(b'{"a":0}', {**fields, 'Content-Encoding': 'zstd'}, 415))
        self.assertIn('decoded', self.refused(b'{"a":0}', {**fields, 'Content-Encoding': 'gzip'}, 415))
        self.assertIn('part', self.refused(b'{"a":0}', {**fields, 'Content-Range': 'bytes 0-6/9'}, 422))

    def test_a_job_that_is_not_there_yet_lacks_no_id(self):
        self.serve(routes=[route('/always/*', request_body={'on_failure': 'refuse', 'json_patch': [
            {'op': 'add', 'path': '/job', 'value': '${job.id}'}]})])
        job = self.submit('/always/x', b'{}', JSON)
        self.assertEqual('succeeded', job.ended())
        self.assertEqual({'job': job.id}, json.loads(self.backend.seen()[-1].body))

    def test_a_large_coded_text_is_tried_before_the_202(self):
        self.serve_with(replace=REPLACE, on_failure='refuse')
        body = gzip.compress(os.urandom(100_000))[:-9]
        self.refused(body, {**TEXT, 'Content-Encoding': 'gzip'}, 415)

    def test_an_answer_that_is_refused_has_a_word_of_its_own(self):
        rules = {'json_patch': [{'op': 'add', 'path': '/x', 'value': 1}], 'on_failure': 'refuse'}
        self.serve(routes=[route('/never/*', mode='never', response_body=rules), route('/always/*', response_body=rules)])
        self.backend.on('/', answer(200, b'{"cut": ', JSON))
        self.assert_problem(self.request('POST', '/never/x', (), b''), 502, 'rewrite_failed')
        job = self.submit('/always/x')
        self.assertEqual('rewrite_failed', job.ended())
        self.assert_problem(job.result(), 502, 'rewrite_failed')


class Attempts(RequestBodies):
    def test_the_stored_body_is_the_clients_and_secrets_are_read_at_each_attempt(self):
        path, environment = self.secret('first-secret')
        gate = Gate()
        self.backend.on('/', answer())  # an echo would be stored as the result
        self.serve_with(environment=environment, upstream={'max_concurrency': 1},
                        json_patch=[{'op': 'add', 'path': '/token', 'value': '${credential:token}'}])
        self.backend.on('/always/gate', gate)
        first = self.submit('/always/gate', b'{}', JSON)
        self.wait_for_calls(gate)
        second = self.submit('/always/second', b'{}', JSON)
        self.secret('second-secret')
        gate.open()
        first.wait()
        second.wait()
        self.assertEqual([b'{"token":"first-secret"}', b'{"token":"second-secret"}'],
                         [seen.body for seen in self.backend.seen('/always')])
        os.remove(path)
        for mode in MODES:
            self.assert_problem(self.request('POST', f'/{mode}/x', JSON, b'{}'), 500, 'internal')
        self.assertEqual(2, self.backend.count())
        self.proxy.stop()
        for name in self.store_files():
            with open(os.path.join(self.folder, 'store', name), 'rb') as file:
                self.assertNotIn(b'-secret', file.read(), name)

    def test_an_attempt_without_its_secret_burns_nothing_and_goes_on_when_it_is_back(self):
        path, environment = self.secret('here')
        gate = Gate()
        self.serve_with(environment=environment, upstream={'max_concurrency': 1},
                        replace=[{'from': 'TOKEN', 'to': '${credential:token}'}])
        self.backend.on('/always/gate', gate)
        self.submit('/always/gate', b'TOKEN', TEXT)
        self.wait_for_calls(gate)
        waiting = self.submit('/always/waiting', b'my TOKEN', TEXT)
        os.remove(path)
        gate.open()
        wait_until(lambda: 'cannot be called' in self.proxy.log(), 'the attempt without its credential')
        self.assertIn(waiting.state(), ('queued', 'running'))
        self.secret('back')
        document = waiting.outcome()
        self.assertEqual(('succeeded', 1), (document['status'], document['attempts']))
        self.assertEqual(b'my back', self.backend.seen('/always/waiting')[-1].body)

    def test_after_a_refused_connection_the_changed_body_is_sent(self):
        self.serve_with(json_patch=PATCH, replace=REPLACE)
        self.backend.refuse()
        job = self.submit('/always/x', b'{"u":"https://public.example"}', JSON)
        wait_until(lambda: job.state() == 'queued', 'the job to wait for its backend')
        self.backend.accept()
        self.assertEqual('succeeded', job.ended())
        self.assertEqual([b'{"u":"http://legacy","via":"always"}'], [seen.body for seen in self.backend.seen()])

    def test_after_a_kill_in_the_middle_the_next_attempt_sends_the_changed_body(self):
        self.serve_with(replace=REPLACE, resend='always')
        bodies = {'/always/small': b'https://public.example/1', '/always/large': b'https://public.example/' * 50_000}
        self.backend.on('/always', hang)
        jobs = {target: self.submit(target, body, TEXT) for target, body in bodies.items()}
        wait_until(lambda: self.backend.count() == 2, 'both attempts to run')
        self.proxy.kill()
        self.backend.on('/always', answer())
        self.proxy.start()
        for target, job in jobs.items():
            self.assertEqual('succeeded', job.ended())
            expected = bodies[target].replace(b'https://public.example', b'http://legacy')
            self.assertEqual([expected] * 2, [seen.body for seen in self.backend.seen(target)])

    def test_a_hybrid_call_that_outlives_its_window_is_one_call_with_the_changed_body(self):
        gate = self.backend.on('/', Gate())
        self.serve(routes=[route('/hybrid/*', wait='200ms', request_body={'json_patch': PATCH}, name='hybrid')])
        job = self.submit('/hybrid/x', b'{}', JSON)
        gate.open()
        self.assertEqual('succeeded', job.ended())
        self.assertEqual([b'{"via":"hybrid"}'], [seen.body for seen in self.backend.seen()])
