"""Clients and backends that speak TLS, by Python's ssl: a second opinion about what raincheck speaks."""
import collections
import socket
import ssl

from backend import Backend
from wire import Client, Wire


def client_context(ca_file, certificate=None, versions=None, protocols=None):
    context = ssl.create_default_context(cafile=ca_file)
    if certificate:
        context.load_cert_chain(certificate.cert_file, certificate.key_file)
    if versions:
        context.minimum_version = context.maximum_version = versions
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class SecureClient(Client):
    """A connection to raincheck. An end without close_notify raises ssl.SSLEOFError."""

    def __init__(self, port, context, name='api.example.com', session=None, before=b'', timeout=20):  # pylint: disable=super-init-not-called
        plain = socket.create_connection(('127.0.0.1', port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            plain.sendall(before)
            secured = context.wrap_socket(plain, server_hostname=name, session=session, suppress_ragged_eofs=False)
        except Exception:
            plain.close()
            raise
        Wire.__init__(self, secured, timeout)


Handshake = collections.namedtuple('Handshake', 'is_resumed client')


def say_goodbye(sock):
    """Closes it so that what was sent last, such as an alert, arrives: nothing may be left unread."""
    sock.settimeout(5)
    try:
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass
    except OSError:
        pass
    sock.close()


class SecureBackend(Backend):
    """`handshakes` has what each connection came to: a Handshake with the client's certificate, or the error."""

    def __init__(self, certificate, history=None, client_ca_file=None, versions=None):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca_file)
        self.context.load_cert_chain(certificate.cert_file, certificate.key_file)
        if client_ca_file:
            self.context.verify_mode = ssl.CERT_REQUIRED
        if versions:
            self.context.minimum_version = self.context.maximum_version = versions
        self.names, self.handshakes = [], []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        super().__init__(history)
        self.url = f'https://localhost:{self.port}'

    def _serve(self, sock, connection):
        with self._lock:
            self._open.discard(sock)
        sock.settimeout(20)
        secured = self.context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False,
                                           do_handshake_on_connect=False)
        try:
            secured.do_handshake()
        except OSError as error:
            self.handshakes.append(error)
            say_goodbye(socket.socket(fileno=secured.detach()))
            return
        with self._lock:
            self._open.add(secured)
        self.handshakes.append(Handshake(secured.session_reused, secured.getpeercert()))
        super()._serve(secured, connection)
