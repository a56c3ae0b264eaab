"""Debian's own servers as children of a test: nginx, Apache, PHP-FPM. Each in a folder of its own, on a port that is
kept for it or a unix socket, and never with more rights than an ordinary user has."""
import glob
import os
import pwd
import socket
import signal
import subprocess

from program import LIBC, PR_SET_PDEATHSIG
from wire import wait_until

USER = 'www-data'  # who they run as where the tests run as root

APACHE = '''
ServerRoot {folder}
ServerName 127.0.0.1
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Include {modules}/mpm_event.*
Include {modules}/authz_core.load
Include {modules}/mime.*
{loads}
Include {site}
'''

NGINX = '''
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  include /etc/nginx/mime.types;
  client_body_temp_path {folder}/client_body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {site};
}}
'''

PHP_FPM = '''
[global]
daemonize = no
error_log = {folder}/error.log
[www]
listen = {folder}/fpm.sock
pm = static
pm.max_children = 4
php_admin_value[session.save_path] = {folder}
php_admin_value[soap.wsdl_cache_enabled] = 0
'''


def program(pattern):
    """The program that a package brought; some names hold a version."""
    found = sorted(glob.glob(pattern))
    if not found:
        raise FileNotFoundError(f'no {pattern}: scripts/install_dependencies test')
    return found[-1]


class Servers:
    """The servers of one test, in folders under the test's own. They end with the test."""

    def __init__(self, test):
        self.test = test
        os.chmod(test.folder, 0o755)

    def folder(self, name):
        """A new folder that the servers may write to."""
        path = os.path.join(self.test.folder, name)
        os.mkdir(path)
        return self.give(path)

    def give(self, path):
        """Makes a file or folder the servers' own, where they run as another user."""
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            for place in [path, *glob.glob(os.path.join(path, '**'), recursive=True)]:
                os.chown(place, user.pw_uid, user.pw_gid, follow_symlinks=False)
        return path

    def port(self):
        """A port that nobody else is given as long as the test runs: bound here, and listened on by a server."""
        reservation = socket.socket()
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(('127.0.0.1', 0))
        self.test.addCleanup(reservation.close)
        return reservation.getsockname()[1]

    def write(self, folder, name, text):
        path = os.path.join(folder, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def nginx(self, site, name='nginx'):
        """`site`: what stands within http {}, with {port} for where to listen. Returns the port."""
        folder, port = self.folder(name), self.port()
        site = self.write(folder, 'site.conf', site.replace('{port}', str(port)))
        config = self.write(folder, 'nginx.conf', NGINX.format(folder=folder, site=site))
        for shared in ('snippets', 'fastcgi.conf', 'fastcgi_params'):  # it looks for them beside its nginx.conf
            os.symlink(os.path.join('/etc/nginx', shared), os.path.join(folder, shared))
        command = [program('/usr/sbin/nginx'), '-p', folder, '-e', os.path.join(folder, 'error.log'), '-c', config]
        self.start(folder, command, ('127.0.0.1', port))
        return port

    def apache(self, site, modules=(), name='apache'):
        """`site`: a site's file, with {port} for where to listen. Returns the port."""
        folder, port = self.folder(name), self.port()
        available = '/etc/apache2/mods-available'
        values = {'folder': folder, 'modules': available,
                  'loads': '\n'.join(f'Include {available}/{m}.load' for m in modules),
                  'site': self.write(folder, 'site.conf', site.replace('{port}', str(port)))}
        config = self.write(folder, 'apache.conf', APACHE.format(**values))
        self.start(folder, [program('/usr/sbin/apache2'), '-f', config, '-DFOREGROUND'], ('127.0.0.1', port))
        return port

    def php_fpm(self, name='php-fpm'):
        """Returns the path of its socket."""
        folder = self.folder(name)
        config = self.write(folder, 'fpm.conf', PHP_FPM.format(folder=folder))
        path = os.path.join(folder, 'fpm.sock')
        self.start(folder, [program('/usr/sbin/php-fpm*'), '--nodaemonize', '--fpm-config', config], path)
        return path

    def start(self, folder, command, address, environment=None):
        """Starts a server and waits until it listens on `address`."""
        user = {'user': USER, 'group': USER, 'extra_groups': []} if os.geteuid() == 0 else {}
        with open(os.path.join(folder, 'output.log'), 'wb') as log:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**os.environ, **(environment or {})}, preexec_fn=end_with_parent, **user)
        self.test.addCleanup(self.stop, process)

        def listens():
            if process.poll() is not None:
                raise AssertionError(f'{command[0]} ended with {process.returncode}:\n{logs(folder)}')
            with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as probe:
                return probe.connect_ex(address) == 0
        wait_until(listens, lambda: f'{command[0]} listening on {address}:\n{logs(folder)}', 30)

    @staticmethod
    def stop(process):
        process.terminate()  # their masters end their workers
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def logs(folder):
    text = ''
    for name in ('error.log', 'output.log'):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, encoding='utf-8', errors='replace') as file:
                text += file.read()[-3000:]
    return text
