"""Run in the sandbox of raincheck.service in place of raincheck: tries what must not work, and prints what did.

Each line is "NAME: worked" or "NAME: ERRNO". Read by inside.py.
"""
import ctypes
import errno
import mmap
import os
import shutil
import socket
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
PTRACE_ATTACH = 16


def attempt(name, what):
    try:
        what()
        print(f'{name}: worked')
    except OSError as error:
        print(f'{name}: {errno.errorcode[error.errno]}')


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), '')


def write(path):
    with open(path, 'w', encoding='ascii') as file:
        file.write('probe')
    os.unlink(path)


def read(path):
    with open(path, 'rb') as file:
        file.read(1)


def run(path):
    subprocess.run([path, '--version'], check=False, capture_output=True)


def run_a_program_of_its_own(folder):
    path = shutil.copy('/usr/bin/true', os.path.join(folder, 'program'))
    try:
        run(path)
    finally:
        os.unlink(path)


def load_a_library_of_its_own(folder):
    """Code from a file that the service can write: mapped, not run."""
    path = os.path.join(folder, 'library')
    with open(path, 'wb+') as file:
        file.write(b'\0' * mmap.PAGESIZE)
        file.flush()
        try:
            mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()
        finally:
            os.unlink(path)


def memory_to_write_and_run():
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def see_process_1():
    read('/proc/1/status')


def opens(family, kind=socket.SOCK_STREAM):
    return lambda: socket.socket(family, kind).close()


attempt('write to its state', lambda: write(os.path.join(os.environ['STATE_DIRECTORY'], 'probe')))
attempt('write to its runtime folder', lambda: write('/run/raincheck/probe'))
for folder in ('/etc', '/etc/raincheck', '/usr', '/var', '/var/lib', '/run', '/home', '/boot', '/'):
    attempt(f'write to {folder}', lambda folder=folder: write(os.path.join(folder, 'probe')))
for family in ('AF_INET', 'AF_INET6', 'AF_UNIX', 'AF_NETLINK', 'AF_ALG', 'AF_VSOCK'):
    attempt(f'open {family}', opens(getattr(socket, family)))
attempt('open AF_PACKET', opens(socket.AF_PACKET, socket.SOCK_RAW))
attempt('open a raw socket', opens(socket.AF_INET, socket.SOCK_RAW))
for program in ('/bin/sh', '/usr/bin/env', '/usr/bin/systemctl', '/usr/bin/perl'):
    attempt(f'run {program}', lambda program=program: run(program))
for folder in (os.environ['STATE_DIRECTORY'], '/run/raincheck', '/tmp', '/var/tmp', '/dev/shm'):
    attempt(f'run a program of its own in {folder}', lambda folder=folder: run_a_program_of_its_own(folder))
    attempt(f'load a library of its own in {folder}', lambda folder=folder: load_a_library_of_its_own(folder))
attempt('have memory to write and run', memory_to_write_and_run)
attempt('make a namespace', lambda: check(LIBC.unshare(CLONE_NEWUSER)))
attempt('become root', lambda: os.setuid(0))
attempt('mount', lambda: check(LIBC.mount(b'none', b'/tmp', b'tmpfs', 0, None)))
attempt('trace process 1', lambda: check(LIBC.ptrace(PTRACE_ATTACH, 1, None, None)))
attempt('see process 1', see_process_1)
attempt('read /etc/shadow', lambda: read('/etc/shadow'))
attempt('open /dev/mem', lambda: read('/dev/mem'))
attempt('set the clock', lambda: check(LIBC.settimeofday(ctypes.byref((ctypes.c_long * 2)(1, 1)), None)))
attempt('set the host name', lambda: socket.sethostname('probe'))
