"""A relay on the asyncore of Python's own library, as the classic forwarder scripts have it, on poll(2)."""

import asyncore
import socket
import sys


class Side(asyncore.dispatcher):
    """One side of a connection: what it receives is the other side's to send."""

    def __init__(self, sock=None):
        asyncore.dispatcher.__init__(self, sock)
        self.other = None
        self.pending = b""

    def writable(self):
        return bool(self.pending) or not self.connected

    def readable(self):
        return self.other is not None and len(self.other.pending) < 65536

    def handle_connect(self):
        pass

    def handle_read(self):
        self.other.pending += self.recv(8192)

    def handle_write(self):
        if self.pending:
            sent = self.send(self.pending)
            self.pending = self.pending[sent:]

    def handle_close(self):
        other, self.other = self.other, None
        if other is not None:
            if other.pending and other.connected:
                other.handle_write()
            other.other = None
            other.close()
        self.close()


class Relay(asyncore.dispatcher):
    def __init__(self, listen, target):
        asyncore.dispatcher.__init__(self)
        self.target = target
        self.create_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.set_reuse_addr()
        self.bind(listen)
        self.listen(4096)

    def handle_accepted(self, sock, addr):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client, target = Side(sock), Side()
        target.create_socket(socket.AF_INET, socket.SOCK_STREAM)
        target.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.other, target.other = target, client
        target.connect(self.target)


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


if "--version" in sys.argv:
    print("Python", sys.version.split()[0])
else:
    Relay(address(sys.argv[1]), address(sys.argv[2]))
    asyncore.loop(use_poll=True)
