"""Channels on what is no socket: `asyncore.file_wrapper` and `asyncore.file_dispatcher`."""

import os
import socket
import warnings

from asyncore_rs import asyncore

# These are asyncore's.
__name__ = 'asyncore'


class file_wrapper:
    """A file that looks enough like a socket for a channel. It has a descriptor of its own."""

    def __init__(self, fd):
        self.fd = os.dup(fd)

    def __del__(self):
        if self.fd >= 0:
            warnings.warn('unclosed file %r' % self, ResourceWarning, source=self)
        self.close()

    def recv(self, *args):
        return os.read(self.fd, *args)

    def send(self, *args):
        return os.write(self.fd, *args)

    def getsockopt(self, level, optname, buflen=None):
        if level == socket.SOL_SOCKET and optname == socket.SO_ERROR and not buflen:
            return 0
        raise NotImplementedError('Only asyncore specific behaviour implemented.')

    read = recv
    write = send

    def close(self):
        if self.fd < 0:
            return
        fd, self.fd = self.fd, -1
        os.close(fd)

    def fileno(self):
        return self.fd


class file_dispatcher(asyncore.dispatcher):
    """A channel on a file: a pipe, a terminal, a regular file."""

    def __init__(self, fd, map=None):
        asyncore.dispatcher.__init__(self, None, map)
        self.connected = True
        try:
            fd = fd.fileno()
        except AttributeError:
            pass
        self.set_file(fd)
        os.set_blocking(fd, False)

    def set_file(self, fd):
        self.socket = file_wrapper(fd)
        self._fileno = self.socket.fileno()
        self.add_channel()
