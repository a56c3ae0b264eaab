"""A property: whatever clients send, valid or mangled, what the backend receives can be read in one way only.

The backend records every byte and answers what a strict parser of its own, apart from wire.py, finds complete. The
seed is printed; RAINCHECK_SEED replays it, RAINCHECK_REQUESTS says how many."""
import concurrent.futures
import os
import random
import re
import socket
import threading

from harness import EndToEnd, route
from wire import Client, ProtocolError, wait_until

REQUESTS = int(os.environ.get('RAINCHECK_REQUESTS', '400'))

LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.1\Z")
FIELD = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)\Z")  # no '_' in names
HOST = re.compile(rb'[0-9.]+:[0-9]+\Z')  # the server's own, as it is configured
SEGMENT = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@\[\]-]|%[0-9A-F]{2})*\Z")
NEVER_ESCAPED = re.compile(rb'%(?:4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A]|3[0-9]|2D|2E|5F|7E|2F|5C|00)')
HOP_BY_HOP = {b'connection', b'keep-alive', b'te', b'trailer', b'upgrade', b'http2-settings', b'expect', b'proxy'}


class Ambiguous(Exception):
    """Two servers could read this differently."""


class Incomplete(Exception):
    """There is more to come."""


def take_line(data, at):
    end = data.find(b'\n', at)
    if end < 0:
        if b'\r' in data[at:-1]:
            raise Ambiguous(f'bare CR in {data[at:]!r}')
        raise Incomplete
    line = data[at:end + 1]
    if not line.endswith(b'\r\n') or b'\r' in line[:-2]:
        raise Ambiguous(f'a line that does not end in one CR LF: {line!r}')
    return line[:-2], end + 1


def check_target(target):
    path = target.partition(b'?')[0]
    if b'#' in target:
        raise Ambiguous(f'a fragment in {target!r}')
    segments = path.split(b'/')[1:]
    if b'' in segments[:-1]:
        raise Ambiguous(f'an empty segment in {path!r}')
    for segment in segments:
        if not SEGMENT.match(segment) or NEVER_ESCAPED.search(segment) or segment in (b'.', b'..'):
            raise Ambiguous(f'a path that is not in normal form: {path!r}')


def take_fields(data, at):
    fields = {}
    while True:
        line, at = take_line(data, at)
        if not line:
            return fields, at
        match = FIELD.match(line)
        if not match or match[2] != match[2].strip(b' \t'):
            raise Ambiguous(f'a field line of another form: {line!r}')
        fields.setdefault(match[1].lower(), []).append(match[2])


def check_fields(fields):
    if len(fields.get(b'host', ())) != 1 or not HOST.match(fields[b'host'][0]):
        raise Ambiguous(f'Host: {fields.get(b"host")}')
    lengths, codings = fields.get(b'content-length', []), fields.get(b'transfer-encoding', [])
    if len(lengths) + len(codings) > 1:
        raise Ambiguous(f'framed more than once: {lengths} {codings}')
    if lengths and not re.fullmatch(rb'0|[1-9][0-9]{0,15}', lengths[0]) or codings and codings != [b'chunked']:
        raise Ambiguous(f'framing: {lengths} {codings}')
    left = [name for name in fields if name in HOP_BY_HOP or name.startswith(b'proxy-')]
    if left:
        raise Ambiguous(f'fields that are of one connection only: {left}')
    for name in (b'x-forwarded-for', b'x-forwarded-proto', b'x-forwarded-host', b'via', b'x-request-id'):
        if len(fields.get(name, ())) > 1:
            raise Ambiguous(f'{name} twice')


def take_body(data, at, fields):
    if b'content-length' in fields:
        end = at + int(fields[b'content-length'][0])
        if len(data) < end:
            raise Incomplete
        return data[at:end], end
    body = b''
    while b'transfer-encoding' in fields:
        size, at = take_line(data, at)
        if not re.fullmatch(rb'0|[1-9a-f][0-9a-f]{0,7}', size):
            raise Ambiguous(f'a chunk size of another form: {size!r}')
        end = at + int(size, 16)
        if len(data) < end + 2:
            raise Incomplete
        if data[end:end + 2] != b'\r\n':
            raise Ambiguous('a chunk that does not end where it says, or a trailer')
        body, at = body + data[at:end], end + 2
        if size == b'0':
            break
    return body, at


