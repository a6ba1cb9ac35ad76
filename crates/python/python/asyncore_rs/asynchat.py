r"""Dialogues: what a peer sends is split into messages, what it is sent waits in a queue.

An `async_chat` collects what arrives, with `collect_incoming_data()`, until it has found the
terminator, and then calls `found_terminator()`. `set_terminator()` says what the next message
ends with: bytes such as b'\r\n', a number of bytes, or None for no end.

What goes out, `push()` queues, and `push_with_producer()` for what is to be made piece by piece:
an object with a method `more()` that returns the next piece, and nothing at the end.

This is the module that Python 3.12 removed, on an engine written in Rust.
"""

import sys
from collections import deque

from asyncore_rs import asyncore
from asyncore_rs._engine import InBuffer as _InBuffer, engine as _engine

# Kept for whoever reads it; see asyncore.
_DEPRECATION_MSG = asyncore._DEPRECATION_MSG


def _deprecated(name, message=_DEPRECATION_MSG, *, remove):
    """Warns of nothing. Where the standard library's module warns when it is imported."""


class _Queue(deque):
    """A deque that tells the engine when something is put into it, whoever does."""

    _channel = 0  # the identity of the channel whose `producer_fifo` it is

    def append(self, item):
        deque.append(self, item)
        _engine.touch_id(self._channel)

    def appendleft(self, item):
        deque.appendleft(self, item)
        _engine.touch_id(self._channel)

    def extend(self, items):
        deque.extend(self, items)
        _engine.touch_id(self._channel)

    def extendleft(self, items):
        deque.extendleft(self, items)
        _engine.touch_id(self._channel)

    def insert(self, index, item):
        deque.insert(self, index, item)
        _engine.touch_id(self._channel)

    def __iadd__(self, items):
        self.extend(items)
        return self

    def __reduce__(self):
        return deque, (list(self),)


# It is printed as what it stands for.
_Queue.__name__ = 'deque'


class async_chat(asyncore.dispatcher):
    """A channel that speaks in messages.

    A subclass has `collect_incoming_data()` and `found_terminator()`, and sets a terminator.
    """

    ac_in_buffer_size = 65536
    ac_out_buffer_size = 65536

    # With `use_encoding`, text is taken where bytes are meant. Off, since it hides mistakes.
    use_encoding = 0
    encoding = 'latin-1'

    # Kept in the instance like other attributes; see `_engine.InBuffer` for why it is named here.
    ac_in_buffer = _InBuffer()

    def __init__(self, sock=None, map=None):
        self.ac_in_buffer = b''
        self.incoming = []
        self.producer_fifo = _Queue()
        self.producer_fifo._channel = id(self)
        asyncore.dispatcher.__init__(self, sock, map)

    def collect_incoming_data(self, data):
        raise NotImplementedError('must be implemented in subclass')

    def _collect_incoming_data(self, data):
        self.incoming.append(data)

    def _get_data(self):
        data = b''.join(self.incoming)
        del self.incoming[:]
        return data

    def found_terminator(self):
        raise NotImplementedError('must be implemented in subclass')

    def set_terminator(self, term):
        """Says what ends a message: bytes, a number of bytes, or None for nothing."""
        if isinstance(term, str) and self.use_encoding:
            term = bytes(term, self.encoding)
        elif isinstance(term, int) and term < 0:
            raise ValueError('the number of received bytes must be positive')
        self.terminator = term

    def get_terminator(self):
        return self.terminator

    def handle_read(self):
        _engine.chat_read(self)

    def handle_write(self):
        self.initiate_send()

    def handle_close(self):
        self.close()

    def push(self, data):
        _engine.chat_push(self, data)

    def push_with_producer(self, producer):
        self.producer_fifo.append(producer)
        self.initiate_send()

    def readable(self):
        return 1

    def writable(self):
        return self.producer_fifo or (not self.connected)

    def close_when_done(self):
        """Closes the channel once everything queued so far is sent."""
        self.producer_fifo.append(None)

    def initiate_send(self):
        _engine.chat_send(self)

    def _take_unread(self):
        if self.producer_fifo:
            raise RuntimeError(
                'the channel has unsent output; detach it when producer_fifo is empty')
        unread = bytes(self.ac_in_buffer)
        self.ac_in_buffer = b''
        return unread

    def discard_buffers(self):
        """Forgets what is queued, and what was received and not yet handled."""
        self.ac_in_buffer = b''
        del self.incoming[:]
        self.producer_fifo.clear()
        _engine.touch(self)


# What is more, `simple_producer` does not copy: its `data` becomes a view of what it was given.
_LARGE = 65536


class simple_producer:
    """Hands out `data` in pieces of `buffer_size`."""

    def __init__(self, data, buffer_size=512):
        self.data = data
        self.buffer_size = buffer_size

    def more(self):
        data = self.data
        if isinstance(data, bytes) and len(data) > _LARGE:
            data = memoryview(data)
        piece, rest = data[:self.buffer_size], data[self.buffer_size:]
        if isinstance(data, memoryview):
            piece = bytes(piece)
            if len(rest) <= _LARGE:
                rest = bytes(rest)
        self.data = rest
        return piece


def find_prefix_at_end(haystack, needle):
    """How many characters at the end of `haystack` are a beginning of `needle`.

    All of `needle` does not count; -1 if `needle` is empty.
    """
    length = len(needle) - 1
    while length > 0 and not haystack.endswith(needle[:length]):
        length -= 1
    return length


_engine.bind_chat(sys.modules['asyncore_rs.asynchat'])
