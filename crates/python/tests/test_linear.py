"""What the standard library does in quadratic time takes linear time here.

Eight times as much work may cost about eight times as much, and not sixty-four times: processor
time is compared with processor time, the best of several tries each.
"""

import ctypes
import time

import asynchat
import asyncore
import pytest

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def cost(work, size):
    """Seconds: the best of some tries, of fewer if they take long."""
    best, spent = float('inf'), 0.0
    while spent < 0.2:
        run = work(size)
        started = time.process_time()
        run()
        used = time.process_time() - started
        best, spent = min(best, used), spent + max(used, 0.01)
    return best


def assert_linear(work, size, times=8):
    small, large = cost(work, size), cost(work, times * size)
    assert large / small < 2.25 * times, f'{times} times the work costs {large / small:.1f} as much'


@pytest.fixture(autouse=True, scope='module')
def memory_is_kept():
    """Otherwise large blocks come fresh from the system each time, which costs the most."""
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 1 << 30)
        mallopt(M_MMAP_THRESHOLD, 1 << 30)


@pytest.fixture
def near(pair):
    return pair()[0]


class Fed(asynchat.async_chat):
    """Reads what its `source` is, and waits for the same terminator again and again."""

    def __init__(self, sock, terminator, source):
        super().__init__(sock, {})
        self.set_terminator(terminator)
        self.again, self.source = terminator, source

    def recv(self, size):
        return self.source

    def collect_incoming_data(self, data):
        pass

    def found_terminator(self):
        self.set_terminator(self.again)


@pytest.mark.mended
def test_many_short_lines(near):
    def work(size):
        chat = Fed(near, b'\n', b'x\n' * size)

        def run():
            chat.handle_read()
            assert chat.ac_in_buffer == b''
        return run

    assert_linear(work, 24000)


@pytest.mark.mended
def test_many_short_messages_of_a_given_length(near):
    def work(size):
        return Fed(near, 2, b'xy' * size).handle_read

    assert_linear(work, 24000)


@pytest.mark.mended
def test_many_pieces_queued_to_a_stalled_peer(near):
    piece = bytes(512)

    def work(size):
        channel = asyncore.dispatcher_with_send(near, {})
        channel.socket = Full()

        def run():
            for _ in range(size):
                channel.send(piece)
            assert len(channel.out_buffer) == size * len(piece)
        return run

    assert_linear(work, 500, times=4)


class Full:
    def send(self, data):
        raise BlockingIOError(11, 'full')


class Slow:
    """Takes a little at a time."""

    def send(self, data):
        return min(len(data), 16384)


@pytest.mark.mended
def test_a_large_piece_taken_bit_by_bit(near):
    def work(size):
        chat = asynchat.async_chat(near, {})
        chat.socket = Slow()
        chat.producer_fifo.append(bytes(size << 20))

        def run():
            while chat.producer_fifo:
                chat.initiate_send()
        return run

    assert_linear(work, 1)


@pytest.mark.mended
def test_a_long_out_buffer_taken_bit_by_bit(near):
    def work(size):
        channel = asyncore.dispatcher_with_send(near, {})
        channel.socket = Slow()
        channel.out_buffer = bytes(size << 20)

        def run():
            while channel.out_buffer:
                channel.initiate_send()
        return run

    assert_linear(work, 4, times=4)


@pytest.mark.mended
def test_a_simple_producer_of_much_data():
    def work(size):
        producer = asynchat.simple_producer(bytes(size << 20), 16384)

        def run():
            while producer.more():
                pass
        return run

    assert_linear(work, 1)


def test_many_pieces_in_the_queue_of_a_chat(near):
    def work(size):
        chat = asynchat.async_chat(near, {})
        chat.socket = Slow()

        def run():
            for _ in range(size):
                chat.push(b'x' * 20000)
            while chat.producer_fifo:
                chat.initiate_send()
        return run

    assert_linear(work, 2000, times=4)
