"""What is measured: round trips among idle channels, short lines, a stalled peer.

Everything happens in one process and one thread, peers included, on pairs of Unix sockets. What
the peers of the round trips do themselves is not counted.
"""

import collections
import fcntl
import gc
import itertools
import socket
import time

LINE = b'hello\n'
# select(2) needs numbers below 1,024 for the loop's ends: the peers' are moved out of the way.
FAR = 8000
SO_SNDBUFFORCE = 32


def socket_pair():
    near, far = socket.socketpair()
    moved = fcntl.fcntl(far.fileno(), fcntl.F_DUPFD_CLOEXEC, FAR)
    far.close()
    return near, socket.socket(fileno=moved)


class Measured:
    """Seconds of the clock and of the processor while a block runs."""

    def __enter__(self):
        gc.collect()
        gc.disable()
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.wall = time.perf_counter() - self.wall
        self.cpu = time.process_time() - self.cpu
        gc.enable()


class Peers:
    """Clients that send a line each, wait until all are answered, and start again."""

    def __init__(self, engine, sockets):
        self.engine, self.sockets = engine, sockets
        self.rounds = self.unanswered = 0
        self.wall = self.cpu = 0.0

    def play(self, rounds):
        self.rounds = rounds
        self.wall = self.cpu = 0.0
        self.counted(self.send)
        self.engine.run()

    def counted(self, work):
        """Does the peers' own work, and counts what it takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall

    def send(self):
        self.unanswered = len(self.sockets)
        for sock in self.sockets:
            sock.send(LINE)

    def served(self):
        self.unanswered -= 1
        if not self.unanswered:
            self.engine.soon(self.next_round)

    def next_round(self):
        self.counted(self.receive)
        self.rounds -= 1
        if self.rounds:
            self.counted(self.send)
        else:
            self.engine.stop()

    def receive(self):
        for sock in self.sockets:
            if sock.recv(100) != LINE:
                raise AssertionError('a wrong answer')


def round_trips(make_engine, active, idle, rounds):
    """Microseconds of the loop for each round trip: (clock, processor)."""
    engine = make_engine()
    clients, others = [], []
    peers = Peers(engine, clients)
    for number in range(active + idle):
        near, far = socket_pair()
        engine.echo(near, peers.served)
        # The active ones are in the middle of the map.
        (clients if idle // 2 <= number < idle // 2 + active else others).append(far)
    try:
        peers.play(max(rounds // 10, 5))
        with Measured() as measured:
            peers.play(rounds)
    finally:
        engine.close()
        for sock in clients + others:
            sock.close()
    scale = 1e6 / (rounds * active)
    return (measured.wall - peers.wall) * scale, (measured.cpu - peers.cpu) * scale


def line_counter(base, chunk_size, end_of_chunk):
    """What a program might do with short lines: forgets what was collected, and counts."""
    class Lines(base):
        lines = 0

        def found_terminator(self):
            del self.incoming[:]
            self.lines += 1
            if self.lines == chunk_size // 2:
                self.lines = 0
                end_of_chunk()

    return Lines


def short_lines(modules, chunk_size, chunks):
    """Milliseconds for lines of one byte and a newline, so many bytes at a time."""
    asyncore, asynchat = modules
    near, far = socket_pair()
    far.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 * chunk_size)
    channels = {}
    chunk = b'x\n' * (chunk_size // 2)
    left = iter(range(chunks))

    def send():
        if next(left, None) is None:
            raise asyncore.ExitNow
        if far.send(chunk) != chunk_size:
            raise AssertionError('the socket does not take a chunk at once')

    class Lines(line_counter(asynchat.async_chat, chunk_size, send)):
        ac_in_buffer_size = chunk_size
        collect_incoming_data = asynchat.async_chat._collect_incoming_data

    chat = Lines(near, channels)
    chat.set_terminator(b'\n')
    try:
        with Measured() as measured:
            send()
            try:
                asyncore.loop(30.0, use_poll=True, map=channels)
            except asyncore.ExitNow:
                pass
    finally:
        asyncore.close_all(channels)
        far.close()
    return measured.wall * 1e3, measured.cpu * 1e3


def line_callbacks(chunk_size, chunks):
    """Milliseconds for the calls of `found_terminator` alone, made by a loop in C."""
    counter = line_counter(object, chunk_size, lambda: None)()
    counter.incoming = []
    calls = itertools.starmap(counter.found_terminator,
                              itertools.repeat((), chunk_size // 2 * chunks))
    with Measured() as measured:
        collections.deque(calls, maxlen=0)
    return measured.wall * 1e3, measured.cpu * 1e3


def stalled_peer(modules, kind, megabytes):
    """Milliseconds to queue so much, in pieces of 16 KiB, to a peer that reads nothing until then,
    and to send it all."""
    asyncore, asynchat = modules
    near, far = socket_pair()
    channels = {}
    if kind == 'dispatcher_with_send':
        channel = asyncore.dispatcher_with_send(near, channels)
        queue = channel.send
    else:
        channel = asynchat.async_chat(near, channels)
        queue = channel.push
    size, piece = megabytes << 20, bytes(1 << 14)
    try:
        with Measured() as measured:
            for _ in range(size // len(piece)):
                queue(piece)
            left = size
            while left:
                left -= len(far.recv(1 << 20))
                asyncore.poll2(0.0, channels)
    finally:
        asyncore.close_all(channels)
        far.close()
    return measured.wall * 1e3, measured.cpu * 1e3
