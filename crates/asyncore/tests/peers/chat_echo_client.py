"""A chat echo client based on Python's asynchat. Arguments: port, length.

Exits with 0 if exactly the bytes that were sent came back, and then the end.
"""

import asynchat
import asyncore
import random
import socket
import sys

port, length = map(int, sys.argv[1:])
message = random.Random(length).randbytes(length)


class Dialogue(asynchat.async_chat):
    ac_in_buffer_size = ac_out_buffer_size = 128
    copy = None

    def __init__(self):
        super().__init__()
        self.pieces = []
        self.create_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.connect(("127.0.0.1", port))
        self.push(b"ECHO %d\n" % length)
        self.push_with_producer(asynchat.simple_producer(message, 128))
        self.set_terminator(length)

    def collect_incoming_data(self, data):
        self.pieces.append(data)

    def found_terminator(self):
        Dialogue.copy = b"".join(self.pieces)
        self.pieces.clear()
        self.set_terminator(None)


dialogue = Dialogue()
asyncore.loop()
sys.exit(0 if Dialogue.copy == message and not dialogue.pieces else 1)
