"""Waking the loop from other threads: `asyncore.Trigger`."""

import collections
import socket
import threading

from asyncore_rs import asyncore


class Trigger(asyncore.dispatcher):
    """A channel that other threads wake the loop with, and through it.

    `pull_trigger(thunk)` may be called from any thread, and from a signal handler. The loop then
    calls `thunk()` on its own thread, where every channel may be touched. At most `limit` calls
    wait at a time. The trigger is a channel like others: `loop()` does not end while it is open.
    """

    limit = 1024

    def __init__(self, map=None):
        reading, self._bell = socket.socketpair()
        self._thunks = collections.deque()
        self._closing = threading.RLock()
        self._bell.setblocking(False)
        asyncore.dispatcher.__init__(self, reading, map)

    def pull_trigger(self, thunk=None):
        """Wakes the loop, to call `thunk()` if one is given.

        Raises OSError if the trigger is closed, and RuntimeError if `limit` calls wait already.
        """
        with self._closing:
            if self._bell is None:
                raise OSError(asyncore.EBADF, 'the trigger is closed')
            if thunk is not None:
                if len(self._thunks) >= self.limit:
                    raise RuntimeError('%d calls wait for the loop already' % self.limit)
                self._thunks.append(thunk)
            try:
                self._bell.send(b'x')
            except BlockingIOError:
                pass  # so many bytes are there that it wakes up anyway

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_read(self):
        self.recv(65536)
        for _ in range(len(self._thunks)):
            thunk = self._thunks.popleft()
            try:
                thunk()
            except asyncore._reraised_exceptions:
                raise
            except:
                _, kind, value, trace = asyncore.compact_traceback()
                self.log_info('uncaptured python exception in a trigger, %r (%s:%s %s)'
                              % (thunk, kind, value, trace), 'error')

    def handle_expt(self):
        pass

    def handle_close(self):
        self.close()

    def close(self):
        with self._closing:
            bell, self._bell = self._bell, None
            if bell is not None:
                bell.close()
        asyncore.dispatcher.close(self)
