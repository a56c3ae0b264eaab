"""NTLM and Negotiate authenticate a connection: it is its client's alone, and no job can use it."""
import os

from backend import Backend, Gate
from harness import EndToEnd, route
from wire import wait_until


class Ntlm:
    """A backend that knows a connection by what was said on it, as NTLM has it."""

    def __init__(self, scheme='NTLM'):
        self.scheme, self.users = scheme, {}

    def __call__(self, exchange):
        said = exchange.request.get('Authorization', '')
        connection = exchange.request.connection
        if said.startswith(f'{self.scheme} prove-'):
            self.users[connection] = said.partition('prove-')[2]
        if connection in self.users:
            exchange.reply(200, self.users[connection].encode(), {'X-User': self.users[connection]})
        else:
            challenge = f'{self.scheme} challenge' if said else self.scheme
            exchange.reply(401, b'who?', [('WWW-Authenticate', challenge)])


class ConnectionAuth(EndToEnd):
    def get(self, client, authorization=None, target='/x', method='GET'):
        answered = client.request(method, target, {'Authorization': authorization} if authorization else {})
        return answered.status, answered.text

    def log_in(self, client, user, scheme='NTLM'):
        self.assertEqual((401, 'who?'), self.get(client))
        self.assertEqual((401, 'who?'), self.get(client, f'{scheme} hello'))
        self.assertEqual((200, user), self.get(client, f'{scheme} prove-{user}'))

    def check_nobody_is_known(self):
        """Whichever shard takes the client, and whichever connection that has."""
        self.assertEqual({401}, {self.request('GET', '/x').status for _ in range(12)})

    def connections_of(self, target='/x'):
        return [request.connection for request in self.backend.seen(target)]

    def test_a_connection_is_its_clients_alone_for_as_long_as_that_is_there(self):
        self.serve()
        for scheme in ('NTLM', 'Negotiate'):
            with self.subTest(scheme):
                self.backend.requests.clear()
                self.backend.on('/x', Ntlm(scheme))
                with self.client() as alice, self.client() as bob:
                    self.log_in(alice, 'alice', scheme)
                    self.assertEqual((200, 'alice'), self.get(alice))
                    self.assertEqual(1, len(set(self.connections_of())), 'the handshake stayed on one connection')
                    for _ in range(3):
                        self.assertEqual(401, self.get(bob)[0])
                    self.log_in(bob, 'bob', scheme)
                    self.assertEqual(((200, 'alice'), (200, 'bob')), (self.get(alice), self.get(bob)))
                wait_until(lambda: self.backend.idle_connections() == 0, 'the backend connections closed with the clients')
                self.check_nobody_is_known()

    def test_a_client_that_speaks_first_is_not_on_a_shared_connection_afterwards(self):
        self.serve()
        self.backend.on('/x', Ntlm())
        self.request('GET', '/warm-up')  # a connection in the pool
        with self.client() as alice:
            self.assertEqual((200, 'alice'), self.get(alice, 'NTLM prove-alice'))
            self.assertEqual((200, 'alice'), self.get(alice))
            self.check_nobody_is_known()

    def test_other_credentials_share_connections_as_ever(self):
        self.serve()
        with self.client() as client:
            for _ in range(3):
                self.assertEqual(200, self.get(client, 'Basic bnRsbTpOVExN')[0])
        wait_until(lambda: self.backend.idle_connections() == 1, 'one connection, which stays')
        self.assertEqual(1, len(set(self.connections_of())))

    def test_a_connection_that_the_backend_closed_is_replaced(self):
        self.serve()
        self.backend.on('/x', Ntlm())
        with self.client() as alice:
            self.log_in(alice, 'alice')
            self.backend.break_connections()
            wait_until(lambda: self.backend.idle_connections() == 0, 'closed connections')
            self.log_in(alice, 'alice')

    def test_idle_it_takes_nobodys_place(self):
        self.serve(upstream={'servers': [{'url': self.backend.url, 'max_concurrency': 1}]})
        self.backend.on('/x', Ntlm())
        with self.client() as alice, self.client() as bob:
            self.log_in(alice, 'alice')
            gate = self.backend.on('/other', Gate())
            bob.send(b'GET /other HTTP/1.1\r\nHost: a\r\n\r\n')
            self.wait_for_calls(gate)
            alice.send(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
            for _ in range(20):
                self.assertEqual(404, self.request('GET', '/_jobs/x').status)
            self.assertEqual(3, self.backend.count('/x'), 'the server is at its limit')
            gate.open()
            self.assertEqual(200, bob.answer().status)
            self.assertEqual(b'alice', alice.answer().body)

    def test_idle_it_is_kept_no_longer_than_any_other(self):
        self.serve(upstream={'timeouts': {'idle': '300ms'}})
        self.backend.on('/x', Ntlm())
        with self.client() as alice:
            self.log_in(alice, 'alice')
            wait_until(lambda: self.backend.idle_connections() == 0, 'closed connections')
            self.log_in(alice, 'alice')

    def test_no_more_are_kept_than_the_upstream_may_have_calls(self):
        shards = len(os.sched_getaffinity(0))
        self.serve(upstream={'max_concurrency': 2})
        self.backend.on('/x', Ntlm())
        clients = [self.client() for _ in range(4 * shards)]
        for number, client in enumerate(clients):
            self.assertEqual((200, str(number)), self.get(client, f'NTLM prove-{number}'))
        wait_until(lambda: self.backend.idle_connections() <= 2 * shards, 'the others closed')
        # Who has none any more is asked again, and nobody is somebody else.
        self.assertEqual((200, str(number)), self.get(clients[-1]))
        for number, client in enumerate(clients):
            self.assertIn(self.get(client), ((401, 'who?'), (200, str(number))))

    def test_such_a_call_never_becomes_a_job(self):
        self.serve(routes=[route('/reports/*'), route('/hybrid/*', wait='5s'), route('/prefer/*', mode='prefer')])
        before = self.store_files()
        for target in ('/reports/1', '/hybrid/1', '/prefer/1'):
            for scheme in ('NTLM abc', 'negotiate abc', 'Negotiate'):
                fields = {'Authorization': scheme, 'Prefer': 'respond-async'}
                with self.subTest(f'{target} {scheme}'):
                    self.assert_problem(self.request('POST', target, fields, b'a'), 400, 'connection_auth')
        self.assertEqual((before, 0), (self.store_files(), self.backend.connections))
        self.assertEqual(200, self.request('POST', '/prefer/1', {'Authorization': 'NTLM abc'}, b'a').status)
        self.assertEqual(202, self.request('POST', '/reports/1', {'Authorization': 'Basic abc'}, b'a').status)

    def test_it_does_if_its_route_has_credentials_of_its_own(self):
        self.serve(routes=[route('/reports/*', request_headers={'set': {'Authorization': 'Bearer x'}})])
        job = self.submit(fields={'Authorization': 'NTLM abc'}).wait()
        self.assertEqual(200, job.result().status)
        self.assertEqual('Bearer x', self.backend.seen('/reports')[-1].get('Authorization'))

    def test_a_question_leaves_nobody_known_to_the_service(self):
        service = Backend()
        self.addCleanup(service.stop)
        guard = {'url': service.url, 'copy_headers': ['X-User']}
        self.serve(routes=[route('/jobs/*', authorize=guard), route('/*', mode='never', authorize=guard)])
        for scheme in ('NTLM', 'Negotiate'):
            service.on('/', Ntlm(scheme))
            for method, target, status in (('GET', '/x', 200), ('POST', '/jobs/x', 400)):
                with self.subTest(f'{scheme} {target}'):
                    told = self.request(method, target, {'Authorization': f'{scheme} prove-alice'})
                    self.assertEqual(status, told.status)
                    self.check_nobody_is_known()
        self.assertEqual(['alice'] * 2, [seen.get('X-User') for seen in self.backend.seen()])

    def test_a_question_to_the_backend_itself_leaves_nobody_known_to_it(self):
        self.backend.on('/', Ntlm())
        self.serve(routes=[route('/jobs/*', authorize={'upstream': 'legacy', 'path': '/may'})])
        self.assert_problem(self.request('POST', '/jobs/x', {'Authorization': 'NTLM prove-alice'}), 400, 'connection_auth')
        self.check_nobody_is_known()
