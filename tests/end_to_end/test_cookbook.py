"""The recipes of docs/cookbook, each as it stands there, in front of the real software from Debian."""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import unittest
import urllib.parse

from harness import EndToEnd, Job
from program import ROOT, Raincheck, run
from servers import Servers, program

COOKBOOK = os.path.join(ROOT, 'docs', 'cookbook')
ASYNC = {'Prefer': 'respond-async'}
FORM = {'Content-Type': 'application/x-www-form-urlencoded'}
SOAP = {'Content-Type': 'text/xml; charset=utf-8'}


def text_of(*path):
    with open(os.path.join(COOKBOOK, *path), encoding='utf-8') as file:
        return file.read()


class Recipe(EndToEnd):
    def setUp(self):
        super().setUp()
        self.servers = Servers(self)

    def adapted(self, text, **changes):
        """A file of a recipe, with the places of this test in place of those that are written there."""
        for old, new in changes.items():
            self.assertIn(PLACES[old], text)
            text = text.replace(PLACES[old], new)
        return text

    def files(self, recipe, name):
        """The files of a recipe in a folder that servers can read."""
        folder = os.path.join(self.folder, name)
        shutil.copytree(os.path.join(COOKBOOK, recipe), folder)
        return self.servers.give(folder)

    def serve_recipe(self, name, port):
        """Starts raincheck with the recipe's own configuration."""
        text = self.adapted(text_of(name + '.yaml'), listener='127.0.0.1:0', backend=f'127.0.0.1:{port}',
                            store=os.path.join(self.folder, 'store'))
        self.proxy = Raincheck(self.folder, text).start()
        self.addCleanup(self.proxy.close)
        self.addCleanup(self.check_health, self.proxy)

    def job(self, answer):
        self.assertEqual(202, answer.status, answer.body)
        return Job(self.proxy, answer)

    def serve_php(self, recipe, www):
        site = self.adapted(text_of(recipe, 'nginx.conf'), backend='127.0.0.1:{port}', fpm=self.servers.php_fpm(),
                            **{www: self.files(recipe, 'www')})
        self.serve_recipe(recipe, self.servers.nginx(site))


# What stands in the recipes for what is another one on each machine.
PLACES = {'listener': '127.0.0.1:8080', 'backend': '127.0.0.1:8081', 'store': '/var/lib/raincheck',
          'fpm': '/run/php/php8.2-fpm.sock', 'reports': '/srv/reports', 'orders': '/srv/orders', 'git': '/srv/git',
          'www': '/srv/www', 'webdav': '/srv/files', 'lock': '/var/lock/apache2'}


class Pages(unittest.TestCase):
    def test_every_recipe_has_a_page_and_a_configuration_without_mistakes(self):
        recipes = sorted(name[:-5] for name in os.listdir(COOKBOOK) if name.endswith('.yaml'))
        self.assertEqual(recipes, sorted(re.findall(r'^\| \[([a-z-]+)\]\(\1\.md\)', text_of('README.md'), re.M)))
        for name in recipes:
            self.assertIn(f']({name}.yaml)', text_of(name + '.md'))
            checked = run('check', os.path.join(COOKBOOK, name + '.yaml'))
            self.assertEqual(0, checked.returncode, checked.stdout + checked.stderr)


class ApacheCgi(Recipe):
    """The backend of scripts/run."""

    def setUp(self):
        super().setUp()
        folder = self.servers.folder('apache')
        shutil.copytree(os.path.join(ROOT, 'demo'), os.path.join(folder, 'demo'))
        self.servers.give(folder)
        port = self.servers.port()
        command = [program('/usr/sbin/apache2'), '-f', os.path.join(folder, 'demo/apache.conf'), '-DFOREGROUND']
        self.servers.start(folder, command, ('127.0.0.1', port), {'DEMO_DIR': folder, 'DEMO_PORT': str(port)})
        self.serve_recipe('apache-cgi', port)
        self.orders = subprocess.run([os.path.join(ROOT, 'demo/make_orders'), '8'], capture_output=True, check=True)

    def post(self, body, content_type='text/csv'):
        return self.request('POST', '/reports/2026', {'Content-Type': content_type}, body)

    def test_a_report_is_the_one_that_the_script_made(self):
        result = self.job(self.post(self.orders.stdout)).wait().result()
        self.assertEqual((200, 'application/pdf'), (result.status, result.get('Content-Type')))
        self.assertEqual(f'"{hashlib.sha256(result.body).hexdigest()}"', result.get('ETag'))

    def test_an_error_of_the_script_is_kept(self):
        job = self.job(self.post(b'no orders\n'))
        self.assertEqual('upstream_status', job.ended())
        self.assertEqual((422, 'text/plain; charset=utf-8'), (job.result().status, job.result().get('Content-Type')))
        self.assert_problem(self.post(b'{}', 'application/json'), 415, 'invalid_request')

    def test_a_get_is_a_job_for_those_who_ask(self):
        self.assertEqual(b'%PDF', self.request('GET', '/reports/sample?orders=1').body[:4])
        job = self.job(self.request('GET', '/reports/sample?orders=1', ASYNC))
        self.assertEqual(b'%PDF', job.wait().result().body[:4])


