"""Connections that a load balancer passes on, with a PROXY header before their first request."""
import socket

from harness import EndToEnd
from wire import Client, request_bytes, wait_until

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
REQUEST = request_bytes('GET', '/x', {'X-Forwarded-For': '203.0.113.9'})


def v1(address='192.0.2.1'):
    family, own = ('TCP6', '::1') if ':' in address else ('TCP4', '127.0.0.1')
    return f'PROXY {family} {address} {own} 4711 80\r\n'.encode()


def v2(address='192.0.2.1', command=0x21):
    family, code = (socket.AF_INET6, 0x21) if ':' in address else (socket.AF_INET, 0x11)
    rest = socket.inet_pton(family, address) * 2 + b'\x12\x67\0\x50' + b'\4\0\1x'
    return SIGNATURE + bytes([command, code]) + len(rest).to_bytes(2, 'big') + rest


class ProxyProtocol(EndToEnd):
    def serve_with(self, trusted=None, **listener):
        """One listener for each version."""
        self.serve(listeners=[{'address': '127.0.0.1:0', 'proxy_protocol': version, **listener}
                              for version in ('v1', 'v2')],
                   trusted_proxies=trusted, log={'level': 'debug'})
        self.ports = self.proxy.listening_ports()

    def connect(self, version, data=b''):
        client = Client(self.ports[version - 1])
        self.addCleanup(client.close)
        client.send(data)
        return client

    def ask(self, version, header):
        """A connection with one request, and whom the backend took for its client."""
        client = self.connect(version, header + REQUEST)
        self.assertEqual(200, client.answer().status)
        return client, self.backend.seen()[-1].get('X-Forwarded-For')

    def assert_closed(self, version, header, why):
        before = self.proxy.log().count(why)
        self.assertTrue(self.connect(version, header).ends())
        wait_until(lambda: self.proxy.log().count(why) == before + 1, lambda: f'{why!r} in\n{self.proxy.log()}')

    def test_the_header_says_who_the_client_is(self):
        self.serve_with()
        for version, make in ((1, v1), (2, v2)):
            for address in ('192.0.2.1', '2001:db8::1'):
                client, told = self.ask(version, make(address))
                # Not what that client says of itself.
                self.assertEqual(address, told)
                self.assertEqual(200, client.request('GET', '/y').status)
                self.assertEqual(address, self.backend.seen()[-1].get('X-Forwarded-For'))
            # A client that is a trusted proxy itself.
            self.assertEqual('203.0.113.9, 127.0.0.7', self.ask(version, make('127.0.0.7'))[1])
        self.proxy.stop()
        logged = {line.get('client') for line in self.proxy.access_log() if line['event'] == 'exchange'}
        self.assertEqual({'192.0.2.1', '2001:db8::1', '203.0.113.9'}, logged)

    def test_the_balancer_may_speak_for_itself(self):
        self.serve_with()
        self.assertEqual('203.0.113.9, 127.0.0.1', self.ask(1, b'PROXY UNKNOWN\r\n')[1])
        self.assertEqual('203.0.113.9, 127.0.0.1', self.ask(2, v2(command=0x20))[1])

    def test_the_header_may_come_in_pieces(self):
        self.serve_with()
        for version, header in ((1, v1()), (2, v2())):
            client = self.connect(version)
            for byte in header + REQUEST:
                client.send(bytes([byte]))
            self.assertEqual(200, client.answer().status)

    def test_a_connection_without_a_valid_header_is_closed(self):
        why = 'it does not begin with a valid PROXY header'
        self.serve_with()
        for header in (REQUEST, v2(), v1().replace(b'4711', b'65536'), b'PROXY UNKNOWN ' + b'x' * 100):
            self.assert_closed(1, header, why)
        for header in (REQUEST, v1(), v2(command=0x22), SIGNATURE + b'\x21\x11\xff\xff'):
            self.assert_closed(2, header, why)
        self.assertEqual(0, self.backend.count())
        self.ask(2, v2())

    def test_a_header_has_to_come_in_time(self):
        self.serve_with(timeouts={'header': '200ms'})
        self.assert_closed(1, b'', 'its PROXY header took too long')
        self.assert_closed(2, v2()[:20], 'its PROXY header took too long')

    def test_only_trusted_proxies_may_connect(self):
        self.serve_with(trusted=['10.0.0.0/8'])
        self.assert_closed(1, v1(), 'it is none of trusted_proxies')
        self.assertEqual(0, self.backend.count())

    def test_connections_are_counted_for_the_clients_behind_it(self):
        self.serve_with(limits={'connections_per_client': 2})
        clients = [self.ask(1, v1())[0] for _ in range(2)]
        beyond = self.connect(1, v1())
        self.assertEqual(503, beyond.answer().status)
        self.assertTrue(beyond.ends())
        for last in range(2, 6):
            self.ask(1, v1(f'192.0.2.{last}'))
        clients[0].close()
        wait_until(lambda: self.connect(1, v1() + REQUEST).answer().status == 200, 'a place for another connection')

    def test_a_connection_within_its_header_does_not_hold_up_the_end(self):
        self.serve_with()
        client = self.connect(1, v1()[:10])
        self.ask(1, v1())
        self.assertEqual(0, self.proxy.stop(within=10))
        self.assertTrue(client.ends())
