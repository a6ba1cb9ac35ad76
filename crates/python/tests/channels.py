"""Channels that tests use, and that note what happens to them."""

import asynchat
import asyncore


class Chat(asynchat.async_chat):
    """Notes what is collected and found, together with what is left in the buffer."""

    def __init__(self, sock=None, map=None):
        super().__init__(sock, map)
        self.log = []

    def collect_incoming_data(self, data):
        assert type(data) is bytes
        self.log.append(data)

    def found_terminator(self):
        self.log.append('found')

    def messages(self):
        """The log with adjoining pieces joined: how the input was cut does not show."""
        joined = []
        for entry in self.log:
            if entry != 'found' and joined and joined[-1] != 'found':
                joined[-1] += entry
            else:
                joined.append(entry)
        return joined


class Collecting(asynchat.async_chat):
    def __init__(self, sock, map):
        super().__init__(sock, map)
        self.set_terminator(None)
        self.seen = []

    def collect_incoming_data(self, data):
        self.seen.append(data)


class Reader(asyncore.dispatcher):
    def __init__(self, sock, map):
        super().__init__(sock, map)
        self.seen, self.closes = [], 0

    def handle_read(self):
        data = self.recv(100)
        if data:
            self.seen.append(data)

    def handle_close(self):
        self.closes += 1
        self.close()


class LoggingReader(asyncore.dispatcher):
    """Reads a little at a time, and notes what it gets and how it ends."""

    size = 100

    def __init__(self, sock=None, map=None, log=None):
        super().__init__(sock, map)
        self.log = [] if log is None else log

    def writable(self):
        return False

    def handle_read(self):
        data = self.recv(self.size)
        if data:
            self.log.append(data)

    def handle_close(self):
        self.log.append('close')
        self.close()

    def handle_error(self):
        self.log.append('error')
        super().handle_error()


class Silent(asyncore.dispatcher):
    """Waits for input only."""

    def writable(self):
        return False


class Quiet(asyncore.dispatcher):
    """Reads and forgets."""

    def writable(self):
        return False

    def handle_read(self):
        self.recv(100)


def note(log, name, result=None):
    def hook(*args):
        log.append(name)
        return result
    return hook