class Php(Recipe):
    def setUp(self):
        super().setUp()
        self.serve_php('php', 'reports')

    def log_in(self):
        """Returns the cookie of a session."""
        answer = self.request('POST', '/login.php', FORM, b'user=ada&password=secret')
        self.assertEqual((302, '/'), (answer.status, answer.get('Location')))
        return answer.all('Set-Cookie')[-1].partition(';')[0]

    def post(self, cookie, prefer='', **values):
        fields = {**FORM, 'Prefer': prefer, **({'Cookie': cookie} if cookie else {})}
        return self.request('POST', '/report.php', fields, urllib.parse.urlencode(values).encode())

    def test_a_report_is_a_job_and_who_can_wait_is_answered_in_line(self):
        cookie = self.log_in()
        in_line = self.post(cookie, prefer='wait=10', year=2026, seconds=0)
        self.assertEqual((200, 'text/csv; charset=utf-8'), (in_line.status, in_line.get('Content-Type').lower()))
        self.assertIn(b'2026-12,ada,12000', in_line.body)
        job = self.job(self.post(cookie, year=2026, seconds=0.3))
        self.assertEqual('succeeded', job.ended())
        self.assertEqual(in_line.body, job.result().body)

    def test_a_redirect_to_the_log_in_page_is_no_success(self):
        """Of a session that the backend does not know any more."""
        job = self.job(self.post('PHPSESSID=0123456789abcdefghijklmnop', year=2026))
        self.assertEqual('upstream_rejected', job.ended())
        self.assertEqual((302, '/login.php?back=report.php'), (job.result().status, job.result().get('Location')))

    def test_a_fatal_error_with_status_200_is_no_success(self):
        job = self.job(self.post(self.log_in()))
        self.assertEqual('upstream_rejected', job.ended())
        self.assertEqual(200, job.result().status)
        self.assertIn(b'<b>Fatal error</b>:  Uncaught Error: Call to undefined function', job.result().body)

    def test_what_cannot_work_is_refused_before_the_202(self):
        for cookie in (None, 'PHPSESSID=', 'OTHERPHPSESSID=1'):
            self.assert_problem(self.post(cookie, year=2026), 400, 'invalid_request')

    def test_redirects_of_the_whole_site_lead_back_here(self):
        index = self.request('GET', '/report.php')
        self.assertEqual((302, '/login.php?back=report.php'), (index.status, index.get('Location')))
        self.assertEqual(200, self.request('GET', index.get('Location')).status)

    def test_calls_of_one_session_wait_for_each_other_in_php(self):
        """And each keeps its place meanwhile: what the recipe warns of."""
        cookie = self.log_in()
        jobs = [self.job(self.post(cookie, year=2026, seconds=1.5)) for _ in range(2)]
        self.assertEqual(['succeeded'] * 2, [job.ended() for job in jobs])
        self.proxy.stop()
        attempts = [line for line in self.proxy.access_log() if line['event'] == 'attempt' and line.get('job_id')]
        self.assertGreater(max(line['duration_ms'] for line in attempts), 1900, 'the second waited for the first')


