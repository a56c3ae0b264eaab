"""The command line and the configuration: what is good, and how every mistake is reported."""
import os
import re
import shutil
import tempfile
import unittest

import harness  # noqa: F401
from program import Raincheck, run
from wire import wait_until

MINIMAL = """\
upstreams:
  legacy: http://127.0.0.1:8081
routes:
  - match: POST /reports/*
    upstream: legacy
default_upstream: legacy
"""

TEN_MISTAKES = """\
version: 2
listeners:
  - address: 127.0.0.1:99999
    timeouts: { header: 10 }
upstreams:
  legacy:
    servers: [ftp://127.0.0.1:8081]
    max_concurency: 8
routes:
  - match: POST /reports/*
    upsteam: legacy
  - match: /other/*
    upstream: lagacy
    async: { mode: sometimes, wait: soon }
store:
  inline_max: 16 parsecs
default_upstream: nowhere
"""

# Each: the line, the column at which the key or its value begins, the path of the key, what else must be said.
MISTAKES = [
    (1, (1, 10), 'version', ''),
    (3, (5, 14), 'listeners[0].address', ''),
    (4, (17, 25), 'listeners[0].timeouts.header', '10s'),
    (7, (5, 14, 15), 'upstreams.legacy.servers[0]', 'http'),
    (8, (5,), 'upstreams.legacy', "did you mean 'max_concurrency'"),
    (11, (5,), 'routes[0]', "did you mean 'upstream'"),
    (13, (5, 15), 'routes[1].upstream', "did you mean 'legacy'"),
    (14, (14, 20), 'routes[1].async.mode', 'always'),
    (14, (31, 37), 'routes[1].async.wait', ''),
    (16, (3, 15), 'store.inline_max', ''),
    (17, (1, 19), 'default_upstream', ''),
]


class WithFiles(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='raincheck-')
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, text, name='raincheck.yaml'):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path


