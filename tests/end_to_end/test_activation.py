"""Sockets that systemd opened: found by name, shared by the shards, and kept for the next process."""
import os
import re
import signal
import socket
import threading

from backend import Gate, echo
from harness import EndToEnd, route
from program import Raincheck, run
from wire import Client, Truncated, Wire, request_bytes, wait_until

LISTENERS = [{'address': 'systemd:http'}]


class Activation(EndToEnd):
    def listening(self, address=('127.0.0.1', 0), family=socket.AF_INET):
        held = socket.socket(family, socket.SOCK_STREAM)
        self.addCleanup(held.close)
        held.bind(address)
        held.listen(4096)
        return held

    def prepare(self, sockets, listeners=None, **sections):
        """A program that was not started yet, and will be passed these."""
        config = self.config([route('/reports/*')], listeners=listeners or LISTENERS, **sections)
        self.proxy = Raincheck(self.folder, config)
        self.addCleanup(self.proxy.close)
        self.proxy.sockets = sockets
        return self.proxy

    def test_it_serves_on_all_sockets_of_the_name_and_keeps_them_to_itself(self):
        path = os.path.join(self.folder, 'http.sock')
        sockets = [('http', self.listening()), ('http', self.listening(('::1', 0), socket.AF_INET6)),
                   ('http', self.listening(path, socket.AF_UNIX))]
        self.prepare(sockets).start()
        for _, held in sockets:
            with ClientOf(held) as client:
                self.assertEqual(200, client.request('GET', '/x').status)
        self.assertIn(f'listening on unix:{path} (systemd:http)', self.proxy.log())
        with open(f'/proc/{self.proxy.process.pid}/fdinfo/3', encoding='ascii') as file:
            flags = int(re.search(r'^flags:\s+(\d+)', file.read(), re.M)[1], 8)
        self.assertTrue(flags & os.O_CLOEXEC)

    def test_an_ipv4_client_of_a_socket_for_both_families_is_called_what_it_is(self):
        proxy = self.prepare([('http', self.listening(('::', 0), socket.AF_INET6))]).start()
        self.assertEqual(200, self.request('GET', '/x').status)
        exchanges = wait_until(lambda: [line for line in proxy.access_log() if line['event'] == 'exchange'], 'a line')
        self.assertEqual('127.0.0.1', exchanges[0]['client'])
        self.assertEqual('127.0.0.1', self.backend.requests[0].get('X-Forwarded-For'))

    def test_each_listener_takes_its_own_and_a_socket_nobody_wants_is_warned_of(self):
        sockets = [('spare', self.listening()), ('http', self.listening()), ('web', self.listening())]
        self.prepare(sockets, [{'address': 'systemd:web'}, {'address': 'systemd:http'}]).start()
        self.assertEqual([held.getsockname()[1] for held in (sockets[2][1], sockets[1][1])],
                         self.proxy.listening_ports())
        self.assertIn("systemd passed a socket 'spare', and no listener has 'address: systemd:spare'", self.proxy.log())

    def test_a_name_that_is_missing_is_told(self):
        self.refused([('web', self.listening()), ('admin', self.listening()), ('web', self.listening())],
                     "systemd:http: systemd passed no socket of this name, but 'web', 'admin'")

    def test_that_there_are_no_sockets_at_all_is_told(self):
        self.refused([], 'systemd:http: systemd passed no socket of this name, nor any other')

    def test_a_socket_of_another_kind_is_told(self):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(datagrams.close)
        self.refused([('http', datagrams)], 'systemd:http: what systemd passed is no listening stream socket')

    def refused(self, sockets, words):
        proxy = self.prepare(sockets)
        self.assertEqual(69, proxy.spawn().wait())
        self.assertIn(words, proxy.log())

    def test_sockets_of_another_process_are_not_taken(self):
        config = self.write_config(self.config([route('/reports/*')], listeners=LISTENERS))
        environment = {**os.environ, 'LISTEN_PID': '1', 'LISTEN_FDS': '1', 'LISTEN_FDNAMES': 'http'}
        done = run('serve', '--config', config, cwd=self.folder, env=environment)
        self.assertEqual(69, done.returncode)
        self.assertIn('systemd passed no socket of this name, nor any other', done.stderr)

    def write_config(self, config):
        return Raincheck(self.folder, config).config_path

    def test_who_connects_between_two_processes_is_served_by_the_next(self):
        held = self.listening()
        proxy = self.prepare([('http', held)]).start()
        self.assertEqual(0, proxy.stop())
        with Client(held.getsockname()[1]) as client:
            client.send(request_bytes('POST', '/reports/1', body=b'x'))
            proxy.start()
            self.assertEqual(202, client.answer().status)

    def test_what_was_connected_when_the_drain_began_is_answered(self):
        proxy = self.prepare([('http', self.listening())]).start()
        gate = self.backend.on('/plain', Gate())
        with Client(proxy.port) as held, Client(proxy.port) as fresh, Client(proxy.port) as kept:
            self.assertEqual(200, kept.request('GET', '/x').status)
            held.send(request_bytes('GET', '/plain'))
            self.wait_for_calls(gate)
            proxy.signal(signal.SIGTERM)
            wait_until(lambda: proxy.notified('STATUS=draining, 1 calls in flight'), 'the drain')
            for client in (fresh, kept):
                client.send(request_bytes('POST', '/reports/1', body=b'x'))
                answered = client.answer()
                self.assertEqual((202, 'close'), (answered.status, answered.get('Connection', '').lower()))
            gate.open()
            self.assertEqual(200, held.answer().status)
        self.assertEqual(0, proxy.wait())
        self.assertEqual(0, self.backend.count('/reports/1'))
        proxy.start()
        wait_until(lambda: self.backend.count('/reports/1') == 2, 'both jobs')

    def test_no_request_is_lost_or_refused_over_restarts(self):
        proxy = self.prepare([('http', self.listening())]).start()
        self.backend.on('/reports', echo)
        over, troubles, accepted = threading.Event(), [], []
        clients = [threading.Thread(target=submit_until, args=(proxy.port, over, accepted, troubles, i % 2 == 0))
                   for i in range(4)]
        for client in clients:
            client.start()
        for _ in range(3):
            before = len(accepted)
            wait_until(lambda before=before: len(accepted) > before + 20, 'jobs')
            self.assertEqual(0, proxy.stop())
            proxy.start()
        over.set()
        for client in clients:
            client.join()
        self.assertEqual([], troubles)
        self.assertGreater(len(accepted), 60)


class ClientOf(Client):
    """Of a socket of any family."""

    def __init__(self, held):  # pylint: disable=super-init-not-called
        sock = socket.socket(held.family, socket.SOCK_STREAM)
        sock.settimeout(20)
        sock.connect(held.getsockname())
        Wire.__init__(self, sock, 20)


def submit_until(port, over, accepted, troubles, keeps):
    """Submits jobs, one after the other, each on a connection of its own or, if `keeps`, on one as long as it lasts."""
    client = None
    while not over.is_set():
        client = client or Client(port)
        try:
            answered = client.request('POST', '/reports/1', body=b'x')
            if answered.status != 202:
                troubles.append(repr(answered))
            accepted.append(answered)
        except (OSError, Truncated) as error:
            troubles.append(repr(error))
            answered = None
        if not keeps or answered is None or answered.get('Connection', '').lower() == 'close':
            client.close()
            client = None
    if client:
        client.close()
