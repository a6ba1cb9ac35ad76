"""Channels in an asyncio loop: `asyncore.attach`, `run_async`, and sockets that change sides."""

import asyncio
import os
import socket
import threading

from asyncore_rs import asyncore, timers
from asyncore_rs._engine import engine as _engine, name as _engine_name

# The attachments of maps, by the identity of the map, which each keeps alive.
_attachments = {}

_IN, _OUT = 1, 4


def of(map):
    """The attachment of `map`, if it is attached."""
    return _attachments.get(id(map))


def attach(loop=None, map=None, *, interval=0.1, on_error=None):
    """Has a running asyncio loop run the channels of `map`, on its thread and without polling.

    `loop` is the running loop if it is None. Channels whose `readable` or `writable` is overridden
    are asked after each event, and every `interval` seconds. `on_error(error)` is called with an
    exception that leaves the handlers; without it, the attachment is closed, and `wait_empty()`
    raises the exception. `asyncore.loop()` fails on the map until the attachment is closed.
    """
    if loop is None:
        loop = asyncio.get_running_loop()
    if map is None:
        map = asyncore.socket_map
    return Attachment(loop, map, interval, on_error)


async def run_async(map=None, *, interval=0.1):
    """Runs the channels of `map` in the running asyncio loop until it is empty, as `loop()` does."""
    with attach(map=map, interval=interval) as attachment:
        await attachment.wait_empty()


class Attachment:
    """A map whose channels an asyncio loop runs, until `close()`; a context manager closes it."""

    def __init__(self, loop, map, interval, on_error):
        if type(map) is not dict:
            raise TypeError('an attached map must be a dict, not %s' % type(map).__name__)
        if interval <= 0:
            raise ValueError('the interval must be above 0 seconds, not %r' % (interval,))
        if of(map) is not None:
            raise RuntimeError('the map is attached already; close that attachment first')
        self._loop, self._map, self._interval, self._on_error = loop, map, interval, on_error
        self._thread = threading.get_ident()
        self._watched = {}  # by descriptor: the flags that the loop watches it for
        self._timer = None
        self._scheduled = False
        self._waiters = []
        self._error = None
        # Where each channel is watched by itself, one pass is for all events of a turn.
        self._ready = self._run if _engine_name == 'rust' else self._changed
        _engine.attach(map, self._changed)
        _attachments[id(map)] = self
        self._changed()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    @property
    def closed(self):
        return of(self._map) is not self

    def close(self):
        """Gives the map back. Channels stay open, and `asyncore.loop()` can run them."""
        if self.closed:
            return
        del _attachments[id(self._map)]
        for fd in list(self._watched):
            self._unwatch(fd)
        if self._timer is not None:
            self._timer.cancel()
        _engine.detach(self._map)
        self._finish()

    async def wait_empty(self):
        """Waits until the map is empty and no call is put off, or the attachment is closed."""
        if not self.closed and not self._is_empty():
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _is_empty(self):
        return not self._map and not timers.pending(self._map)

    def _finish(self):
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _changed(self, removed=None):
        """Called by the engine when channels change, and by timers."""
        if removed in self._watched:
            self._unwatch(removed)  # before its socket is closed
        if not self._scheduled:
            self._scheduled = True
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self._run)
            else:
                self._loop.call_soon_threadsafe(self._run)

    def _run(self):
        if self.closed:
            return
        self._scheduled = True  # what changes during the pass is found by the pass
        try:
            descriptors, due, asks = _engine.attached_pass(self._map)
        except (KeyboardInterrupt, SystemExit):
            self._scheduled = False
            self._schedule(0.0)
            raise
        except BaseException as error:
            self._scheduled = False
            self._fail(error)
            return
        self._scheduled = False
        if self.closed:
            return
        if not self._watch(descriptors):
            due = 0.0
        times = [due, timers.wait(self._map), self._interval if asks else None]
        self._schedule(min((time for time in times if time is not None), default=None))
        if self._is_empty():
            self._finish()

    def _fail(self, error):
        if self._on_error is not None:
            self._on_error(error)
            self._changed()
            return
        self._error = error
        if not self._waiters:
            self._loop.call_exception_handler(
                {'message': 'an exception left the channels of an attached map, which is closed',
                 'exception': error})
        self.close()

    def _schedule(self, delay):
        """Has a pass made after `delay` seconds, or earlier."""
        timer = self._timer
        if delay is None:
            return
        when = self._loop.time() + delay
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timer = self._loop.call_later(delay, self._due)

    def _due(self):
        self._timer = None
        self._run()

    def _watch(self, descriptors):
        """Watches these, and no others. False if the loop cannot watch one of them."""
        if len(descriptors) == len(self._watched) and all(
                self._watched.get(fd) == flags for fd, flags in descriptors):
            return True
        wanted = dict(descriptors)
        for fd in [fd for fd in self._watched if fd not in wanted]:
            self._unwatch(fd)
        complete = True
        for fd, flags in wanted.items():
            try:
                self._watch_one(fd, flags)
            except (OSError, ValueError):  # a regular file, or no open file
                complete = False
        return complete

    def _watch_one(self, fd, flags):
        before = self._watched.get(fd, 0)
        for flag, add, remove in ((_IN, self._loop.add_reader, self._loop.remove_reader),
                                  (_OUT, self._loop.add_writer, self._loop.remove_writer)):
            if flags & flag and not before & flag:
                add(fd, self._ready)
            elif before & flag and not flags & flag:
                remove(fd)
            self._watched[fd] = before = before & ~flag | flags & flag
        if not before:
            del self._watched[fd]

    def _unwatch(self, fd):
        flags = self._watched.pop(fd)
        if flags & _IN:
            self._loop.remove_reader(fd)
        if flags & _OUT:
            self._loop.remove_writer(fd)


def from_transport(transport):
    """Takes the socket of an asyncio transport, for a channel; the transport ends.

    The transport must have sent what was written to it, and have no TLS.
    """
    if transport.get_extra_info('ssl_object') is not None:
        raise TypeError('the socket of a TLS transport cannot be taken: the transport has its keys')
    if transport.get_write_buffer_size():
        raise RuntimeError('the transport has unsent output; wait until it is sent')
    sock = socket.socket(fileno=os.dup(transport.get_extra_info('socket').fileno()))
    transport.abort()  # closes its descriptor; the connection has another one
    return sock


async def from_streams(reader, writer):
    """Takes the socket of asyncio streams: (socket, unread input), for `channel.feed(unread)`."""
    writer.transport.set_write_buffer_limits(0)
    await writer.drain()
    writer.transport.pause_reading()
    sock = from_transport(writer.transport)
    reader.feed_eof()
    return sock, await reader.read()
