"""An upstream of several servers: how calls are shared out among them."""
from backend import Backend, Gate, answer
from harness import EndToEnd
from wire import wait_until


class Servers(EndToEnd):
    def setUp(self):
        super().setUp()
        self.other = Backend()
        self.addCleanup(self.other.stop)

    def serve_both(self, first=(), second=(), **upstream):
        servers = [{'url': self.backend.url, **dict(first)}, {'url': self.other.url, **dict(second)}]
        self.serve(upstream={'servers': servers, **upstream})

    def gates(self):
        return self.backend.on('/reports', Gate()), self.other.on('/reports', Gate())

    def test_calls_are_shared_out_by_weight(self):
        self.serve_both({'weight': 1}, {'weight': 3})
        with self.client() as client:
            for _ in range(40):
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual((10, 30), (self.backend.count('/x'), self.other.count('/x')))

    def test_a_server_at_its_limit_is_passed_over(self):
        self.serve_both({'max_concurrency': 1}, max_concurrency=6)
        limited, free = self.gates()
        jobs = [self.submit() for _ in range(5)]
        self.wait_for_calls(free, 4)
        self.assertEqual(1, len(limited.entered))
        limited.open()
        free.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)

    def test_what_no_server_has_room_for_waits_in_the_queue(self):
        self.serve_both({'max_concurrency': 1}, {'max_concurrency': 1}, max_concurrency=6)
        gates = self.gates()
        jobs = [self.submit() for _ in range(4)]
        for gate in gates:
            self.wait_for_calls(gate)
        self.assertEqual(['running', 'running', 'queued', 'queued'], [job.state() for job in jobs])
        for gate in gates:
            gate.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)
        self.assertEqual((1, 1), (self.backend.peak, self.other.peak))

    def test_a_server_at_its_limit_is_waited_for_when_the_other_is_down(self):
        self.other.refuse()
        self.serve_both({'max_concurrency': 1}, max_concurrency=3)
        gate = self.backend.on('/reports', Gate())
        jobs = [self.submit() for _ in range(3)]
        self.wait_for_calls(gate)
        wait_until(lambda: [job.state() for job in jobs] == ['running'] * 3, 'all begun')
        gate.open()
        for job in jobs:
            self.assertEqual(200, job.wait().result().status)
        self.assertEqual((3, 1), (self.backend.count('/reports'), self.backend.peak))

    def test_a_plain_call_waits_for_a_server_too(self):
        self.other.refuse()
        self.serve_both({'max_concurrency': 1}, max_concurrency=3)
        gate = self.backend.on('/x', Gate(answer(200, b'first')))
        waiting = [self.client() for _ in range(2)]
        for client in waiting:
            client.send(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
        self.wait_for_calls(gate)
        gate.open()
        for client in waiting:
            self.assertEqual(b'first', client.answer().body)
        self.assertEqual(1, self.backend.peak)

    def test_a_server_that_comes_back_is_called_again(self):
        self.other.refuse()
        self.serve_both()
        with self.client() as client:
            for _ in range(4):
                self.assertEqual(200, client.request('GET', '/x').status)
            self.assertEqual((4, 0), (self.backend.count('/x'), self.other.count('/x')))
            self.other.accept()
            self.backend.refuse()
            for _ in range(4):
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertEqual(4, self.other.count('/x'))
