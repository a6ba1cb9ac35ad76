"""A channel with a buffer for output: `asyncore.dispatcher_with_send`."""

from asyncore_rs import _engine, asyncore

# It is asyncore's.
__name__ = 'asyncore'


class dispatcher_with_send(asyncore.dispatcher):
    """A channel that keeps what its socket does not take at once."""

    # `out_buffer` is bytes, and a bytearray while more is in it than is sent at once: so nothing
    # is copied again and again.

    def __init__(self, sock=None, map=None):
        asyncore.dispatcher.__init__(self, sock, map)
        self.out_buffer = b''

    def initiate_send(self):
        num_sent = asyncore.dispatcher.send(self, bytes(self.out_buffer[:65536]))
        if len(self.out_buffer) > 65536 and not isinstance(self.out_buffer, bytearray):
            self.out_buffer = bytearray(self.out_buffer)
        if isinstance(self.out_buffer, bytearray):
            del self.out_buffer[:num_sent]
            if not self.out_buffer:
                self.out_buffer = b''
        else:
            self.out_buffer = self.out_buffer[num_sent:]
        _engine.touch(self)

    def handle_write(self):
        self.initiate_send()

    def writable(self):
        return (not self.connected) or len(self.out_buffer)

    def send(self, data):
        if self.debug:
            self.log_info('sending %s' % repr(data))
        if isinstance(self.out_buffer, bytearray):
            self.out_buffer += data
        else:
            self.out_buffer = self.out_buffer + data
        self.initiate_send()
