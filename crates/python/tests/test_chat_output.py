"""asynchat: what goes out, from the queue and from producers."""

import threading

import asynchat
import pytest
from channels import Chat
from conftest import DEADLINE


def received(far, until, one_pass, channels, size):
    got = bytearray()
    far.setblocking(False)

    def arrived():
        try:
            got.extend(far.recv(1 << 20))
        except BlockingIOError:
            pass
        return len(got) >= size

    until(arrived, one_pass, channels)
    return bytes(got)


@pytest.fixture
def chat(pair):
    near, far = pair()
    mine = {}
    chat = Chat(near, mine)
    chat.set_terminator(None)
    return chat, far, mine


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview])
def test_push_takes_bytes_of_any_kind_and_sends_at_once(chat, kind):
    chat, far, _ = chat
    chat.push(kind(b'hello'))
    assert far.recv(100) == b'hello' and not chat.producer_fifo


@pytest.mark.parametrize('wrong', ['text', 10, None, [b'x']])
def test_push_refuses_anything_else(chat, wrong):
    chat, far, _ = chat
    with pytest.raises(TypeError):
        chat.push(wrong)
    assert not chat.producer_fifo


def test_push_before_the_connection_queues():
    chat = Chat(map={})
    chat.push(b'one')
    chat.push(b'two')
    assert list(chat.producer_fifo) == [b'one', b'two'] and chat.writable()


def test_push_cuts_what_is_longer_than_the_buffer_size():
    chat = Chat(map={})
    chat.ac_out_buffer_size = 4
    chat.push(b'abcdefghij')
    assert list(chat.producer_fifo) == [b'abcd', b'efgh', b'ij']


def test_output_larger_than_any_buffer_arrives_whole_and_in_order(chat, one_pass, until):
    chat, far, mine = chat
    message = bytes(range(256)) * 20000
    chat.push(message[:1000000])
    chat.push_with_producer(asynchat.simple_producer(message[1000000:2000000], 1000))
    chat.push_with_producer(message[2000000:])
    assert received(far, until, one_pass, mine, len(message)) == message
    assert not chat.writable()


def test_producers_are_asked_for_more_until_they_have_no_more(chat, one_pass, until):
    chat, far, mine = chat
    asked = []

    class Producer:
        pieces = [b'one', b'two', b'three', b'']

        def more(self):
            asked.append(len(asked))
            return self.pieces[len(asked) - 1]

    chat.push_with_producer(Producer())
    assert received(far, until, one_pass, mine, 11) == b'onetwothree'
    until(lambda: not chat.producer_fifo, one_pass, mine)
    assert asked == [0, 1, 2, 3]


def test_a_producer_may_push_and_close(chat, one_pass, until):
    chat, far, mine = chat

    class Last:
        done = False

        def more(self):
            if self.done:
                return b''
            self.done = True
            chat.close_when_done()
            return b'bye'

    chat.push_with_producer(Last())
    assert received(far, until, one_pass, mine, 3) == b'bye'
    until(lambda: mine == {}, one_pass, mine)


def test_an_error_in_a_producer_is_the_callers(chat):
    chat, far, _ = chat

    class Broken:
        def more(self):
            raise LookupError('mine')

    with pytest.raises(LookupError, match='mine'):
        chat.push_with_producer(Broken())


def test_close_when_done_closes_after_the_last_byte(chat, one_pass, until):
    chat, far, mine = chat
    message = bytes(3000000)
    chat.push(message)
    chat.close_when_done()
    assert chat.producer_fifo[-1] is None and chat.connected
    assert received(far, until, one_pass, mine, len(message)) == message
    until(lambda: mine == {}, one_pass, mine)
    far.settimeout(10)
    assert far.recv(1) == b''


def test_close_when_done_with_nothing_queued_closes_in_the_next_pass(chat, one_pass, until):
    chat, far, mine = chat
    chat.close_when_done()
    assert chat.connected
    until(lambda: mine == {}, one_pass, mine)
    assert not chat.connected


def test_close_when_done_calls_handle_close(chat, one_pass, until):
    chat, far, mine = chat
    calls = []
    chat.handle_close = lambda: (calls.append('close'), chat.close())
    chat.push(b'x')
    chat.close_when_done()
    until(lambda: mine == {}, one_pass, mine)
    assert calls == ['close']


