"""Dialogues on the engine in Python: what was received is split, what is queued is sent."""

# What is less than this is copied at once: that costs less than to remember where it begins.
_COPIED = 256

# In an instance's dictionary, instead of `ac_in_buffer`: a `_Rest` that stands for it.
_REST = '_rest_of_ac_in_buffer'


class _Rest:
    __slots__ = 'data', 'at'

    def __init__(self, data, at):
        self.data, self.at = data, at


class InBuffer:
    """What `async_chat` has as `ac_in_buffer`, for instances that have a `_Rest`."""

    def __get__(self, object, owner=None):
        if object is None:
            return self
        own = vars(object)
        if _REST not in own:
            raise AttributeError('%r object has no attribute %r'
                                 % (type(object).__name__, 'ac_in_buffer'))
        rest = own.pop(_REST)
        own['ac_in_buffer'] = data = rest.data[rest.at:]
        return data


class Chat:
    """What the engine does for `async_chat`."""

    def bind_chat(self, module):
        self._in_buffer = module.async_chat.ac_in_buffer

    def chat_read(self, channel):
        try:
            data = channel.recv(channel.ac_in_buffer_size)
        except BlockingIOError:
            return
        except OSError:
            channel.handle_error()
            return
        if isinstance(data, str) and channel.use_encoding:
            data = bytes(data, channel.encoding)
        lazy = getattr(type(channel), 'ac_in_buffer', None) is self._in_buffer
        window = _Window(channel, vars(channel) if lazy else None, _to_bytes(data))
        try:
            _split(channel, window)
        finally:
            window.finish()

    def chat_push(self, channel, data):
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError('data argument must be byte-ish (%r)' % type(data))
        size = channel.ac_out_buffer_size
        if len(data) > size:
            for start in range(0, len(data), max(size, 1)):
                channel.producer_fifo.append(data[start:start + size])
        else:
            channel.producer_fifo.append(data)
        channel.initiate_send()

    def chat_send(self, channel):
        while channel.producer_fifo and channel.connected:
            if not _send_first(channel, channel.producer_fifo):
                return


class _Window:
    """The buffer of one channel, as the scanner goes along it.

    The attribute follows only where a callback could look.
    """

    def __init__(self, channel, own, data):
        self.channel = channel
        # None where a subclass replaced `InBuffer`, and only ordinary bytes will do.
        self.own = own
        self.attribute = channel.ac_in_buffer
        held = _to_bytes(self.attribute)
        self.moved = bool(data)
        self.data = held + data if data and held else data or held
        self.at = 0
        self.rest = None

    def is_empty(self):
        return self.at == len(self.data)

    def advance(self, count):
        """Takes `count` bytes off the beginning."""
        self.at = min(self.at + count, len(self.data))
        self.moved = True

    def clear(self):
        self.advance(len(self.data))

    def call(self, method, *arguments):
        """Calls what may look at the attribute, or change it."""
        if self.moved:
            self._show()
        result = method(*arguments)
        self._look()
        return result

    def _show(self):
        if self.own is None or self.at == 0 or len(self.data) - self.at <= _COPIED:
            self._set()
        elif self.rest is not None:
            self.rest.at = self.at
        else:
            self.rest = self.own[_REST] = _Rest(self.data, self.at)
            del self.own['ac_in_buffer']
        self.moved = False

    def _set(self):
        if self.rest is not None:
            self.rest = None
            del self.own[_REST]
        elif self.is_empty() and self.attribute == b'' and type(self.attribute) is bytes:
            return
        self.data, self.at = self.data[self.at:], 0
        self.attribute = self.data
        if self.own is None:
            self.channel.ac_in_buffer = self.data
        else:
            self.own['ac_in_buffer'] = self.data

    def _look(self):
        """Takes what has become of the attribute."""
        stood_in = self.rest is not None
        if stood_in and not self._is_exchanged():
            return
        value = self.channel.ac_in_buffer
        if stood_in or value is not self.attribute:
            self.data, self.at, self.attribute = _to_bytes(value), 0, value

    def _is_exchanged(self):
        """Whether the attribute is there by now for which a `_Rest` stood."""
        if 'ac_in_buffer' not in self.own:
            return False
        self.rest = None
        self.own.pop(_REST, None)
        return True

    def finish(self):
        if self.rest is not None and self._is_exchanged():
            self.moved = False
        if self.moved or self.rest is not None:
            self._set()


