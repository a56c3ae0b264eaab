"""Files of unix sockets: who may open them, and that they are there as long as somebody listens."""
import os
import signal
import socket
import stat

import program
from harness import EndToEnd
from monitoring import ask
from wire import wait_until

# As the packaged unit has it.
UMASK = ('sh', '-c', 'umask 0077; exec "$@"', 'sh')


class UnixSockets(EndToEnd):
    def setUp(self):
        super().setUp()
        self.http, self.monitoring, self.admin = (os.path.join(self.folder, f'{name}.sock')
                                                  for name in ('http', 'monitoring', 'admin'))
        self.every = [self.http, self.monitoring, self.admin]

    def serve(self, *arguments, **sections):  # pylint: disable=arguments-differ
        return super().serve(*arguments, **{**self.sections(), **sections})

    def sections(self):
        return {'listeners': [{'address': '127.0.0.1:0'}, {'address': f'unix:{self.http}'}],
                'monitoring': {'address': f'unix:{self.monitoring}'}, 'admin': {'socket': self.admin}}

    def assert_served(self):
        self.assertEqual(200, ask(self.http, 'GET', '/x')[0])
        self.assertEqual(200, ask(self.monitoring, 'GET', '/healthz')[0])
        self.assertEqual(200, ask(self.admin, 'GET', '/version')[0])

    def there(self):
        return [path for path in self.every if os.path.lexists(path)]

    def test_everybody_may_open_a_listener_whatever_the_umask_and_few_the_admin_socket(self):
        self.serve(wrapper=UMASK)
        self.assertEqual([0o666, 0o666, 0o660], [stat.S_IMODE(os.stat(path).st_mode) for path in self.every])
        self.assert_served()

    def test_files_go_when_the_process_ends_and_a_new_one_makes_them_again(self):
        self.serve()
        for _ in range(2):
            self.assert_served()
            self.assertEqual(0, self.proxy.stop())
            self.assertEqual([], self.there())
            self.proxy.start()

    def test_what_a_killed_process_leaves_is_replaced(self):
        self.serve()
        for _ in range(2):
            self.proxy.kill()
            self.assertEqual(self.every, self.there())
            self.proxy.start()
            self.assert_served()

    def test_a_file_goes_when_the_drain_begins_and_the_clients_that_are_there_are_served(self):
        self.serve()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(self.http)
            self.proxy.signal(signal.SIGTERM)
            wait_until(lambda: not os.path.lexists(self.http), 'no file')
            client.sendall(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
            self.assertTrue(client.recv(1 << 16).startswith(b'HTTP/1.1 200'))
        self.assertEqual(0, self.proxy.wait())

    def test_a_reload_takes_the_file_of_a_listener_that_is_gone_and_can_bring_it_back(self):
        self.serve()
        without = {**self.sections(), 'listeners': [{'address': '127.0.0.1:0'}]}
        for _ in range(2):
            self.assertTrue(self.proxy.reload(self.config(**without)), self.proxy.log())
            wait_until(lambda: not os.path.lexists(self.http), 'no file')
            self.assertTrue(self.proxy.reload(self.config(**self.sections())), self.proxy.log())
            self.assert_served()

    def test_a_reload_that_is_refused_or_rehearsed_leaves_no_file(self):
        self.serve()
        other = os.path.join(self.folder, 'other.sock')
        listeners = [*self.sections()['listeners'], {'address': f'unix:{other}'}]
        self.proxy.configure(self.config(**{**self.sections(), 'listeners': listeners}))
        self.assertEqual(200, ask(self.admin, 'POST', '/reload?dry_run')[0])
        self.assertFalse(os.path.lexists(other))
        taken = {'address': f'unix:{self.monitoring}'}
        self.assertFalse(self.proxy.reload(self.config(**{**self.sections(), 'listeners': [*listeners, taken]})))
        self.assertFalse(os.path.lexists(other))
        self.assert_served()

    def test_the_socket_of_another_process_stays(self):
        self.serve()
        for path in self.every:
            os.unlink(path)
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
        self.assertEqual(0, self.proxy.stop())
        self.assertEqual(self.every, self.there())

    def test_a_socket_that_systemd_has_passed_stays(self):
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(self.http)
            held.listen(16)
            self.proxy = program.Raincheck(self.folder, self.config(listeners=[{'address': 'systemd:http'}]))
            self.addCleanup(self.proxy.close)
            self.proxy.sockets = [('http', held)]
            self.proxy.spawn()
            wait_until(lambda: self.proxy.notified('READY=1'), self.proxy.log)
            self.assertEqual(200, ask(self.http, 'GET', '/x')[0])
            self.assertEqual(0, self.proxy.stop())
            self.assertEqual([self.http], self.there())

    def test_a_start_that_fails_leaves_no_file(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen(1)
            listeners = [*self.sections()['listeners'], {'address': f'127.0.0.1:{taken.getsockname()[1]}'}]
            self.proxy = program.Raincheck(self.folder, self.config(**{**self.sections(), 'listeners': listeners}))
            self.addCleanup(self.proxy.close)
            self.proxy.spawn()
            self.assertNotEqual(0, self.proxy.wait())
            self.assertEqual([], self.there())
