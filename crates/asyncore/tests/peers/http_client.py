"""Gets a page with Python's asyncore. Arguments: port, path. Prints everything that it receives."""

import asyncore
import socket
import sys


class Client(asyncore.dispatcher_with_send):
    def __init__(self, port, path):
        super().__init__()
        self.create_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.connect(("127.0.0.1", port))
        self.out_buffer = b"GET %s HTTP/1.0\r\n\r\n" % path.encode()

    def handle_read(self):
        sys.stdout.buffer.write(self.recv(8192))

    def handle_close(self):
        self.close()


Client(int(sys.argv[1]), sys.argv[2])
asyncore.loop()