class Read:
    def __init__(self, data, at):
        line, at = take_line(data, at)
        match = LINE.match(line)
        if not match:
            raise Ambiguous(f'a request line of another form: {line!r}')
        self.method, self.target = match[1], match[2]
        check_target(self.target)
        self.fields, at = take_fields(data, at)
        check_fields(self.fields)
        self.body, self.end = take_body(data, at, self.fields)

    @property
    def tag(self):
        return self.fields.get(b'x-tag', [b''])[0]


class Recorder:
    """A backend that keeps every byte, and answers each whole request with nothing."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=256)
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}'
        self.received, self.lock = [], threading.Lock()
        threading.Thread(target=self.accept_all, daemon=True).start()

    def accept_all(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            stream = bytearray()
            with self.lock:
                self.received.append(stream)
            threading.Thread(target=self.serve, args=(sock, stream), daemon=True).start()

    def serve(self, sock, stream):
        at = 0
        with sock:
            try:
                while data := sock.recv(65536):
                    with self.lock:
                        stream += data
                    at = self.answer(sock, stream, at)
            except (OSError, Ambiguous):
                pass  # it is found again at the end

    def answer(self, sock, stream, at):
        try:
            while at < len(stream):
                at = Read(bytes(stream), at).end
                sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        except Incomplete:
            pass
        return at

    def read_all(self):
        """Every whole request. Raises Ambiguous if a connection has anything else but the beginning of another."""
        with self.lock:
            streams = [bytes(stream) for stream in self.received]
        requests = []
        for stream in streams:
            at = 0
            try:
                while at < len(stream):
                    requests.append(Read(stream, at))
                    at = requests[-1].end
            except Incomplete:
                pass
            except Ambiguous as wrong:
                raise Ambiguous(f'{wrong}\nin {stream[at:at + 2000]!r}') from wrong
        return requests

    def close(self):
        self.listener.close()


# (as it is sent, as it arrives)
PATHS = [(b'/plain/x', b'/plain/x'), (b'/reports/1', b'/reports/1'), (b'//reports///1', b'/reports/1'),
         (b'/reports/./a/../%31', b'/reports/1'), (b'/plain/%7euser/%c3%a9', b'/plain/~user/%C3%A9'),
         (b'/plain/a;b=c,d:e@f', b'/plain/a;b=c,d:e@f'), (b'/plain?q=%2f..//%zz', b'/plain?q=%2f..//%zz'),
         (b'/reports/x?', b'/reports/x?'), (b'http://other.test/reports/1', b'/reports/1')]
METHODS = [b'GET', b'POST', b'PUT', b'DELETE', b'PATCH', b'OPTIONS', b'BREW']
EXTRAS = [b'Accept: */*', b'X-Empty:', b'X-Latin: caf\xe9', b'X-Tabs:\ta\tb\t', b'Connection: X-Hop\r\nX-Hop: 1',
          b'X-Hop-2: 2\r\nConnection: close, x-hop-2', b'Connection:', b'Keep-Alive: timeout=5', b'TE: trailers',
          b'Trailer: X-T', b'Proxy-Connection: keep-alive', b'Proxy-Authorization: Basic eA==', b'Proxy: http://evil',
          b'Upgrade: h2c', b'HTTP2-Settings: AAMA', b'X_Under: score', b'Content_Length: 9', b'Transfer_Encoding: chunked',
          b'X-Forwarded-For: 6.6.6.6', b'X-Forwarded-For: a\t, b', b'Forwarded: for="6.6.6.6', b'Via: 1.1 other',
          b'X-Request-Id: theirs', b'traceparent: nonsense', b'Cookie: a=b; c=d', b'Content-Type: text/plain',
          b'Expect: 100-continue', b'Host-Header: x', b'X-Long: ' + b'y' * 3000]
BODIES = [b'', b'hello', b'0\r\n\r\n', b'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', bytes(range(256)), b'x' * 70000]
NASTY = [b'\r', b'\n', b'\r\n', b'\n\n', b'\0', b' ', b'\t', b'\x0b', b'\x7f', b'\x80', b':', b',', b';', b'#', b'%', b'%2f',
         b'%00', b'\\', b'../', b'\r\n ', b'\r\n\t', b'\r\n\r\n', b'HTTP/1.1', b'0', b'-', b'"',
         b'\r\nX-Hop: 3\r\nConnection: x-hop']
LINES = [b'Content-Length: 5', b'Content-Length: 0', b'Content-Length: 5, 5', b'Content-Length: +5', b'Content-Length : 5',
         b'Content-Length: 18446744073709551621', b'Transfer-Encoding: chunked', b'Transfer-Encoding: gzip',
         b'Transfer-Encoding: gzip, chunked', b'Transfer-Encoding : chunked', b'Transfer-Encoding:\tchunked',
         b'Transfer-Encoding: \x0bchunked', b'Transfer-Encoding: "chunked"', b'Transfer-Encoding: chunked;a=b',
         b'Transfer-Encoding:\r\n chunked', b'Host: b', b'Host: a/b@c', b'Host: a b', b' folded', b'nonsense', b': no name',
         b'X\0: a', b'X: a\0b', b'X: a\rb', b'X: a\nContent-Length: 3', b'Connection: Host, Content-Length',
         b'Connection: X-Forwarded-For, Via']


class Asked:
    """One request of a client: what it sends, and what must arrive if it was not mangled."""

    def __init__(self, dice, number):
        # Long, so that no mangling makes one of another.
        self.tag = b'tag-%d-%016x' % (number, dice.getrandbits(64))
        self.method, self.body = dice.choice(METHODS), dice.choice(BODIES)
        sent, self.target = dice.choice(PATHS)
        self.lines = [b'Host: raincheck.test', b'X-Tag: ' + self.tag]
        self.lines += dice.sample(EXTRAS, dice.randrange(6))
        payload = self.frame(dice)
        dice.shuffle(self.lines)
        head = [self.method + b' ' + sent + b' HTTP/1.1', *self.lines]
        self.is_mangled = dice.random() < 0.6
        if self.is_mangled:
            head, payload = self.mangle(dice, head, payload)
        else:
            head = b'\r\n'.join(head) + b'\r\n\r\n'
        self.bytes = head + payload
        self.cuts = sorted(dice.randrange(len(self.bytes) + 1) for _ in range(dice.randrange(4)))

    def frame(self, dice):
        if not self.body or dice.random() < 0.5:
            if self.body or dice.random() < 0.5:
                self.lines.append(b'Content-Length: %d' % len(self.body))
            return self.body
        self.lines.append(b'Transfer-Encoding: ' + dice.choice([b'chunked', b'Chunked']))
        cut = dice.randrange(len(self.body) + 1)
        pieces = [piece for piece in (self.body[:cut], self.body[cut:]) if piece]
        trailer = dice.choice([b'', b'', b'X-T: 1\r\n', b'Authorization: evil\r\nContent-Length: 5\r\n'])
        return b''.join(b'%X\r\n%s\r\n' % (len(p), p) for p in pieces) + b'0\r\n' + trailer + b'\r\n'

    def mangle(self, dice, head, payload):
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            kind = dice.randrange(4)
            if kind == 0:
                head.insert(dice.randrange(1, len(head) + 1), dice.choice(LINES))
            elif kind == 1:
                head.insert(dice.randrange(1, len(head) + 1), dice.choice(head[1:]))
            elif kind == 2:
                del head[dice.randrange(len(head))]
                head = head or [b'']
            else:
                payload = self.mangle_bytes(dice, payload)
        head = b'\r\n'.join(head) + b'\r\n\r\n'
        if dice.random() < 0.7:
            head = self.mangle_bytes(dice, head)
        return head, payload

    def mangle_bytes(self, dice, data):
        at = dice.randrange(min(len(data), 400) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            return data[:at] + dice.choice(NASTY) + data[at:]
        if kind == 1:
            return data[:at] + data[at + 1:]
        if kind == 2:
            return data[:at] + bytes([dice.randrange(256)]) + data[at + 1:]
        return data.replace(b'\r\n', dice.choice([b'\n', b'\r', b'\r\n\r\n', b'\r\r\n']), 1 + dice.randrange(3))

    def arrived_as_meant(self, read):
        hops = [name for name in read.fields if name.startswith(b'x-hop')]  # Connection names them
        return (read.method, read.target, read.body, hops) == (self.method, self.target, self.body, [])


class OneReading(EndToEnd):
    def setUp(self):
        super().setUp()
        self.recorder = Recorder()
        self.addCleanup(self.recorder.close)

    def ask(self, asked):
        """Sends it in pieces and reads what is answered, which must be proper HTTP; the status."""
        with Client(self.proxy.port) as client:
            try:
                for begin, end in zip([0, *asked.cuts], [*asked.cuts, len(asked.bytes)]):
                    client.send(asked.bytes[begin:end])
                return client.answer(asked.method.decode()).status
            except (ConnectionError, BrokenPipeError):
                return 0  # a refusal was written and the rest not read
            except ProtocolError as wrong:
                if client.buffer or 'closed within a line, after b\'\'' not in str(wrong):
                    raise AssertionError(f'{wrong}\nwas the answer to {asked.bytes[:2000]!r}') from wrong
                return 0  # a head that never ended

    def test_what_the_backend_gets_can_be_read_in_one_way_only(self):
        seed = int(os.environ.get('RAINCHECK_SEED') or random.SystemRandom().randrange(1 << 32))
        print(f'RAINCHECK_SEED={seed}', flush=True)
        self.serve(routes=[route('/reports/*')], upstream={'servers': [self.recorder.url], 'max_concurrency': 16},
                   listeners=[{'address': '127.0.0.1:0', 'timeouts': {'header': '1s', 'body': '1s'}}],
                   trusted_proxies=['127.0.0.0/8'] if seed % 2 else ['10.0.0.0/8'])
        dice = random.Random(seed)
        asked = [Asked(dice, number) for number in range(REQUESTS)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(self.ask, asked))
        meant = {one.tag: one for one in asked if not one.is_mangled}
        try:
            wait_until(lambda: meant.keys() <= {read.tag for read in self.recorder.read_all()},
                       lambda: f'seed {seed}: {self.missing(meant)}', 20)
            reads = self.recorder.read_all()
        except Ambiguous as wrong:
            self.fail(f'seed {seed}: {wrong}')
        for read in reads:
            if read.tag in meant:
                self.assertTrue(meant[read.tag].arrived_as_meant(read), f'seed {seed}: {meant[read.tag].bytes[:2000]!r}')
        tags = [read.tag for read in reads if read.tag in meant]
        self.assertEqual(len(meant), len(tags), f'seed {seed}: some arrived twice')
        good = {status for one, status in zip(asked, statuses) if not one.is_mangled}
        self.assertEqual(set(), good - {200, 202}, f'seed {seed}')
        self.assertIn(400, statuses, 'nothing was refused: the requests are not mangled enough')

    def missing(self, meant):
        arrived = {read.tag for read in self.recorder.read_all()}
        return [one.bytes[:500] for tag, one in meant.items() if tag not in arrived][:3]


class Strictness(EndToEnd):
    """The judge itself: it must see what it looks for."""

    def test_the_strict_parser_refuses_what_can_be_read_in_two_ways(self):
        good = b'POST /a HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 1\r\n\r\nx'
        self.assertEqual(b'x', Read(good, 0).body)
        for wrong, right in ((b'\r\nHost', b'\nHost'), (b'Length: 1', b'Length: 1\r\nContent-Length: 1'),
                             (b'Length: 1', b'Length: +1'), (b'Length: 1', b'Length: 1\r\nTransfer-Encoding: chunked'),
                             (b'/a', b'/a//b'), (b'/a', b'/%61'), (b'/a', b'/..'), (b'/a', b'/%2F'), (b'/a', b'/%c3'),
                             (b'/a', b'http://a/'), (b'Host', b'TE: a\r\nHost'),
                             (b'Host', b'Host: 127.0.0.1:1\r\nHost'), (b'Host', b'X: a\r\n b\r\nHost'),
                             (b'Host', b'X_Y: a\r\nHost'), (b'Host: ', b'Host:  '), (b'HTTP/1.1', b'HTTP/1.0')):
            with self.subTest(right):
                self.assertRaises(Ambiguous, Read, good.replace(wrong, right, 1), 0)
        chunks = good.replace(b'Content-Length: 1', b'Transfer-Encoding: chunked').replace(b'\r\n\r\nx', b'\r\n\r\n1\r\nx\r\n0\r\n\r\n')
        self.assertEqual(b'x', Read(chunks, 0).body)
        for wrong, right in ((b'\r\n1\r\n', b'\r\n1;a\r\n'), (b'\r\n1\r\n', b'\r\n01\r\n'), (b'0\r\n\r\n', b'0\r\nX: y\r\n\r\n'),
                             (b'\nx\r\n', b'\nxy\r\n')):
            with self.subTest(right):
                self.assertRaises(Ambiguous, Read, chunks.replace(wrong, right, 1), 0)