class CommandLine(WithFiles):
    def check(self, text):
        done = run('check', self.write(text), cwd=self.folder)
        return done.returncode, done.stdout + done.stderr

    def assert_refused(self, text, *words):
        code, output = self.check(text)
        self.assertEqual(78, code, output)
        self.assertRegex(output, r'raincheck\.yaml:\d+:\d+: ', text)
        for word in words:
            self.assertIn(word, output)
        return output

    def test_the_smallest_configuration_is_good(self):
        code, output = self.check(MINIMAL)
        self.assertEqual(0, code, output)

    def test_every_one_of_many_mistakes_is_reported_where_it_is(self):
        output = self.assert_refused(TEN_MISTAKES)
        lines = output.splitlines()
        for line, columns, key, words in MISTAKES:
            place = [f'raincheck.yaml:{line}:{column}: ' for column in columns]
            found = [text for text in lines if any(p in text for p in place) and key in text and words in text]
            with self.subTest(key=key):
                self.assertTrue(found, f'nothing at {place} names {key!r} and {words!r} in:\n{output}')

    def test_mistakes_of_yaml_itself_are_reported(self):
        for name, text in {
                'a duplicate key': MINIMAL + 'default_upstream: legacy\n',
                'an unclosed quote': MINIMAL + 'log: { level: "info }\n',
                'a second document': MINIMAL + '---\n' + MINIMAL,
                'a merge key': MINIMAL + 'store: { <<: {} }\n',
                'a tab': 'upstreams:\n\tlegacy: x\n',
                'an alias cycle': 'upstreams: &a [*a]\n' + MINIMAL[MINIMAL.index('routes'):],
                'a list for a map': 'upstreams: []\n' + MINIMAL[MINIMAL.index('routes'):],
                'an open bracket': MINIMAL + 'log: {\n',
                'a control character': MINIMAL + 'log: { level: "\x01" }\n',
                'bytes that are no UTF-8': MINIMAL.encode() + b'log: { level: "\xff\xfe" }\n',
        }.items():
            with self.subTest(name):
                self.assert_refused(text)

    def test_an_include_that_cannot_be_listed_is_not_an_empty_one(self):
        included = MINIMAL + "include: ['routes.d/*.yaml']\n"
        output = self.assert_refused(included, "routes.d/*.yaml' cannot be listed: ", 'No such file or directory')
        self.assertIn('include[0]', output)
        os.mkdir(os.path.join(self.folder, 'routes.d'))
        self.assertEqual(0, self.check(included)[0])

    def test_why_a_file_cannot_be_read_is_said(self):
        for path, why in (('/nowhere/ca.pem', 'No such file or directory'), (self.folder, 'Is a directory')):
            self.assert_refused('upstreams: { a: { servers: [https://a], tls: { ca_file: "%s" } } }\n' % path,
                                f"cannot read '{path}': {why}")

    def test_an_empty_file_is_refused(self):
        for text in ('', '# nothing\n', '---\n'):
            code, output = self.check(text)
            self.assertEqual(78, code, output)
            self.assertIn('raincheck.yaml', output)

    def test_numbers_need_their_units_and_limits(self):
        for text in ('jobs: { max_pending: -1 }', 'jobs: { max_pending: many }', 'jobs: { max_pending: 0x10 }',
                     'store: { max_bytes: 10 }', 'store: { partitions: 0 }', 'store: { partitions: 256 }',
                     'shutdown: { grace_period: 60 }', 'shutdown: { grace_period: -1s }',
                     'jobs: { retention: { result: 99999999999999999999h } }'):
            with self.subTest(text):
                self.assert_refused(MINIMAL + text + '\n', text.split(':')[0])

    def test_ambiguous_routes_are_refused_naming_both(self):
        text = MINIMAL + '#\n'
        text = text.replace('default_upstream', '  - match: POST /reports/*\n    upstream: legacy\ndefault_upstream')
        output = self.assert_refused(text, 'routes[1]')
        self.assertRegex(output, r'raincheck\.yaml:6:\d+')
        self.assertRegex(output, r':4\b|routes\[0\]')

    def test_bad_paths_are_refused(self):
        for path in ('reports', '/a/*/b', '/a/{x', '/a/{}', '/a/{x}/{x}', '/a b', '/a?b=c', '/a#b', 'POST', 'po@st /x'):
            with self.subTest(path):
                self.assert_refused(MINIMAL.replace('POST /reports/*', f'"{path}"'), 'routes[0].match')

    def test_check_and_serve_agree_and_serve_exits_78(self):
        path = self.write(TEN_MISTAKES)
        checked = run('check', path, cwd=self.folder)
        served = run('serve', '--config', path, cwd=self.folder)
        self.assertEqual(78, served.returncode)
        for line in re.findall(r'raincheck\.yaml:\d+:\d+: ', checked.stdout + checked.stderr):
            self.assertIn(line, served.stdout + served.stderr)

    def test_a_missing_file_is_66(self):
        for arguments in (('check', 'absent.yaml'), ('serve', '--config', 'absent.yaml')):
            done = run(*arguments, cwd=self.folder)
            self.assertEqual(66, done.returncode, done.stderr)
            self.assertIn('absent.yaml', done.stderr)

    def test_what_cannot_be_read_is_66_in_words(self):
        for arguments in (('check', self.folder), ('serve', self.folder), ('routes', self.folder)):
            done = run(*arguments)
            self.assertEqual((66, f'raincheck: cannot read {self.folder}: Is a directory\n'),
                             (done.returncode, done.stderr))

    def test_a_mistyped_word_is_named(self):
        for arguments, words in ((('servee',), "there is no command 'servee'; did you mean 'serve'?"),
                                 (('--bogus',), "there is no option '--bogus'"),
                                 (('store', 'verfiy', 'x'), "there is no command 'verfiy'; did you mean 'verify'?"),
                                 ((), 'A subcommand is required'), (('check', '--bogus'), '--bogus'),
                                 (('jobs', '--limit', 'x'), '--limit'), (('explain', 'x'), 'method is required')):
            with self.subTest(arguments):
                done = run(*arguments)
                self.assertEqual(64, done.returncode, done.stderr)
                self.assertRegex(done.stderr, rf'\Araincheck: .*{re.escape(words)}.*\nRun with --help')

    def test_one_is_one(self):
        done = run('check', self.write(MINIMAL))
        self.assertEqual(f'{self.folder}/raincheck.yaml: ok, 1 route, 1 upstream\n', done.stdout)

    def test_wrong_usage_is_64(self):
        for arguments in ((), ('frobnicate',), ('serve', '--frobnicate'), ('check', 'a', 'b'),
                          ('check', '--frobnicate'), ('version', 'extra')):
            with self.subTest(arguments):
                done = run(*arguments, cwd=self.folder)
                self.assertEqual(64, done.returncode, done.stdout + done.stderr)
                self.assertTrue(done.stderr)

    def test_version_says_what_it_is(self):
        for arguments in (('version',), ('--version',)):
            done = run(*arguments)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertRegex(done.stdout, r'\Araincheck \d+\.\d+')

    def test_help_names_every_command(self):
        for arguments in (('--help',), ('-h',)):
            done = run(*arguments)
            self.assertEqual(0, done.returncode, done.stderr)
            for word in ('serve', 'check', 'version'):
                self.assertIn(word, done.stdout)
        self.assertIn('--config', run('serve', '--help').stdout)
        self.assertEqual(0, run('check', '--help').returncode)

    def test_an_address_in_use_is_told_and_no_crash(self):
        config = MINIMAL + 'listeners: [{address: "127.0.0.1:0"}]\nstore: { directory: %s }\n'
        first = Raincheck(self.folder, config % os.path.join(self.folder, 'one')).start()
        self.addCleanup(first.close)
        taken = config.replace(':0"', f':{first.port}"') % os.path.join(self.folder, 'two')
        done = run('serve', '--config', self.write(taken, 'second.yaml'), cwd=self.folder)
        self.assertGreater(done.returncode, 0)
        self.assertIn(str(first.port), done.stderr)

    def test_two_programs_never_share_a_store(self):
        config = MINIMAL + 'listeners: [{address: "127.0.0.1:0"}]\nstore: { directory: %s }\n' % self.folder
        first = Raincheck(self.folder, config).start()
        self.addCleanup(first.close)
        done = run('serve', '--config', first.config_path, cwd=self.folder)
        self.assertGreater(done.returncode, 0)
        self.assertIn(self.folder, done.stderr)
        self.assertTrue(first.running)

    def test_a_store_that_cannot_be_made_is_told(self):
        self.write('in the way', 'file')
        text = MINIMAL + 'store: { directory: %s/file/store }\n' % self.folder
        done = run('serve', '--config', self.write(text), cwd=self.folder)
        self.assertGreater(done.returncode, 0)
        self.assertIn('file/store', done.stderr)

    def test_a_damaged_store_is_never_replaced_by_an_empty_one(self):
        config = MINIMAL + 'listeners: [{address: "127.0.0.1:0"}]\nstore: { directory: %s/store }\n' % self.folder
        proxy = Raincheck(self.folder, config).start()
        self.addCleanup(proxy.close)
        proxy.stop()
        databases = [path for path in harness.files_under(os.path.join(self.folder, 'store'))
                     if open(path, 'rb').read(6) == b'SQLite']
        self.assertTrue(databases)
        for path in databases:
            with open(path, 'r+b') as file:
                file.write(b'\xa5' * 4096)
        proxy.spawn()
        wait_until(lambda: not proxy.running, 'the end of raincheck')
        self.assertGreater(proxy.process.returncode, 0)
        for path in databases:
            self.assertEqual(b'\xa5' * 4096, open(path, 'rb').read(4096))


