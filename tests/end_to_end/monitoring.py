"""What tests of the monitoring listener and the admin socket share: asking them, and reading metrics."""
import http.client
import os
import re
import shutil
import socket
import subprocess

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)\Z')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, target, body=None):
    """Status, fields and body of an answer that came over a unix socket."""
    connection = UnixConnection(path)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


class Metrics:
    """One scrape."""

    def __init__(self, text):
        self.text, self.families, self.samples = text, {}, {}
        for line in text.splitlines():
            if line.startswith('# TYPE '):
                _, _, name, kind = line.split(' ')
                assert name not in self.families, f'{name} comes twice'
                self.families[name] = kind
            elif not line.startswith('#'):
                name, labels, value = SAMPLE.match(line).groups()
                key = (name, tuple(sorted(LABEL.findall(labels or ''))))
                assert key not in self.samples, f'{line} comes twice'
                self.samples[key] = float(value)

    def get(self, name, **labels):
        """The sum of the samples that have these labels, whatever others they have; None: there is none."""
        found = [value for (of, pairs), value in self.samples.items()
                 if of == name and labels.items() <= dict(pairs).items()]
        return sum(found) if found else None


def promtool():
    return os.environ.get('PROMTOOL') or shutil.which('promtool')


def check_with_promtool(*arguments, text=None):
    """Runs promtool and returns what it has to say against its input; '' if nothing."""
    done = subprocess.run([promtool(), *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    return '' if done.returncode == 0 and not done.stderr.strip() else done.stdout + done.stderr