class Soap(Recipe):
    def setUp(self):
        super().setUp()
        self.serve_php('soap', 'orders')

    def call(self, operation, year, prefer='respond-async', fields=None):
        envelope = ('<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                    f'<o:{operation} xmlns:o="urn:orders"><year>{year}</year></o:{operation}></s:Body></s:Envelope>')
        fields = {**SOAP, 'SOAPAction': f'"urn:orders#{operation}"', 'Prefer': prefer, **(fields or {})}
        return self.request('POST', '/soap/orders', fields, envelope.encode())

    def php(self, year, *arguments):
        """The recipe's client, an ordinary PHP program."""
        url = f'http://127.0.0.1:{self.proxy.port}/soap/orders?wsdl'
        return subprocess.run([program('/usr/bin/php[0-9]*'), os.path.join(COOKBOOK, 'soap/client.php'), url,
                               str(year), *arguments], capture_output=True, text=True, timeout=60, check=False)

    def test_the_description_sends_clients_through_the_proxy(self):
        wsdl = self.request('GET', '/soap/orders?wsdl')
        self.assertIn('<soap:address location="http://raincheck.test/soap/orders"/>', wsdl.text)
        self.assertNotIn('orders.internal', wsdl.text)

    def test_a_slow_operation_is_a_job_and_a_quick_one_is_not(self):
        self.assertEqual(200, self.call('count', 2026).status)
        self.assertEqual(200, self.call('yearReport', 2026, prefer='').status)
        result = self.job(self.call('yearReport', 2026)).wait().result()
        self.assertEqual((200, 'text/xml; charset=utf-8'), (result.status, result.get('Content-Type')))
        self.assertIn('2026-12: 12000', result.text)

    def test_a_fault_is_kept_exactly(self):
        plain = self.call('yearReport', 1999, prefer='')
        self.assertEqual(500, plain.status)
        self.assertIn('<faultstring>There are no orders of 1999.</faultstring>', plain.text)
        job = self.job(self.call('yearReport', 1999))
        self.assertEqual('upstream_status', job.ended())
        result = job.result()
        self.assertEqual((plain.status, plain.body, plain.get('Content-Type')),
                         (result.status, result.body, result.get('Content-Type')))
        self.assertEqual(1, json.loads(job.cancel().text)['attempts'], 'a fault is not tried again')

    def test_another_media_type_is_refused(self):
        answer = self.call('yearReport', 2026, fields={'Content-Type': 'application/json'})
        self.assert_problem(answer, 415, 'invalid_request')

    def test_an_ordinary_client_and_one_that_knows_jobs(self):
        for arguments in ((), ('plain',)):
            done = self.php(2026, *arguments)
            self.assertEqual(0, done.returncode, done)
            self.assertIn('count: 26', done.stdout)
            self.assertIn('2026-12: 12000', done.stdout)
            self.assertEqual(not arguments, '/_jobs/' in done.stderr)
            failed = self.php(1999, *arguments)
            self.assertEqual(1, failed.returncode)
            self.assertIn('fault: SOAP-ENV:Client: There are no orders of 1999.', failed.stdout)


class Gitweb(Recipe):
    def setUp(self):
        super().setUp()
        git = self.servers.folder('git')
        self.make_project(os.path.join(git, 'demo.git'))
        self.servers.write(git, 'gitweb.conf', self.adapted(text_of('gitweb', 'gitweb.conf'), git=git))
        site = self.adapted(text_of('gitweb', 'apache.conf'), backend='127.0.0.1:{port}', git=git)
        port = self.servers.apache(site, ('alias', 'cgid', 'dir', 'env'))
        self.serve_recipe('gitweb', port)

    def make_project(self, path):
        """A project of some hundred kilobytes that do not compress to nothing."""
        work = os.path.join(self.folder, 'work')
        os.mkdir(work)
        for name in range(3):
            seed = b''.join(hashlib.sha256(b'%d %d' % (name, i)).hexdigest().encode() for i in range(2000))
            with open(os.path.join(work, f'data-{name}.txt'), 'wb') as file:
                file.write(seed)
        environment = {**os.environ, 'HOME': self.folder, 'GIT_CONFIG_NOSYSTEM': '1'}
        name = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com']
        for command in (['init', '-q', '-b', 'main', '.'], ['add', '.'], [*name, 'commit', '-q', '-m', 'All of it'],
                        ['clone', '-q', '--bare', '.', path]):
            subprocess.run(['git', *command], cwd=work, env=environment, check=True)
        self.servers.give(path)

    def snapshot(self, kind, fields=()):
        return self.request('GET', f'/gitweb/gitweb.cgi/demo.git/snapshot/main.{kind}', fields, timeout=60)

    def names_in(self, data):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return archive.getnames()

    def test_pages_and_snapshots_without_a_wish_go_straight_through(self):
        page = self.request('GET', '/gitweb/gitweb.cgi/demo.git')
        self.assertEqual(200, page.status)
        self.assertIn(b'All of it', page.body)
        self.assertIn(b'/gitweb/gitweb.cgi/demo.git/snapshot/', page.body)
        self.assertEqual('/gitweb/', self.request('GET', '/gitweb').get('Location'))
        plain = self.snapshot('tar.gz')
        self.assertEqual((200, 'application/x-gzip'), (plain.status, plain.get('Content-Type').partition(';')[0]))
        self.assertEqual('chunked', plain.framing)  # no length, and no parts
        self.assertIsNone(plain.get('Accept-Ranges'))

    def test_a_snapshot_is_collected_in_parts(self):
        job = self.job(self.snapshot('tar.xz', ASYNC))
        self.assertEqual('succeeded', job.ended())
        size = int(job.result('HEAD').get('Content-Length'))
        half = size // 2
        parts = [job.result(fields={'Range': f'bytes={part}'}) for part in (f'0-{half - 1}', f'{half}-')]
        self.assertEqual([206, 206], [part.status for part in parts])
        self.assertEqual(f'bytes {half}-{size - 1}/{size}', parts[1].get('Content-Range'))
        self.assertEqual('application/x-xz', parts[0].get('Content-Type').partition(';')[0])
        with tarfile.open(fileobj=io.BytesIO(parts[0].body + parts[1].body)) as archive:
            self.assertEqual(4, len(archive.getnames()))

    def test_what_is_not_there_fails(self):
        job = self.job(self.request('GET', '/gitweb/gitweb.cgi/demo.git/snapshot/none.tar.gz', ASYNC))
        self.assertEqual(('upstream_status', 404), (job.ended(), job.result().status))

    def test_a_window_is_over_when_the_answer_begins(self):
        """Why the recipe has no `wait`: gitweb sends the head of its answer before it has the snapshot."""
        self.assertEqual(200, self.snapshot('tar.xz', {'Prefer': 'respond-async, wait=10'}).status)


class Webdav(Recipe):
    def setUp(self):
        super().setUp()
        self.files_folder, www = self.servers.folder('files'), self.servers.folder('www')
        lock = self.servers.folder('lock')
        site = self.adapted(text_of('webdav', 'apache.conf'), backend='127.0.0.1:{port}', webdav=self.files_folder,
                            www=www, lock=lock)
        self.serve_recipe('webdav', self.servers.apache(site, ('alias', 'dav', 'dav_fs', 'dir', 'headers')))
        self.public = f'http://127.0.0.1:{self.proxy.port}'

    def there(self, *path):
        return os.path.exists(os.path.join(self.files_folder, *path))

    def make(self, *folders):
        for folder in folders:
            self.assertEqual(201, self.request('MKCOL', f'/files/{folder}/').status)

    def as_job(self, method, path, **fields):
        fields = {name: value.replace('/files', self.public + '/files') for name, value in fields.items()}
        return self.job(self.request(method, path, {**ASYNC, **fields})).wait()

    def test_trees_are_copied_moved_and_removed_as_jobs(self):
        made = self.request('MKCOL', '/files/a/')
        self.assertEqual((201, '/files/a/'), (made.status, made.get('Location')))
        for number in range(20):
            self.assertEqual(201, self.request('PUT', f'/files/a/{number}', {}, b'x').status)
        copied = self.as_job('COPY', '/files/a/', Destination='/files/b/').result()
        self.assertEqual((201, '/files/b/'), (copied.status, copied.get('Location')))
        self.assertTrue(self.there('b', '19'))
        moved = self.as_job('MOVE', '/files/b/', Destination='/files/c/').result()
        self.assertEqual((201, '/files/c/'), (moved.status, moved.get('Location')))
        self.assertEqual([False, True], [self.there('b'), self.there('c', '19')])
        removed = self.as_job('DELETE', '/files/c/').result()
        self.assertEqual((204, False), (removed.status, self.there('c')))

    def test_file_managers_go_straight_through(self):
        self.make('a')
        listing = self.request('PROPFIND', '/files/', {'Depth': '1'}, b'')
        self.assertEqual(207, listing.status)
        self.assertIn(b'<D:href>/files/a/</D:href>', listing.body)
        moved = self.request('MOVE', '/files/a/', {'Destination': self.public + '/files/b/'})
        self.assertEqual((201, True), (moved.status, self.there('b')))

    def test_what_the_backend_refuses_is_kept(self):
        self.make('a', 'b')
        taken = self.as_job('COPY', '/files/a/', Destination='/files/b/', Overwrite='F')
        self.assertEqual('upstream_status', taken.ended())
        self.assertEqual('HTTP/1.1 412 Precondition Failed', taken.result().first_line)
        # Without the slash mod_dir answers with a redirect, and nothing was copied.
        moved = self.as_job('COPY', '/files/a', Destination='/files/c/')
        self.assertEqual(('upstream_rejected', 301), (moved.ended(), moved.result().status))
        self.assertEqual('/files/a/', moved.result().get('Location'))
        self.assertFalse(self.there('c'))

    def test_a_destination_of_another_scheme_is_put_right_by_apache(self):
        """As it comes through a TLS terminator: without RequestHeader in the recipe it would be a 502."""
        self.make('a')
        secure = {'Destination': 'https://files.example.com/files/b/'}
        self.assertEqual((201, True), (self.request('COPY', '/files/a/', secure).status, self.there('b')))

    def test_a_depth_that_no_tree_has_is_refused(self):
        self.make('a')
        wrong = {**ASYNC, 'Depth': '1', 'Destination': self.public + '/files/b/'}
        self.assert_problem(self.request('COPY', '/files/a/', wrong), 400, 'invalid_request')
