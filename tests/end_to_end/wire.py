"""HTTP/1.1 on a plain socket: sends exactly the bytes it is given, and reads as strictly as RFC 9112 allows.

The client of the tests and their backend both stand on it, so it is also the second, independent opinion about
every byte that raincheck writes: whatever is not well formed raises ProtocolError.
"""
import hashlib
import re
import socket
import time

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb'[\t\x20-\x7e\x80-\xff]*\Z')
STATUS_LINE = re.compile(rb'HTTP/1\.1 ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z')
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.1\Z")
KEPT = 1 << 20  # a body up to this size is kept, of a larger one only its length and digest


class ProtocolError(Exception):
    """The other side sent what no HTTP/1.1 implementation may send."""


class Truncated(ProtocolError):
    """The other side closed the connection within a message."""


class Message:
    """One request or response. `raw` is its head exactly as it came."""

    def __init__(self, raw, first_line, fields):
        self.raw, self.first_line, self.fields = raw, first_line, fields
        self.body, self.length, self.framing, self.trailers = b'', 0, 'none', []
        self.interim = []
        self._digest = hashlib.sha256()
        self.status = self.reason = self.method = self.target = None

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f'{len(values)} fields named {name}: {values}')
        return values[0] if values else default

    def add_body(self, data):
        self.length += len(data)
        self._digest.update(data)
        if self.length <= KEPT:
            self.body += data

    @property
    def digest(self):
        return self._digest.hexdigest()

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f'<{self.first_line} {dict(self.fields)} {self.length} bytes>'


class Wire:
    """A buffered socket. Every wait ends at a deadline of `timeout` seconds after the last byte."""

    def __init__(self, sock, timeout=20):
        self.sock, self.buffer = sock, bytearray()
        sock.settimeout(timeout)

    def fill(self):
        data = self.sock.recv(1 << 18)
        self.buffer += data
        return len(data)

    def send(self, data):
        self.sock.sendall(data)

    def line(self, limit=1 << 20):
        """The next line, which must end in CR LF."""
        start = 0
        while (end := self.buffer.find(b'\n', start)) < 0:
            start = len(self.buffer)
            if start > limit:
                raise ProtocolError('endless line')
            if not self.fill():
                raise Truncated(f'closed within a line, after {bytes(self.buffer[-80:])!r}')
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b'\r\n') or b'\r' in line[:-2]:
            raise ProtocolError(f'line not ended by CR LF: {line!r}')
        return line[:-2]

    def pieces(self, length):
        """Exactly `length` bytes, piece by piece."""
        while length:
            if not self.buffer and not self.fill():
                raise Truncated(f'closed {length} bytes before the end of a body')
            data = bytes(self.buffer[:length])
            del self.buffer[:length]
            length -= len(data)
            yield data

    def rest(self):
        """Everything up to the end of the connection, piece by piece."""
        while self.buffer or self.fill():
            data = bytes(self.buffer)
            self.buffer.clear()
            yield data

    def fields(self):
        fields, raw = [], b''
        while line := self.line():
            raw += line + b'\r\n'
            name, colon, value = line.partition(b':')
            if not colon or not TOKEN.match(name) or not VALUE.match(value):
                raise ProtocolError(f'bad field line: {line!r}')
            fields.append((name.decode(), value.strip(b' \t').decode('latin-1')))
        return fields, raw + b'\r\n'

    def read_head(self):
        first = self.line()
        fields, raw = self.fields()
        message = Message(first + b'\r\n' + raw, first.decode('latin-1'), fields)
        if match := STATUS_LINE.match(first):
            message.status, message.reason = int(match[1]), match[2].decode('latin-1')
        elif match := REQUEST_LINE.match(first):
            message.method, message.target = match[1].decode(), match[2].decode()
            if len(message.all('Host')) != 1:
                raise ProtocolError(f'{len(message.all("Host"))} Host fields')
        else:
            raise ProtocolError(f'bad first line: {first!r}')
        return message

    def read_body(self, message, answers=None, sink=None):
        """Reads the body into `message`; of a response, `answers` is the method of its request."""
        take = sink or message.add_body
        coding, lengths = message.all('Transfer-Encoding'), message.all('Content-Length')
        if coding and lengths or len(lengths) > 1:
            raise ProtocolError(f'ambiguous framing: {message.fields}')
        if lengths and not re.fullmatch('[0-9]+', lengths[0]):
            raise ProtocolError(f'bad Content-Length {lengths[0]!r}')
        if message.status is not None and bodiless(message.status, answers):
            if coding and message.status in (101, 204):
                raise ProtocolError(f'{message.status} with Transfer-Encoding')
            if lengths and (message.status == 204 or message.status < 200):
                raise ProtocolError(f'{message.status} with Content-Length')
        elif coding:
            if coding != ['chunked']:
                raise ProtocolError(f'transfer codings {coding}')
            message.framing = 'chunked'
            while size := self.chunk_size():
                for data in self.pieces(size):
                    take(data)
                if self.line():
                    raise ProtocolError('chunk longer than its size')
            message.trailers = self.fields()[0]
        elif lengths:
            message.framing = 'length'
            for data in self.pieces(int(lengths[0])):
                take(data)
        elif message.status is not None:
            message.framing = 'close'
            for data in self.rest():
                take(data)
        return message

    def chunk_size(self):
        line = self.line()
        if not re.fullmatch(rb'[0-9A-Fa-f]{1,16}', line):
            raise ProtocolError(f'bad chunk size {line!r}')
        return int(line, 16)


