"""The real raincheck program as a child process: start, readiness, stop, kill -9, restart, logs and memory."""
import ctypes
import functools
import json
import os
import re
import signal
import socket
import subprocess
import time

from wire import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def binary():
    """The program under test: $RAINCHECK, else the release build, else the development build."""
    if named := os.environ.get('RAINCHECK'):
        return os.path.abspath(named)
    for kind in ('release', 'dev'):
        path = os.path.join(ROOT, 'build', kind, 'raincheck')
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError('no raincheck: build it, or name it in $RAINCHECK')


@functools.lru_cache
def is_sanitized(program):
    with open(program, 'rb') as file:
        code = file.read()
    return b'__asan_init' in code or b'__tsan_init' in code


def run(*arguments, **options):
    """Runs `raincheck ARGUMENTS` to its end."""
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=30, check=False,
                          errors='backslashreplace', stdin=subprocess.DEVNULL, **options)


class Raincheck:
    """`raincheck serve` over one configuration and one store; may be started many times, one after the other."""

    def __init__(self, folder, config, program=None, wrapper=(), environment=None):
        self.folder, self.program, self.wrapper = folder, program or binary(), list(wrapper)
        self.environment = environment or {}
        self.config_path = os.path.join(folder, 'raincheck.yaml')
        self.stdout_path = os.path.join(folder, 'access.log')
        self.stderr_path = os.path.join(folder, 'raincheck.log')
        self.process, self.port, self.starts, self.notifications = None, None, 0, []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify_path = os.path.join(folder, 'notify')
        self._notify.bind(self._notify_path)
        self._notify.setblocking(False)
        self.sockets = []  # what systemd would pass: (name, listening socket)
        self.configure(config)

    def configure(self, config):
        """`config` is YAML text, or a value to be written as JSON, which is YAML too."""
        with open(self.config_path, 'w', encoding='utf-8') as file:
            file.write(config if isinstance(config, str) else json.dumps(config, indent=2))

    def spawn(self):
        """Starts the process and returns at once."""
        self.starts += 1
        self.notifications, self.port = [], None
        self.drain_notifications()
        self.notifications.clear()
        environment = {**os.environ, 'NOTIFY_SOCKET': self._notify_path, **self.environment}
        wrapper = [*self.wrapper]
        if self.sockets:
            wrapper = [*pass_sockets([held.fileno() for _, held in self.sockets]), *wrapper]
            environment['LISTEN_FDNAMES'] = ':'.join(name for name, _ in self.sockets)
        self._log_start = os.path.getsize(self.stderr_path) if os.path.exists(self.stderr_path) else 0
        with open(self.stdout_path, 'ab') as out, open(self.stderr_path, 'ab') as err:
            self.process = subprocess.Popen(
                [*wrapper, self.program, 'serve', '--config', self.config_path], cwd=self.folder, stdout=out,
                stderr=err, stdin=subprocess.DEVNULL, env=environment, preexec_fn=die_with_parent,
                pass_fds=[held.fileno() for _, held in self.sockets])
        return self

    def start(self, within=20):
        """Starts the process and waits until it says that it is ready."""
        self.spawn()

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f'raincheck exited {self.process.returncode} at start:\n{self.log()}')
            return self.notified('READY=1')
        wait_until(ready, lambda: f'READY=1; log:\n{self.log()}', within)
        self.port = self.listening_ports()[0]
        return self

    def listening_ports(self):
        with open(self.stderr_path, encoding='utf-8', errors='replace') as file:
            file.seek(self._log_start)
            ports = re.findall(r'listening on \S*:(\d+)', file.read())
        if not ports:
            raise AssertionError(f'no "listening on" in the log:\n{self.log()}')
        return [int(port) for port in ports]

    def reload(self, config=None):
        """Has the configuration read again, and says whether it is in force."""
        if config is not None:
            self.configure(config)
        self.drain_notifications()
        self.notifications.clear()
        self.signal(signal.SIGHUP)

        def told():
            lines = self.drain_notifications()
            return 'RELOADING=1' in lines and 'READY=1' in lines[lines.index('RELOADING=1'):] and \
                any(line.startswith('STATUS=') for line in lines)
        wait_until(told, lambda: f'the end of a reload; log:\n{self.log()}')
        return not any('refused' in line for line in self.notifications)

    def drain_notifications(self):
        while True:
            try:
                self.notifications += self._notify.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.notifications

    def notified(self, line):
        return line in self.drain_notifications()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, within=20):
        """Waits for the end of the process and returns its exit code (negative: ended by that signal)."""
        return self.process.wait(within)

    def stop(self, within=20):
        self.signal(signal.SIGTERM)
        return self.wait(within)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()

    def restart(self):
        """kill -9 and a new start over the same store."""
        if self.running:
            self.kill()
        return self.start()

    def stop_at_once(self):
        """For cleaning up: SIGTERM twice, then SIGKILL."""
        if self.running:
            for _ in range(2):
                self.signal(signal.SIGTERM)
                try:
                    return self.wait(2)
                except subprocess.TimeoutExpired:
                    pass
            self.kill()
        return self.process.returncode if self.process else None

    def close(self):
        self.stop_at_once()
        self._notify.close()

    def log(self):
        if not os.path.exists(self.stderr_path):
            return ''
        with open(self.stderr_path, encoding='utf-8', errors='replace') as file:
            return file.read()

    def faults(self):
        """The lines of the log that only a mistake in raincheck can have written."""
        words = ('Sanitizer', 'runtime error:', 'terminate called', 'Assertion', 'ended by an exception', 'free():')
        return [line for line in self.log().splitlines() if any(word in line for word in words)]

    def access_log(self):
        """Every line of the access log, parsed, by its time: shards write on their own. A line still being written is
        left out."""
        with open(self.stdout_path, encoding='utf-8') as file:
            return sorted((json.loads(line) for line in file.read().split('\n')[:-1]), key=lambda line: line['ts'])

    def memory(self, what='VmRSS'):
        """Resident memory in bytes: VmRSS now, VmHWM the most that it ever was. A sanitizer's own counts nothing."""
        if is_sanitized(self.program):
            return 0
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as file:
            return int(re.search(rf'^{what}:\s+(\d+) kB', file.read(), re.M)[1]) * 1024

    def open_files(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))


def pass_sockets(files):
    """A command that runs another as systemd would: its descriptors from 3 on are these files."""
    high = [f'exec {100 + i}<&{file} {file}<&-' for i, file in enumerate(files)]
    low = [f'exec {3 + i}<&{100 + i} {100 + i}<&-' for i in range(len(files))]
    start = f'export LISTEN_PID=$$ LISTEN_FDS={len(files)}; exec "$@"'
    return ['bash', '-c', '\n'.join([*high, *low, start]), 'bash']


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def now():
    return time.monotonic()
