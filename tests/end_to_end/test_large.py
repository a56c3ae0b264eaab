"""1 GiB in, 1 GiB out, in little memory; and a kill -9 half-way leaves no orphan and no half result."""
import hashlib
import os
import threading

from backend import Gate
from harness import EndToEnd, Job, route
from wire import request_bytes, wait_until

MIB = 1 << 20
SIZE = int(os.environ.get('RAINCHECK_LARGE_MIB', '1024')) * MIB
MEMORY = 64 * MIB


class Stream:
    """A large body that is never in memory: a random block, repeated, each time with its number."""

    def __init__(self, size=SIZE):
        self.size, self.block = size, os.urandom(MIB)

    def pieces(self):
        for number in range(self.size // MIB):
            yield number.to_bytes(8, 'big') + self.block[8:]

    def send(self, send, until=None):
        """Sends it all, or about `until` bytes of it; returns the digest."""
        digest = hashlib.sha256()
        for number, piece in enumerate(self.pieces()):
            if until is not None and number * MIB >= until:
                break
            digest.update(piece)
            send(piece)
        return digest.hexdigest()


class Large(EndToEnd):
    def setUp(self):
        super().setUp()
        self.serve(routes=[route(limits={'body': '4GiB'}, resend='idempotent')],
                   upstream={'limits': {'response_body': '4GiB'}}, store={'max_bytes': '20GiB'})
        self.stream = Stream()

    def answer_large(self, exchange):
        exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % self.stream.size)
        self.answered = self.stream.send(exchange.send)

    def submit_large(self, method='POST', chunks=False):
        client = self.client(timeout=120)
        fields = {'Transfer-Encoding': 'chunked'} if chunks else {'Content-Length': str(self.stream.size)}
        client.send(request_bytes(method, '/reports/large', fields))
        frame = (lambda piece: client.send(b'%x\r\n%s\r\n' % (len(piece), piece))) if chunks else client.send
        digest = self.stream.send(frame)
        if chunks:
            client.send(b'0\r\n\r\n')
        accepted = client.answer('POST')
        self.assertEqual(202, accepted.status, accepted.body)
        return Job(self.proxy, accepted), digest

    def assert_small(self):
        self.assertLess(self.proxy.memory('VmHWM'), MEMORY)

    def test_a_large_request_and_a_large_result_pass_through_little_memory(self):
        self.backend.on('/reports', self.answer_large)
        job, sent = self.submit_large()
        self.assert_small()
        job.wait(120)
        self.assertEqual((self.stream.size, sent), (self.backend.seen()[0].length, self.backend.seen()[0].digest))
        self.assert_small()
        result = job.result(timeout=120)
        self.assertEqual((self.stream.size, self.answered), (result.length, result.digest))
        last = job.result(fields={'Range': f'bytes={self.stream.size - 1000}-'})
        self.assertEqual((206, self.stream.block[-1000:]), (last.status, last.body))
        self.assert_small()
        self.request('DELETE', job.result_url)
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')

    def test_chunks_both_ways_and_ended_by_closing(self):
        self.stream.size = SIZE // 8

        def script(exchange):
            exchange.send(b'HTTP/1.1 200 OK\r\n\r\n')
            self.answered = self.stream.send(exchange.send)
            exchange.close()
        self.backend.on('/reports', script)
        job, sent = self.submit_large(chunks=True)
        job.wait(120)
        self.assertEqual(sent, self.backend.seen()[0].digest)
        self.assertEqual(self.answered, job.result(timeout=120).digest)
        self.assert_small()

    def test_a_kill_within_the_upload_leaves_no_file_and_no_job(self):
        client = self.client()
        client.send(request_bytes('POST', '/reports/large', {'Content-Length': str(SIZE)}))
        self.stream.send(client.send, until=SIZE // 2)
        self.assertTrue(self.spool_files())
        self.proxy.restart()
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')
        self.assertEqual(0, self.backend.count())

    def test_a_kill_within_the_result_leaves_no_half_result(self):
        half_way, go_on = threading.Event(), threading.Event()

        def script(exchange):
            exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % self.stream.size)
            self.stream.send(exchange.send, until=SIZE // 2)
            half_way.set()
            exchange.hold(go_on)
            exchange.close()
        self.backend.on('/reports', script)
        post = self.submit('/reports/post')
        self.assertTrue(half_way.wait(60))
        wait_until(self.spool_files, 'a spool file being written')
        self.proxy.kill()
        self.backend.on('/reports', self.answer_large)
        self.proxy.start()
        self.assertEqual('outcome_unknown', post.ended())
        wait_until(lambda: not self.spool_files(), lambda: f'an empty spool, not {self.spool_files()}')
        put = self.submit('/reports/put', method='PUT').wait(120)
        self.assertEqual(self.answered, put.result(timeout=120).digest)
        self.assertEqual(1, self.backend.count('/reports/post'))

    def test_many_large_ones_at_once_take_little_memory_too(self):
        self.stream.size = SIZE // 16
        gate = self.backend.on('/reports', Gate(self.answer_large))
        jobs, lock = [], threading.Lock()

        def submit():
            job, _ = self.submit_large()
            with lock:
                jobs.append(job)
        threads = [threading.Thread(target=submit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gate.open()
        for job in jobs:
            self.assertEqual(self.stream.size, job.wait(120).result(timeout=120).length)
        self.assertEqual(8, len(jobs))
        self.assert_small()
