"""What every end-to-end test stands on: a folder, a backend, the program, and the words to talk about jobs."""
import functools
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from backend import Backend  # noqa: E402
from program import ROOT, Raincheck  # noqa: E402
from wire import Client, request, wait_until  # noqa: E402

ID = re.compile(r'[A-Za-z0-9_-]{32}\Z')
NOT_FINAL = ('queued', 'running')


class Job:
    """A job as its client knows it: what the 202 said."""

    def __init__(self, proxy, accepted):
        self.proxy, self.accepted = proxy, accepted
        self.url = accepted.get('Location')
        self.id = self.url.rsplit('/', 1)[1]
        self.result_url = self.url + '/result'

    def poll(self, fields=(), query='', timeout=20):
        return request(self.proxy.port, 'GET', self.url + query, fields, timeout=timeout)

    def document(self):
        """The status document of a job that is not final yet."""
        return json.loads(self.poll().text)

    def state(self):
        """One of the two pending states, or 'final'."""
        polled = self.poll()
        return 'final' if polled.status == 302 else json.loads(polled.text)['status']

    def wait(self, within=20):
        """Waits until the job is final; returns itself."""
        wait_until(lambda: self.poll().status == 302, lambda: f'job final; it is {self.poll()!r}', within)
        return self

    def wait_for(self, state, within=10):
        wait_until(lambda: self.state() == state, lambda: f'{state}; it is {self.poll()!r}', within)
        return self

    def result(self, method='GET', fields=(), timeout=20):
        return request(self.proxy.port, method, self.result_url, fields, timeout=timeout)

    def cancel(self):
        return request(self.proxy.port, 'DELETE', self.url)

    def outcome(self):
        """The final document: DELETE of a final job changes nothing and says how it ended."""
        self.wait()
        document = json.loads(self.cancel().text)
        if document['status'] in NOT_FINAL:
            raise AssertionError(f'final job called {document["status"]}')
        return document

    def ended(self):
        """How it ended, in short: 'succeeded', 'canceled' or the error type of a failure."""
        document = self.outcome()
        return document['error']['type'] if document['status'] == 'failed' else document['status']


def error_name(document):
    """The last word of an error type, which may be a plain word, a path or a URN."""
    return re.split('[/:#]', document['type'])[-1]


class EndToEnd(unittest.TestCase):
    """A test with a folder and a backend of its own; `serve` starts raincheck in front of it."""

    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='raincheck-')
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.backend = Backend(os.path.join(self.folder, 'backend.history'))
        self.addCleanup(self.backend.stop)
        self.proxy = None

    def config(self, routes=None, upstream=None, **sections):
        """A whole configuration. `routes` is a list; without it every call under /reports is a job."""
        config = {
            'listeners': [{'address': '127.0.0.1:0'}],
            'monitoring': 'off',
            'store': {'directory': os.path.join(self.folder, 'store')},
            'upstreams': {'legacy': {'servers': [self.backend.url], **(upstream or {})}},
            'routes': routes if routes is not None else [route('/reports/*')],
            'default_upstream': 'legacy',
        }
        for name, value in sections.items():
            if isinstance(value, dict) and isinstance(config.get(name), dict):
                config[name] = {**config[name], **value}
            else:
                config[name] = value
        return {name: value for name, value in config.items() if value is not None}

    def serve(self, routes=None, upstream=None, wrapper=(), environment=None, program=None, **sections):
        """Starts raincheck; it must be alive at the end of the test, and go when asked."""
        config = self.config(routes, upstream, **sections)
        self.proxy = Raincheck(self.folder, config, program, wrapper, environment).start()
        self.addCleanup(self.proxy.close)
        self.addCleanup(self.check_health, self.proxy)
        return self.proxy

    def check_health(self, proxy):
        """The end of every test: no crash, no sanitizer report, and a backend that heard only proper HTTP."""
        if proxy.process.returncode not in (None, 0, -9):
            self.fail(f'raincheck ended with {proxy.process.returncode}:\n{proxy.log()[-3000:]}')
        proxy.stop_at_once()
        if proxy.starts == 1 and proxy.process.returncode == 0:
            self.check_words(proxy)
        self.assertEqual([], proxy.faults())
        self.assertEqual([], [e for e in self.backend.errors if 'closed' not in e], 'what the backend was sent')

    def check_words(self, proxy):
        """The documented lists are closed: no line of the access log has a reason that is not in docs/logs.md."""
        unknown = [line for line in proxy.access_log() if line['reason'] not in words_of('logs.md', '## Reasons')]
        self.assertEqual([], unknown[:5], 'reasons that docs/logs.md does not have')

    def client(self, **options):
        client = Client(self.proxy.port, **options)
        self.addCleanup(client.close)
        return client

    def request(self, method, target, fields=(), body=None, timeout=20):
        return request(self.proxy.port, method, target, fields, body, timeout)

    def submit(self, target='/reports/1', body=b'data', fields=(), method='POST'):
        """Submits and insists on a 202."""
        accepted = self.request(method, target, fields, body)
        self.assertEqual(202, accepted.status, accepted.body)
        return Job(self.proxy, accepted)

    def result_of(self, *arguments, **options):
        """Submits, waits, and collects."""
        return self.submit(*arguments, **options).wait().result()

    def assert_problem(self, response, status, name=None):
        """`response` is an error of raincheck's own: problem+json that agrees with its status."""
        statuses = (status,) if isinstance(status, int) else status
        self.assertIn(response.status, statuses, response.body)
        self.assertEqual('application/problem+json', response.get('Content-Type'))
        document = json.loads(response.text)
        self.assertEqual(response.status, document['status'])
        self.assertTrue(document['title'], document)
        self.assertIn(error_name(document), words_of('errors.md', '#'), document)
        if name:
            self.assertEqual(name, error_name(document), document)
        return document

    def wait_for_calls(self, gate, count=1, within=10):
        wait_until(lambda: len(gate.entered) >= count, lambda: f'{count} calls; {len(gate.entered)} came', within)

    def store_files(self, under=''):
        """Every file in the store's folder with its size."""
        top = os.path.join(self.folder, 'store', under)
        return {os.path.relpath(path, top): os.path.getsize(path) for path in files_under(top)}

    def spool_files(self):
        """The files in the store's folder that hold bodies: all but the databases, locks and secrets."""
        known = ('.db', '-wal', '-shm', '-journal', '.sqlite', '.sqlite3', '.lock', 'lock', '.key', 'secret', 'reserve')
        return {name: size for name, size in self.store_files().items() if not name.endswith(known)}


@functools.lru_cache
def words_of(document, heading):
    """The words in backquotes at the start of a line of a table, in a file of docs/, from a heading on."""
    with open(os.path.join(ROOT, 'docs', document), encoding='utf-8') as file:
        rows = re.findall(r'^\| *(`[^|]*`) *\|', file.read().partition(heading)[2], re.M)
    return {word for row in rows for word in re.findall('`([^`]+)`', row)}


def files_under(top):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.lexists(path):
                yield path


def route(match='/reports/*', upstream='legacy', **settings):
    """A route of a configuration. Keys other than those of a route belong to its `async` part."""
    of_route = ('name', 'retry', 'limits', 'request_headers', 'response_headers', 'rewrite', 'validate', 'request_body',
                'response_body', 'cors', 'authorize', 'documents')
    result = {'match': match, 'upstream': upstream}
    result.update({key: settings.pop(key) for key in of_route if key in settings})
    if settings:
        result['async'] = settings
    return result


def problem(response):
    return json.loads(response.text)
