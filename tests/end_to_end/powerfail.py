"""Power loss, for real enough: a file system on a loop device that is shut down without flushing its log, so that all
that was not yet on the device is gone (which kill -9 cannot show, for the page cache survives it). Also small file
systems that fill up. Needs root, loop devices and a mount namespace of its own; `unavailable` says what is missing.
"""
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile

CLONE_NEWNS = 0x00020000
FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
LIBC = ctypes.CDLL(None, use_errno=True)


def command(*arguments):
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def unavailable():
    """Why this machine cannot mount anything; None when it can."""
    if os.geteuid() != 0:
        return 'power loss needs root'
    for tool in ('mkfs.ext4', 'losetup', 'mount', 'umount'):
        if not shutil.which(tool, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin'):
            return f'power loss needs {tool}'
    return None


def own_mounts():
    """A mount namespace for this process and its children, so that nothing is left behind. To be called before
    there is a second thread. Returns why it failed, or None."""
    if reason := unavailable():
        return reason
    if LIBC.unshare(CLONE_NEWNS):
        return f'unshare: {os.strerror(ctypes.get_errno())}'
    try:
        command('mount', '--make-rprivate', '/')
    except subprocess.CalledProcessError as error:
        return f'mount: {error.stderr.decode().strip()}'
    return None


class Disk:
    """A mounted file system in a folder of its own."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix='raincheck-disk-')
        self.path = os.path.join(self.top, 'mounted')
        os.mkdir(self.path)

    def unmount(self):
        command('umount', self.path)

    def close(self):
        subprocess.run(['umount', '-l', self.path], check=False, capture_output=True)
        shutil.rmtree(self.top, ignore_errors=True)


class LoopDisk(Disk):
    """ext4 on a loop device, whose power can be cut."""

    def __init__(self, mebibytes=2048):  # sparse: it takes what is written
        super().__init__()
        self.image = os.path.join(self.top, 'image')
        with open(self.image, 'wb') as file:
            file.truncate(mebibytes << 20)
        command('mkfs.ext4', '-q', '-F', self.image)
        self.mount()

    def mount(self):
        command('mount', '-o', 'loop', self.image, self.path)

    def cut_power(self):
        """From this moment nothing reaches the device any more, and what had not is lost."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, FS_IOC_SHUTDOWN, struct.pack('I', NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def return_power(self):
        """Everything that used the file system must have ended."""
        self.unmount()
        self.mount()


class SmallDisk(Disk):
    """A tmpfs of few bytes, which can be filled and emptied."""

    def __init__(self, mebibytes=16):
        super().__init__()
        self.make(mebibytes)
        self.ballast = os.path.join(self.path, 'ballast')

    def make(self, mebibytes):
        command('mount', '-t', 'tmpfs', '-o', f'size={mebibytes}m', 'tmpfs', self.path)

    def fill(self):
        """Takes every byte that is left."""
        with open(self.ballast, 'ab', buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(b'\xa5' * size) == size:
                        pass
                except OSError:
                    pass
            os.fsync(file)  # or some of it is not there yet

    def free(self):
        os.remove(self.ballast)

    def free_bytes(self):
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize


class SmallLoopDisk(SmallDisk):
    """The same as a real file system: ext4 on a loop device, nothing of which is kept for root."""

    def make(self, mebibytes):
        image = os.path.join(self.top, 'image')
        with open(image, 'wb') as file:
            file.truncate(mebibytes << 20)
        command('mkfs.ext4', '-q', '-F', '-m', '0', image)
        command('mount', '-o', 'loop', image, self.path)