def _split(channel, window):
    """Hands out the messages in the window, up to what can be the beginning of a terminator."""
    while not window.is_empty():
        terminator = window.call(channel.get_terminator)
        data, at = window.data, window.at
        length = len(data) - at
        if not terminator:
            window.call(channel.collect_incoming_data, data[at:])
            window.clear()
        elif isinstance(terminator, int):
            _counted(channel, window, terminator, length)
        else:
            needle = _needle(terminator)
            found = data.find(needle, at)
            if found >= 0:
                if found > at:
                    window.call(channel.collect_incoming_data, data[at:found])
                window.advance(found - at + len(needle))
                window.call(channel.found_terminator)
                continue
            held = _prefix_at_end(data[max(at, len(data) - len(needle) + 1):], needle)
            if held < length:
                window.call(channel.collect_incoming_data, data[at:len(data) - held])
                window.advance(length - held)
            if held:
                return


def _counted(channel, window, number, length):
    data, at = window.data, window.at
    if number > length:
        window.call(channel.collect_incoming_data, data[at:])
        window.clear()
        channel.terminator -= length
        return
    # A number below zero counts from the end, as in a slice.
    end = number if number >= 0 else max(0, length + number)
    window.call(channel.collect_incoming_data, data[at:at + end])
    window.advance(end)
    channel.terminator = 0
    window.call(channel.found_terminator)


def _prefix_at_end(tail, needle):
    """How many bytes at the end of `tail` are a beginning of `needle`: from the last on, by the
    failure function of Knuth, Morris and Pratt.
    """
    if tail[-1:] and tail[-1] not in needle:
        return 0
    failure, matched = [0], 0
    for byte in needle[1:len(tail)]:
        while matched and needle[matched] != byte:
            matched = failure[matched - 1]
        matched += needle[matched] == byte
        failure.append(matched)
    matched = 0
    for byte in tail:
        while matched and needle[matched] != byte:
            matched = failure[matched - 1]
        matched += needle[matched] == byte
    return matched


def _needle(terminator):
    if not isinstance(terminator, (bytes, bytearray, memoryview)):
        raise TypeError('a terminator is bytes, a number or None, not %s'
                        % type(terminator).__name__)
    return bytes(terminator)


def _to_bytes(value):
    if type(value) is bytes:
        return value
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError('received data must be bytes, not %s; to receive text, set use_encoding'
                        % type(value).__name__)
    return bytes(value)


def _send_first(channel, fifo):
    """Sends the first of what is queued. True if it is gone, or if something is before it now."""
    first = fifo[0]
    if first is None:
        del fifo[0]
        channel.handle_close()
        return False
    size = channel.ac_out_buffer_size
    if isinstance(first, str) and channel.use_encoding:
        # In bytes from now on: the peer takes bytes, and a character may have several.
        fifo[0] = bytes(first, channel.encoding)
        return True
    try:
        data = first[:size]
    except TypeError:
        data = first.more()
        if data:
            fifo.appendleft(data)
        else:
            del fifo[0]
        return True
    if not len(first):
        del fifo[0]
        return True
    # Possibly what is left of bytes, so bytes are sent.
    data = bytes(data) if isinstance(data, memoryview) else data
    try:
        sent = channel.send(data)
    except OSError:
        channel.handle_error()
        return False
    # Sending can have ended the channel, and the queue with it.
    if sent and fifo and fifo[0] is first:
        if sent < len(first):
            # More than one sending is not copied.
            if type(first) is bytes and len(first) - sent > size:
                first = memoryview(first)
            fifo[0] = first[sent:]
        else:
            del fifo[0]
    return False
