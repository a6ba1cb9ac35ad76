"""An echo server on the asyncore of Python's own library, on poll(2): select(2) ends at 1,024 descriptors."""

import asyncore
import socket
import sys


class EchoHandler(asyncore.dispatcher_with_send):
    def handle_read(self):
        data = self.recv(8192)
        if data:
            self.send(data)


class EchoServer(asyncore.dispatcher):
    def __init__(self, address):
        asyncore.dispatcher.__init__(self)
        self.create_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.bind(address)
        self.listen(1024)

    def handle_accepted(self, sock, addr):
        EchoHandler(sock)


if "--version" in sys.argv:
    print("Python", sys.version.split()[0])
else:
    server = EchoServer(("127.0.0.1", 0))
    print("%s:%d" % server.socket.getsockname(), flush=True)
    asyncore.loop(use_poll=True)
