"""A certificate authority of a test's own, made with the openssl program in the test's folder."""
import os
import subprocess

CONFIG = '''
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
crlnumber = {folder}/crlnumber
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_days = 365
default_crl_days = 30
unique_subject = no
copy_extensions = copy
policy = any
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = name
[name]
'''
RSA = ('-newkey', 'rsa:2048', '-nodes')
KEY = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')


def openssl(*arguments):
    done = subprocess.run(['openssl', *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f'openssl {" ".join(arguments)}:\n{done.stderr}')
    return done.stdout


class Certificate:
    def __init__(self, folder, name):
        self.cert_file, self.key_file = (os.path.join(folder, f'{name}.{kind}') for kind in ('pem', 'key'))

    @property
    def files(self):
        """As a configuration names them."""
        return {'cert_file': self.cert_file, 'key_file': self.key_file}


class Authority:
    def __init__(self, top, name='authority'):
        self.folder, self.issued = os.path.join(top, name), 0
        os.mkdir(self.folder)
        self.config = self.write('openssl.cnf', CONFIG.format(folder=self.folder))
        self.write('index.txt', '')
        self.write('serial', '1A2B\n')
        self.write('crlnumber', '01\n')
        self.cert_file = os.path.join(self.folder, 'ca.pem')
        openssl('req', '-x509', '-config', self.config, *KEY, '-keyout', os.path.join(self.folder, 'ca.key'), '-out',
                self.cert_file, '-days', '365', '-subj', f'/CN={name}', '-addext', 'basicConstraints=critical,CA:TRUE')

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def issue(self, name, alternatives=None, subject=None, dates=(), key=KEY):
        """A certificate for `name`. `dates`: options of openssl-ca, such as -days 3; `key`: of openssl-req."""
        self.issued += 1
        made = Certificate(self.folder, f'{self.issued}-{name.replace("*", "any")}')
        request = os.path.join(self.folder, 'request.pem')
        openssl('req', '-new', '-config', self.config, *key, '-keyout', made.key_file, '-out', request,
                '-subj', subject or f'/CN={name}', '-addext', f'subjectAltName={alternatives or "DNS:" + name}')
        openssl('ca', '-batch', '-notext', '-config', self.config, '-in', request, '-out', made.cert_file, *dates)
        return made

    def expired(self, name):
        return self.issue(name, dates=('-startdate', '20200101000000Z', '-enddate', '20210101000000Z'))

    def run_out(self):
        """A list that should have been renewed."""
        return self.revoke(dates=('-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', '20210101000000Z'))

    def revoke(self, *certificates, dates=()):
        """The list of what was revoked; these are. `dates`: options of openssl-ca, such as -crldays 3."""
        for certificate in certificates:
            openssl('ca', '-config', self.config, '-revoke', certificate.cert_file)
        path = os.path.join(self.folder, 'crl.pem')
        openssl('ca', '-config', self.config, '-gencrl', '-out', path, *dates)
        return path