def test_empty_pieces_in_the_queue_are_skipped(chat, one_pass, until):
    chat, far, mine = chat
    chat.producer_fifo.extend([b'', b'', b'x'])
    assert received(far, until, one_pass, mine, 1) == b'x'
    assert not chat.producer_fifo


def test_discard_buffers_forgets_everything():
    chat = Chat(map={})
    chat.push(b'x')
    chat.ac_in_buffer = b'y'
    chat.incoming.append(b'z')
    fifo, incoming = chat.producer_fifo, chat.incoming
    chat.discard_buffers()
    assert (chat.ac_in_buffer, chat.incoming, list(chat.producer_fifo)) == (b'', [], [])
    assert chat.producer_fifo is fifo and chat.incoming is incoming


def test_writable_is_true_until_connected_and_while_output_waits(pair):
    unconnected = Chat(map={})
    assert unconnected.writable() and unconnected.readable()
    near, _ = pair()
    chat = Chat(near, {})
    assert not chat.writable()
    chat.producer_fifo.append(b'x')
    assert chat.writable()


def test_send_is_given_at_most_the_buffer_size(pair):
    near, far = pair()
    sizes = []

    class Measuring(Chat):
        ac_out_buffer_size = 1000

        def send(self, data):
            sizes.append(len(data))
            return super().send(data)

    chat = Measuring(near, {})
    chat.push_with_producer(bytes(2500))
    while chat.producer_fifo:
        chat.initiate_send()
    assert sizes == [1000, 1000, 500]


def test_a_partial_send_leaves_the_rest_at_the_front(pair):
    near, _ = pair()

    class Slow(Chat):
        sent = b''

        def send(self, data):
            self.sent += bytes(data[:2])
            return 2

    chat = Slow(near, {})
    chat.push(b'abcde')
    assert list(chat.producer_fifo) == [b'cde']
    chat.push(b'fg')
    assert list(chat.producer_fifo) == [b'e', b'fg']


def test_a_send_that_takes_nothing_changes_nothing(pair):
    near, _ = pair()
    chat = Chat(near, {})
    chat.send = lambda data: 0
    chat.push(b'abc')
    assert list(chat.producer_fifo) == [b'abc']


def test_an_error_while_sending_goes_to_handle_error(pair):
    near, _ = pair()
    chat = Chat(near, {})
    errors = []

    def failing_send(data):
        raise OSError(5, 'io')

    chat.send = failing_send
    chat.handle_error = lambda: errors.append('error')
    chat.push(b'abc')
    assert errors == ['error'] and list(chat.producer_fifo) == [b'abc']


def test_simple_producer_hands_out_pieces():
    producer = asynchat.simple_producer(b'abcdefgh', buffer_size=3)
    assert [producer.more() for _ in range(5)] == [b'abc', b'def', b'gh', b'', b'']
    assert asynchat.simple_producer(bytes(600)).more() == bytes(512)


@pytest.mark.parametrize('haystack, needle, length', [
    ('qwerty\r', '\r\n', 1), ('qwertydkjf', '\r\n', 0), (b'ab\r\n.', b'\r\n.\r\n', 3),
    (b'', b'\r\n', 0), (b'a', b'a', 0), (b'aaa', b'aab', 2), ('é', 'éa', 1)])
def test_find_prefix_at_end(haystack, needle, length):
    assert asynchat.find_prefix_at_end(haystack, needle) == length


def test_a_socket_that_was_told_to_wait_waits(pair):
    """As it does when a program sets a time limit of its own on a channel's socket."""
    near, far = pair()
    chat = Chat(near, {})
    near.settimeout(DEADLINE)
    size = 16 << 20

    def read():
        left = size
        while left:
            left -= len(far.recv(1 << 16))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for _ in range(size >> 16):
        chat.push(bytes(1 << 16))
        left = 1 << 16
        while chat.producer_fifo:
            assert len(chat.producer_fifo[0]) < left, 'nothing was sent, and nobody waited'
            left = len(chat.producer_fifo[0])
            chat.initiate_send()
    reader.join(DEADLINE)
    assert not reader.is_alive()
