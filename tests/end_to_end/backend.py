"""The slow legacy backend of the tests: a threaded server on raw sockets that remembers every byte it was sent and
does what the test tells it to do, right or wrong.

A *script* is a function that is called with an Exchange and answers it (or doesn't). Tests hold calls with a Gate
instead of sleeping.
"""
import json
import socket
import threading
import time

from wire import ProtocolError, Wire, reset


class Exchange:
    """One call as the backend sees it."""

    def __init__(self, backend, wire, request):
        self.backend, self.wire, self.request, self.number = backend, wire, request, 0
        self.started = time.monotonic()
        self.keep_alive = request.get('Connection', '').lower() != 'close'
        self.is_over = False

    def end(self):
        """The call is no longer in flight: whoever reads its answer may make the next one at once."""
        with self.backend._lock:
            if not self.is_over:
                self.backend.in_flight -= 1
            self.is_over = True

    def send(self, data):
        self.wire.send(data)

    def reply(self, status=200, body=b'', fields=(), reason='Whatever'):
        fields = list(fields.items() if isinstance(fields, dict) else fields)
        if status >= 200 and status not in (204, 304):
            fields.append(('Content-Length', str(len(body))))
        head = ''.join(f'{name}: {value}\r\n' for name, value in fields)
        body = b'' if self.request.method == 'HEAD' else body
        if status >= 200:
            self.end()
        self.send(f'HTTP/1.1 {status} {reason}\r\n{head}\r\n'.encode('latin-1') + body)

    def close(self):
        self.keep_alive = False

    def reset(self):
        self.keep_alive = False
        reset(self.wire.sock)

    def hold(self, event=None, within=60):
        """Waits for `event`; returns False if the caller hung up, or the backend was stopped, before."""
        self.wire.sock.setblocking(False)
        deadline = time.monotonic() + within
        try:
            while not (event and event.is_set()):
                if self.backend.stopping or time.monotonic() > deadline:
                    return False
                try:
                    if not self.wire.sock.recv(1, socket.MSG_PEEK):
                        return False
                except BlockingIOError:
                    pass
                except OSError:
                    return False
                (event or threading.Event()).wait(0.005)
            return True
        finally:
            if self.wire.sock.fileno() >= 0:
                self.wire.sock.settimeout(20)


def answer(status=200, body=b'done\n', fields=(('Content-Type', 'text/plain'),)):
    return lambda exchange: exchange.reply(status, body, fields)


def echo(exchange):
    """Answers with what was asked: the body itself, its type, and a description of the rest in the fields."""
    request = exchange.request
    fields = [('X-Method', request.method), ('X-Target', request.target),
              ('Content-Type', request.get('Content-Type', 'application/octet-stream'))]
    exchange.reply(200, request.body, fields)


def raw(data, then_close=True):
    """Answers with exactly these bytes."""
    def script(exchange):
        exchange.send(data)
        exchange.keep_alive = not then_close
    return script


def hang(exchange):
    """Reads the request and never answers; ends when the caller hangs up."""
    exchange.hold()
    exchange.close()


def reset_after_reading(exchange):
    exchange.reset()


def in_turn(*scripts):
    """The first call gets the first script and so on; the last script goes for all that follow."""
    remaining, lock = list(scripts), threading.Lock()

    def script(exchange):
        with lock:
            chosen = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        chosen(exchange)
    return script


class Gate:
    """A script that holds its calls until the test opens it, then answers them as the inner script says.
    A gate that `goes_on` doesn't notice that its caller hung up: it works to the end, as legacy backends do."""

    def __init__(self, script=answer(), goes_on=False):
        self.script, self.opened, self.goes_on = script, threading.Event(), goes_on
        self.entered, self.aborted = [], []

    def __call__(self, exchange):
        self.entered.append(exchange)
        if self.goes_on:
            while not self.opened.wait(0.01) and not exchange.backend.stopping:
                pass
        elif not exchange.hold(self.opened):
            self.aborted.append(exchange)
            exchange.close()
            return
        self.script(exchange)

    def open(self):
        self.opened.set()


class Backend:
    """Listens on a port of its own for as long as it lives. `requests` holds every complete request, in order."""

    def __init__(self, history=None):
        self.scripts, self.requests, self.errors, self.connections = {}, [], [], 0
        self.in_flight = self.peak = 0
        self.stopping = False
        self._open, self._lock = set(), threading.RLock()
        self._history = open(history, 'a', encoding='utf-8') if history else None
        # The reservation keeps the port ours while nobody listens on it, so that "refused" stays refused.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(('127.0.0.1', 0))
        self.port = self._reservation.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}'
        self._listener = None
        self.accept()

    def on(self, path, script, read_body=True):
        """`script` answers calls whose path starts with `path`; the longest path wins."""
        self.scripts[path] = (script, read_body)
        return script

    def accept(self):
        """Starts to listen."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(('127.0.0.1', self.port))
        listener.listen(512)
        self._listener = listener
        threading.Thread(target=self._accept_all, args=(listener,), daemon=True).start()

    def refuse(self, break_connections=True):
        """Stops listening: the next connect is refused."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if break_connections:
            self.break_connections()

    def break_connections(self):
        with self._lock:
            for sock in list(self._open):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        self.stopping = True
        self.refuse()
        self._reservation.close()

    def seen(self, path=''):
        """The complete requests whose path starts with `path`, in the order in which they came."""
        with self._lock:
            return [r for r in self.requests if r.target.startswith(path)]

    def count(self, path=''):
        return len(self.seen(path))

    def idle_connections(self):
        with self._lock:
            return len(self._open)

    def _accept_all(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, connection):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = Wire(sock, timeout=120)
            while self._serve_one(wire, connection):
                pass
        except OSError:
            pass
        except ProtocolError as error:
            with self._lock:
                self.errors.append(str(error))
        except Exception as error:  # a script of the test is wrong: the test must hear of it
            with self._lock:
                self.errors.append(f'script failed: {error!r}')
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _serve_one(self, wire, connection):
        if not wire.buffer and not wire.fill():
            return False
        request = wire.read_head()
        if request.method is None:
            raise ProtocolError(f'a response where a request was expected: {request.first_line}')
        request.connection, request.arrived = connection, time.monotonic()
        script, read_body = self._script_for(request.target)
        with self._lock:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        exchange = Exchange(self, wire, request)
        try:
            if read_body:
                if request.get('Expect'):
                    wire.send(b'HTTP/1.1 100 Continue\r\n\r\n')
                wire.read_body(request)
            with self._lock:
                self.requests.append(request)
                self._remember(request)
                exchange.number = len(self.requests)
            script(exchange)
            return exchange.keep_alive and not self.stopping
        finally:
            exchange.end()

    def _script_for(self, target):
        matching = [path for path in self.scripts if target.startswith(path)]
        return self.scripts[max(matching, key=len)] if matching else (echo, True)

    def _remember(self, request):
        if self._history:
            line = {'at': request.arrived, 'method': request.method, 'target': request.target, 'digest': request.digest}
            self._history.write(json.dumps(line) + '\n')
            self._history.flush()