def bodiless(status, method):
    return status < 200 or status in (204, 304) or method == 'HEAD' or (
        method == 'CONNECT' and 200 <= status < 300)


def request_bytes(method, target, fields=(), body=None, host='raincheck.test'):
    """A well-formed request. Content-Length is added where a body is given without its own framing."""
    fields = list(fields.items() if isinstance(fields, dict) else fields)
    names = {name.lower() for name, _ in fields}
    if 'host' not in names:
        fields.insert(0, ('Host', host))
    if body is not None and not names & {'content-length', 'transfer-encoding'}:
        fields.append(('Content-Length', str(len(body))))
    head = ''.join(f'{name}: {value}\r\n' for name, value in fields)
    return f'{method} {target} HTTP/1.1\r\n{head}\r\n'.encode('latin-1') + (body or b'')


def chunked(*pieces, trailers=b''):
    return b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in pieces if p) + b'0\r\n' + trailers + b'\r\n'


class Client(Wire):
    """One connection to raincheck."""

    def __init__(self, port, timeout=20, receive_buffer=None):
        sock = socket.socket()
        sock.settimeout(timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(('127.0.0.1', port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read_answer_head(self):
        interim = []
        while (head := self.read_head()).status < 200 and head.status != 101:
            interim.append(head)
        head.interim = interim
        return head

    def answer(self, method='GET', sink=None):
        return self.read_body(self.read_answer_head(), method, sink)

    def request(self, method, target, fields=(), body=None):
        self.send(request_bytes(method, target, fields, body))
        return self.answer(method)

    def ends(self, within=5):
        """Whether raincheck closes the connection in time, sending nothing more."""
        self.sock.settimeout(within)
        try:
            return not self.buffer and not self.fill()
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.sock.close()

    def reset(self):
        reset(self.sock)


def reset(sock):
    """Closes with RST instead of FIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    except OSError:
        pass
    sock.close()


def request(port, method, target, fields=(), body=None, timeout=20):
    """One request on a connection of its own."""
    with Client(port, timeout) as client:
        return client.request(method, target, fields, body)


def unread(port):
    """Bytes on their way to a local server that it has not read yet."""
    server, total = f':{port:04X}', 0
    with open('/proc/net/tcp', encoding='ascii') as table:
        for line in list(table)[1:]:
            _, local, remote, _, queues = line.split()[:5]
            sent, received = (int(queue, 16) for queue in queues.split(':'))
            total += received * local.endswith(server) + sent * remote.endswith(server)
    return total


def wait_until(condition, what, within=10):
    """Polls until `condition` returns something true, which it returns. Never a fixed sleep."""
    deadline, pause = time.monotonic() + within, 0.002
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {within} s: {what() if callable(what) else what}')
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return value
