"""Random dialogues, step by step as in the standard library.

What a chat is told, and what it keeps, is compared after every step; so is what it sends. The
sockets are scripted, since the chance must be the same for both.
"""

import random

import asynchat
import asyncore
import pytest


class Wire:
    """A socket whose reads are a script, and whose sends take what a generator says."""

    def __init__(self, pieces=(), chance=None):
        self.pieces, self.chance, self.sent = list(pieces), chance, b''

    def recv(self, size):
        return self.pieces.pop(0)

    def send(self, data):
        if self.chance:
            luck = self.chance.random()
            if luck < 0.1:
                raise BlockingIOError(11, 'full')
            if luck < 0.13:
                raise ConnectionResetError(104, 'reset')
            if luck < 0.16:
                raise OSError(5, 'broken')
            data = bytes(data)[:self.chance.randrange(1, 12)]
        self.sent += bytes(data)
        return len(data)

    def fileno(self):
        return 1 << 20

    def getpeername(self):
        return ('192.0.2.1', 7)

    def setblocking(self, flag):
        pass

    def close(self):
        pass


TERMINATORS = [b'\n', b'\r\n', b'ab', b'aab', b'abab', None, 0, 1, 3, 7, b'', bytearray(b'ba')]


def listening(module, seed):
    """All that a chat notices of random input, with callbacks that do random things."""
    chance = random.Random(seed)
    log = []

    class Chat(module.async_chat):
        def collect_incoming_data(self, data):
            self.note('collect', data)
            if chance.random() < 0.05 and isinstance(self.terminator, bytes):
                self.set_terminator(chance.choice(TERMINATORS))
            if chance.random() < 0.02:
                raise ValueError

        def found_terminator(self):
            self.note('found')
            luck = chance.random()
            if luck < 0.2:
                self.set_terminator(chance.choice(TERMINATORS))
            elif luck < 0.3:
                self.terminator = chance.choice(TERMINATORS)
            elif luck < 0.34:
                self.discard_buffers()
            elif luck < 0.38:
                self.ac_in_buffer = b'other\r\n'
            elif luck < 0.42:
                self.ac_in_buffer = self.ac_in_buffer + b'more'
            elif luck < 0.45:
                raise ValueError
            elif luck < 0.46:
                self.close()

        def note(self, *what):
            log.append((*what, self.ac_in_buffer, self.terminator, type(self.ac_in_buffer)))

    data = bytes(chance.choices(b'ab\r\n', k=chance.randrange(1, 80)))
    pieces = []
    while data:
        cut = chance.randrange(1, 14)
        pieces.append(data[:cut])
        data = data[cut:]
    chat = Chat(Wire(pieces), {})
    chat.set_terminator(chance.choice(TERMINATORS))
    for _ in pieces:
        try:
            chat.handle_read()
        except ValueError:
            chat.note('error')
        chat.note('read')
    return log


def talking(module, seed):
    """All that comes of random output through a socket that takes it at random."""
    chance = random.Random(seed)
    log = []

    class Producer:
        def __init__(self, pieces):
            self.pieces = pieces

        def more(self):
            return self.pieces.pop(0) if self.pieces else b''

    class Chat(module.async_chat):
        ac_out_buffer_size = chance.choice([4, 8, 64, 65536])

        def handle_close(self):
            log.append('close')
            self.close()

        def handle_error(self):
            log.append('error')

    def some_bytes():
        return bytes(chance.choices(b'xyz', k=chance.randrange(1, 30)))

    wire = Wire(chance=random.Random(seed + 1))
    chat = Chat(wire, {})
    for _ in range(chance.randrange(1, 25)):
        luck = chance.random()
        if luck < 0.3:
            chat.push(chance.choice([bytes, bytearray, memoryview])(some_bytes()))
        elif luck < 0.4:
            chat.push_with_producer(module.simple_producer(some_bytes(), chance.randrange(1, 9)))
        elif luck < 0.5:
            chat.push_with_producer(Producer([some_bytes() for _ in range(chance.randrange(4))]))
        elif luck < 0.55:
            chat.push_with_producer(some_bytes())
        elif luck < 0.58:
            chat.close_when_done()
        elif luck < 0.6:
            chat.discard_buffers()
        elif luck < 0.65:
            chat.connected = not chat.connected
        else:
            chat.initiate_send()
        queue = [bytes(item) if isinstance(item, (bytes, bytearray, memoryview)) else
                 item if item is None else type(item).__name__ for item in chat.producer_fifo]
        log.append((wire.sent, queue, bool(chat.writable()), chat.connected))
    return log


@pytest.mark.parametrize('play, least', [(listening, 20000), (talking, 20000)],
                         ids=['input', 'output'])
def test_random_work_goes_as_in_the_standard_library(standard, play, least):
    _, standard_asynchat = standard('asyncore', 'asynchat')
    assert asynchat.asyncore is asyncore is not standard_asynchat.asyncore
    steps = 0
    for seed in range(4000):
        expected = play(standard_asynchat, seed)
        assert play(asynchat, seed) == expected, seed
        steps += len(expected)
    assert steps > least
