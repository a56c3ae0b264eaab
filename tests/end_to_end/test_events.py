"""A job as a stream of server-sent events, over real connections."""
import json

from backend import Gate, answer
from harness import EndToEnd, route
from wire import request_bytes

STREAM = {'Accept': 'text/event-stream'}


class Events(EndToEnd):
    def events(self, client):
        """Each event, as its chunk comes: name and document."""
        while size := client.chunk_size():
            text = b''.join(client.pieces(size)).decode()
            self.assertEqual(b'', client.line())
            if not text.startswith(':'):
                name, number, data = text.rstrip('\n').split('\n')
                self.assertTrue(number.startswith('id: '))
                yield name.removeprefix('event: '), json.loads(data.removeprefix('data: '))
        self.assertEqual(([], b'\r\n'), client.fields())

    def listen(self, job, fields=()):
        client = self.client()
        client.send(request_bytes('GET', job.url, {**STREAM, **dict(fields)}))
        head = client.read_answer_head()
        self.assertEqual((200, 'text/event-stream', 'no-store'),
                         (head.status, head.get('Content-Type'), head.get('Cache-Control')))
        return client

    def test_a_job_is_heard_of_until_it_has_ended(self):
        self.serve(upstream={'max_concurrency': 1})
        gates = [self.backend.on(path, Gate(answer(201, b'done'))) for path in ('/reports/1', '/reports/2')]
        first, second = self.submit('/reports/1'), self.submit('/reports/2')
        streams = [self.events(self.listen(job)) for job in (first, second)]
        self.assertEqual(['running', 'queued'], [next(events)[0] for events in streams])
        gates[0].open()
        name, document = next(streams[0])
        self.assertEqual(('succeeded', 'succeeded', first.result_url),
                         (name, document['status'], document['resultUrl']))
        self.assertEqual([], list(streams[0]))
        self.assertEqual('running', next(streams[1])[0])
        gates[1].open()
        self.assertEqual(['succeeded'], [name for name, _ in streams[1]])

    def test_a_connection_is_kept_after_the_end_of_a_stream(self):
        self.serve()
        job = self.submit().wait()
        client = self.listen(job)
        self.assertEqual(['succeeded'], [name for name, _ in self.events(client)])
        self.assertEqual(200, client.request('HEAD', job.url, STREAM).status)
        self.assertEqual(302, client.request('GET', job.url, {'Accept': '*/*'}).status)
        self.assertEqual(302, client.request('GET', job.url, {'Accept': 'text/event-stream;q=0'}).status)

    def test_who_has_heard_the_end_is_told_to_stop(self):
        self.serve()
        job = self.submit().wait()
        client = self.listen(job)
        text = b''.join(client.pieces(client.chunk_size())).decode()
        last = next(line for line in text.split('\n') if line.startswith('id: ')).removeprefix('id: ')
        self.assertEqual(204, job.poll({**STREAM, 'Last-Event-ID': last}).status)

    def test_a_cancel_is_heard_of(self):
        self.serve()
        self.backend.on('/reports', Gate())
        job = self.submit()
        events = self.events(self.listen(job))
        self.assertEqual('running', next(events)[0])
        job.cancel()
        self.assertEqual(['canceled'], [name for name, _ in events])

    def test_an_expiry_is_heard_of(self):
        self.serve(routes=[route('/reports/*'), route('/quick/*', queue_timeout='1s')],
                   upstream={'max_concurrency': 1})
        self.backend.on('/reports', Gate())
        self.submit()
        self.submit()
        job = self.submit('/quick/1')
        events = list(self.events(self.listen(job)))
        self.assertEqual(['queued', 'failed'], [name for name, _ in events])
        self.assertEqual('expired', events[1][1]['error']['type'])

    def test_streams_end_in_order_when_the_program_stops(self):
        self.serve(shutdown={'grace_period': '10s'})
        gate = self.backend.on('/reports', Gate())
        client = self.listen(self.submit())
        events = self.events(client)
        self.assertEqual('running', next(events)[0])
        self.proxy.signal(15)
        self.assertEqual([], list(events))
        self.assertTrue(client.ends())
        gate.open()
        self.assertEqual(0, self.proxy.wait())
