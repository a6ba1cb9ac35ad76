"""A chat echo server based on Python's asynchat: reads ECHO <length> and that many bytes, and returns them.

Prints its port and serves until it is killed.
"""

import asynchat
import asyncore
import socket


class Dialogue(asynchat.async_chat):
    ac_in_buffer_size = ac_out_buffer_size = 128

    def __init__(self, sock):
        super().__init__(sock)
        self.pieces = []
        self.length = None
        self.set_terminator(b"\n")

    def collect_incoming_data(self, data):
        self.pieces.append(data)

    def found_terminator(self):
        whole = b"".join(self.pieces)
        self.pieces.clear()
        if self.length is None:
            self.length = int(whole.removeprefix(b"ECHO "))
            self.set_terminator(self.length)
        else:
            self.push(whole)
            self.close_when_done()


class Listener(asyncore.dispatcher):
    def __init__(self):
        super().__init__()
        self.create_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.bind(("127.0.0.1", 0))
        self.listen(16)
        print("%s:%d" % self.socket.getsockname())

    def handle_accepted(self, sock, addr):
        Dialogue(sock)


Listener()
asyncore.loop()
