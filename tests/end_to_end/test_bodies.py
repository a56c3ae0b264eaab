"""What a route asks of requests, what it calls a success, and what it changes in the bodies of answers."""
import gzip
import json
import os
import select
import threading

from backend import answer, raw
from harness import EndToEnd, problem, route
from wire import request_bytes, unread, wait_until

JSON = {'Content-Type': 'application/json'}
SCHEMA = {'type': 'object', 'required': ['year', 'format'], 'additionalProperties': False,
          'properties': {'year': {'type': 'integer', 'minimum': 2000}, 'format': {'enum': ['pdf', 'csv']}}}


class Validation(EndToEnd):
    def serve_with(self, **validate):
        schema = os.path.join(self.folder, 'schema.json')
        with open(schema, 'w', encoding='utf-8') as file:
            json.dump(SCHEMA, file)
        self.serve(routes=[route('POST /reports/*', validate={'json_schema': schema, **validate})])

    def refused(self, body, fields=JSON, target='/reports/1'):
        response = self.request('POST', target, fields, body)
        self.assert_problem(response, response.status, 'invalid_request')
        return response.status, problem(response).get('errors')

    def test_everything_that_is_wrong_is_told_and_nothing_is_stored(self):
        self.serve_with(headers={'X-Customer': 'required'}, query={'format': 'pdf|csv'})
        status, errors = self.refused(b'{"year": 1999, "extra": 1}', target='/reports/1?format=doc')
        self.assertEqual(400, status)
        named = {next(v for k, v in e.items() if k != 'detail') for e in errors}
        self.assertEqual({'X-Customer', 'format'}, named & {'X-Customer', 'format'})
        self.assertEqual(0, self.backend.count())

    def test_a_body_that_breaks_the_schema_is_422_with_pointers(self):
        self.serve_with()
        status, errors = self.refused(b'{"year": 1999, "format": "doc"}')
        self.assertEqual((422, {'/year', '/format'}), (status, {e['pointer'] for e in errors}))
        self.assertEqual(400, self.refused(b'{"year": ')[0])

    def test_another_media_type_is_415(self):
        self.serve_with(content_types=['application/json'])
        self.assertEqual(415, self.refused(b'<year/>', {'Content-Type': 'application/xml'})[0])

    def test_a_good_request_becomes_a_job_large_coded_or_chunked(self):
        self.serve_with(content_types=['application/json'])
        good = b'{"year": 2026, "format": "pdf"}'
        self.assertEqual('succeeded', self.submit(body=good, fields=JSON).ended())
        large = good + b' ' * 100_000
        self.assertEqual('succeeded', self.submit(body=large, fields=JSON).ended())
        coded = gzip.compress(good)
        self.assertEqual('succeeded', self.submit(body=coded, fields={**JSON, 'Content-Encoding': 'gzip'}).ended())
        self.assertEqual([good, large, coded], [seen.body for seen in self.backend.seen()])
        self.assertEqual(415, self.refused(b'no gzip', {**JSON, 'Content-Encoding': 'gzip'})[0])
        self.assertEqual(422, self.refused(gzip.compress(b'[]'), {**JSON, 'Content-Encoding': 'gzip'})[0])
        two = [*JSON.items(), ('Content-Encoding', 'identity'), ('Content-Encoding', 'gzip')]
        self.assertEqual(415, self.refused(good, two)[0], 'two servers could read this differently')

    def test_bodies_that_are_checked_have_a_bound_all_together(self):
        self.serve_with()
        good = b'{"year": 2026, "format": "pdf"}' + b' ' * 100_000
        size = 8 << 20
        held = [self.client() for _ in range((128 << 20) // size)]
        for i, client in enumerate(held):
            # No client has more than a quarter.
            client.send(b'POST /reports/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.%d\r\n'
                        b'Content-Length: %d\r\n\r\n' % (i % 4, size))
            client.send(b' ' * (size - 1))

        def probe():
            return self.request('POST', '/reports/1', JSON, good)
        # A probe before takes room that one of these needs.
        wait_until(lambda: unread(self.proxy.port) == 0, 'all of them are read', 30)
        refused = probe()
        self.assert_problem(refused, 503, 'overloaded')
        self.assertEqual('1', refused.get('Retry-After'))
        held[0].send(b' ')
        self.assertEqual(400, held[0].answer('POST').status, 'spaces are no JSON')
        self.assertEqual(202, probe().status)
        held[1].reset()
        wait_until(lambda: probe().status == 202, 'the room of one that left')


class Success(EndToEnd):
    def outcome_of(self, body, fields=(), status=200, **success):
        self.serve(routes=[route('POST /reports/*', success=success)])
        self.backend.on('/reports', answer(status, body, dict(fields)))
        job = self.submit().wait()
        # However it ended, the answer is the result.
        self.assertEqual((status, body), (job.result().status, job.result().body))
        return job.ended()

    def test_an_error_page_with_200_is_no_success(self):
        self.assertEqual('upstream_rejected', self.outcome_of(b'<h1>Fatal error</h1>', body_excludes='(?i)fatal error'))

    def test_a_page_without_what_it_must_say_is_no_success(self):
        self.assertEqual('upstream_rejected', self.outcome_of(b'please log in', body_matches='^%PDF'))

    def test_the_media_type_decides(self):
        self.assertEqual('upstream_rejected', self.outcome_of(b'<p>', {'Content-Type': 'text/html'},
                                                              content_types=['application/pdf']))

    def test_values_of_a_json_answer_decide_also_when_it_is_coded(self):
        fields = {**JSON, 'Content-Encoding': 'gzip'}
        body = gzip.compress(b'{"ok": false, "rows": [' + b'1, ' * 50_000 + b'1]}')
        self.assertEqual('upstream_rejected', self.outcome_of(body, fields, json={'/ok': True}))

    def test_a_head_has_no_body_to_judge(self):
        self.serve(routes=[route('HEAD /reports/*', success={'body_matches': 'x', 'json': {'/ok': True}})])
        self.backend.on('/reports', answer(200, b'{"ok": true}'))
        self.assertEqual('succeeded', self.submit(method='HEAD').ended())
        self.backend.on('/reports', answer(404))
        self.assertEqual('upstream_status', self.submit(method='HEAD').ended())

    def test_what_meets_all_of_it_is_one(self):
        self.assertEqual('succeeded', self.outcome_of(b'{"ok": true}', JSON, json={'/ok': True}, body_matches='ok',
                                                      content_types=['application/json']))


class Answers(EndToEnd):
    def both(self, **rules):
        """The answers of a plain call and of a job under the same rules."""
        routes = [route(f'/{mode}/*', mode=mode, response_body=rules) for mode in ('never', 'always')]
        self.serve(routes=routes)

    def results(self, fields=()):
        plain = self.request('POST', '/never/x', fields, b'')
        return [plain, self.submit('/always/x', fields=fields).wait().result()]

    def test_json_is_patched_and_its_fields_are_made_right(self):
        self.both(json_patch=[{'op': 'replace', 'path': '/links/self', 'value': '${request.path}'},
                              {'op': 'remove', 'path': '/internal', 'optional': True}])
        body = b'{"links":{"self":"http://legacy/x"},"internal":1,"big":12345678901234567890.10}'
        self.backend.on('/', answer(200, body, {**JSON, 'ETag': '"strong"', 'Content-MD5': 'x'}))
        for mode, response in zip(('never', 'always'), self.results()):
            self.assertEqual(f'{{"links":{{"self":"/{mode}/x"}},"big":12345678901234567890.10}}', response.text)
            self.assertEqual(('W/"strong"', None, str(len(response.body))),
                             tuple(response.get(n) for n in ('ETag', 'Content-MD5', 'Content-Length')))

    def test_text_is_replaced_in_bodies_of_any_size_coded_or_not(self):
        self.both(replace=[{'from': 'http://legacy.internal', 'to': 'https://public.example'}])
        body = b'<a href="http://legacy.internal/a">' * 20_000
        expected = body.replace(b'http://legacy.internal', b'https://public.example')
        self.backend.on('/', answer(200, body, {'Content-Type': 'text/html'}))
        for response in self.results():
            self.assertEqual(expected, response.body)
        coded = {'Content-Type': 'text/html', 'Content-Encoding': 'gzip'}
        self.backend.on('/', answer(200, gzip.compress(body), coded))
        for response in self.results({'Accept-Encoding': 'gzip, zstd'}):
            self.assertEqual('gzip', response.get('Content-Encoding'))
            self.assertEqual(expected, gzip.decompress(response.body))
        self.assertEqual({'gzip'}, {seen.get('Accept-Encoding') for seen in self.backend.seen()[-2:]})

    def test_what_a_rule_cannot_read_is_passed_on(self):
        self.both(json_patch=[{'op': 'add', 'path': '/x', 'value': 1}])
        self.backend.on('/', answer(200, b'{"cut": ', JSON))
        for response in self.results():
            self.assertEqual((200, b'{"cut": '), (response.status, response.body))
        self.assertIn('is not changed as its rules say', self.proxy.log())

    def test_what_a_rule_cannot_read_is_refused_where_the_route_says_so(self):
        self.both(json_patch=[{'op': 'add', 'path': '/x', 'value': 1}], on_failure='refuse')
        self.backend.on('/', answer(200, b'{"cut": ', JSON))
        for response in self.results():
            self.assertEqual(502, response.status)
            self.assertNotIn('{"cut"', response.text)

    def test_parts_are_never_asked_for_where_bodies_change(self):
        self.both(replace=[{'from': 'a', 'to': 'b'}])
        self.results({'Range': 'bytes=0-10'})
        self.assertEqual({None}, {seen.get('Range') for seen in self.backend.seen()})

    def test_bodies_that_are_changed_whole_wait_for_room_and_are_not_lost(self):
        body = {'max_size': '100MiB', 'json_patch': [{'op': 'add', 'path': '/added', 'value': 1}]}
        self.serve(routes=[route('POST /reports/*', response_body=body),
                           route('/plain/*', mode='never', response_body=body)])
        head = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
        begun, go_on = threading.Event(), threading.Event()

        def half(exchange):
            exchange.send(head + b'1\r\n{\r\n')
            begun.set()
            go_on.wait(30)
            exchange.send(b'1\r\n}\r\n0\r\n\r\n')
        self.backend.on('/plain/first', half)
        for path in ('/plain/second', '/reports'):
            self.backend.on(path, raw(head + b'2\r\n{}\r\n0\r\n\r\n', False))
        first, second = self.client(), self.client()
        first.send(request_bytes('GET', '/plain/first'))
        self.assertTrue(begun.wait(10))
        second.send(request_bytes('GET', '/plain/second'))
        job = self.submit()
        wait_until(lambda: self.backend.count('/plain/second') + self.backend.count('/reports') == 2, 'the others')
        self.assertFalse(select.select([second.sock], [], [], 0.3)[0], 'there was room for two')
        self.assertEqual('running', job.state())
        go_on.set()
        self.assertEqual({'added': 1}, json.loads(first.answer().body))
        self.assertEqual({'added': 1}, json.loads(second.answer().body))
        self.assertEqual({'added': 1}, json.loads(job.wait().result().body))