def commands_of(*path):
    """Every command, and those below it, that the help names."""
    listed = run(*path, '--help').stdout.partition('Subcommands:\n')[2]
    names = [(*path, name) for name in re.findall('^  ([a-z]+)', listed, re.M)]
    return [command for name in names for command in (commands_of(*name) or [name])]


# Of each command that reads a configuration: what else it is given.
WITH_CONFIG = {
    ('serve',): (), ('check',): (), ('jobs',): (), ('job',): ('id',), ('cancel',): ('id',), ('redrive',): ('id',),
    ('purge',): ('id',), ('stats',): (), ('pause',): ('legacy',), ('resume',): ('legacy',), ('reload',): (),
    ('drain',): (), ('healthcheck',): (), ('store', 'backup'): ('copy',), ('store', 'restore'): ('copy',),
}


class WhichFile(WithFiles):
    """Which configuration a command takes, and what it does without one."""

    def configure(self, name):
        """A configuration, and everything that commands may say of it, by this name. Its store can be of nobody."""
        self.write('in the way', 'file')
        at = os.path.join(self.folder, name)
        return self.write(MINIMAL + f'store: {{ directory: {self.folder}/file/{name} }}\n'
                          f'admin: {{ socket: {at}.sock }}\nmonitoring: {{ address: "unix:{at}.sock" }}\n',
                          name + '.yaml')

    def test_the_table_is_complete(self):
        reading = {command for command in commands_of() if '--config' in run(*command, '--help').stdout}
        self.assertEqual(reading, set(WITH_CONFIG))

    def test_the_command_line_goes_before_the_environment(self):
        named, other = self.configure('named'), self.configure('other')
        for command, arguments in WITH_CONFIG.items():
            with self.subTest(command):
                options = {'cwd': self.folder, 'env': {**os.environ, 'RAINCHECK_CONFIG': other}}
                if command == ('store', 'restore'):  # looks at the backup before the store
                    options['env']['RAINCHECK_CONFIG'] = named
                    done = run(*command, '--config', self.write('version: 2', 'named.wrong'), *arguments, **options)
                    self.assertIn('named.wrong:', done.stderr)
                    continue
                done = run(*command, '--config', named, *arguments, **options)
                self.assertRegex(done.stdout + done.stderr, rf'{self.folder}/(file/)?named')
                self.assertNotIn('/other', done.stdout + done.stderr)
                done = run(*command, *arguments, **options)
                self.assertRegex(done.stdout + done.stderr, rf'{self.folder}/(file/)?other')
        for command in (('routes',), ('explain', 'GET', '/')):
            done = run(command[0], named, *command[1:], env={**os.environ, 'RAINCHECK_CONFIG': 'other.yaml'})
            self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_without_the_file_that_was_named_nobody_is_asked(self):
        text = MINIMAL.replace('\n', '\n#\n')
        absent = os.path.join(self.folder, 'absent.yaml')
        broken = self.write(text + 'admin: { socket: [\n', 'broken.yaml')
        twice = self.write(text + 'admin: {}\nadmin: {}\nmonitoring: {}\nmonitoring: {}\n', 'twice.yaml')
        typo = self.write(text + 'admn: { socket: /a }\nmonitring: { address: 127.0.0.1:1 }\n', 'typo.yaml')
        wrong = self.write(text + 'admin: { sockt: /a }\nmonitoring: { address: nowhere }\n', 'wrong.yaml')
        off = self.write(text + 'admin: off\nmonitoring: off\n', 'off.yaml')
        for command, arguments in WITH_CONFIG.items():
            if command[0] in ('serve', 'check', 'store'):
                continue
            section, option = ('monitoring', 'address') if command[0] == 'healthcheck' else ('admin', 'socket')
            for path, status, words in ((absent, 66, f'cannot read {absent}: No such file or directory'),
                                        (self.folder, 66, f'cannot read {self.folder}: Is a directory'),
                                        (broken, 78, 'not YAML'), (twice, 78, 'is here twice'),
                                        (typo, 78, f"did you mean '{section}'"), (wrong, 78, f'error: {section}'),
                                        (off, 69, f"{off} has '{section}: off'")):
                with self.subTest(command, path=path):
                    for options in ({'env': {**os.environ, 'RAINCHECK_CONFIG': path}}, None):
                        named = () if options else ('-c', path)
                        done = run(*command, *named, *arguments, **(options or {}))
                        self.assertEqual(status, done.returncode, done.stderr)
                        self.assertIn(words, done.stderr)
                        self.assertEqual(status == 78, f'--{option} can be given instead' in done.stderr, done.stderr)

    def test_mistakes_elsewhere_do_not_hinder_who_asks(self):
        proxy = Raincheck(self.folder, MINIMAL + 'listeners: [{address: "127.0.0.1:0"}]\nstore: { directory: %s/store }\n'
                          'admin: { socket: %s/a.sock }\nmonitoring: { address: "unix:%s/m.sock" }\n'
                          % ((self.folder,) * 3)).start()
        self.addCleanup(proxy.close)
        with open(proxy.config_path, encoding='utf-8') as file:
            good = file.read()
        for mistake in ('stoer: {}\n', 'version: 2\n', 'version: 1\nversion: 1\n', 'include: absent.yaml\n'):
            proxy.configure(good + mistake)
            with self.subTest(mistake):
                for command in ('stats', 'healthcheck'):
                    done = run(command, '-c', proxy.config_path)
                    self.assertEqual((0, ''), (done.returncode, done.stderr))
                done = run('reload', '-c', proxy.config_path)
                self.assertEqual(78, done.returncode)
                self.assertIn('the one before it goes on serving', done.stderr)
