"""Files of unix sockets: who may open them."""
import os
import stat

from harness import EndToEnd
from monitoring import ask

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

    def test_everybody_may_open_a_listener_whatever_the_umask_and_few_the_admin_socket(self):
        self.serve(wrapper=UMASK)
        self.assertEqual([0o666, 0o666, 0o660], [stat.S_IMODE(os.stat(path).st_mode) for path in self.every])
        self.assert_served()
