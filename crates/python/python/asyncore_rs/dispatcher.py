"""A channel: `asyncore.dispatcher`."""

import socket
from errno import (
    EAGAIN, EALREADY, EBADF, ECONNABORTED, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EWOULDBLOCK,
    errorcode)

from asyncore_rs import _engine, asyncore

# It is asyncore's, and so is what it uses: a program may have put something else there.
__name__ = 'asyncore'


class dispatcher:
    """A channel: a socket, and the methods that the loop calls for it."""

    debug = False
    connected = False
    accepting = False
    connecting = False
    closing = False
    addr = None
    ignore_log_types = frozenset({'warning'})

    # When a listener for whose connections there were no descriptors tries again.
    _accept_resumes = None

    def __init__(self, sock=None, map=None):
        self._map = asyncore.socket_map if map is None else map
        self._fileno = None
        if not sock:
            self.socket = None
            return
        sock.setblocking(False)
        self.set_socket(sock, map)
        self.connected = True
        try:
            self.addr = sock.getpeername()
        except OSError as why:
            if why.errno not in (ENOTCONN, EINVAL):
                # Not usable in any way; left in the map it would be polled for ever.
                self.del_channel(map)
                raise
            self.connected = False

    def __repr__(self):
        cls = type(self) if not hasattr(self, '__class__') else self.__class__
        words = [cls.__module__ + '.' + cls.__qualname__]
        if self.accepting and self.addr:
            words.append('listening')
        elif self.connected:
            words.append('connected')
        if self.addr is not None:
            try:
                words.append('%s:%d' % self.addr)
            except TypeError:
                words.append(repr(self.addr))
        return '<%s at %#x>' % (' '.join(words), id(self))

    # What the map knows of the channel.

    def add_channel(self, map=None):
        if map is None:
            map = self._map
        map[self._fileno] = self
        _engine.added(map, self._fileno, self)

    def del_channel(self, map=None):
        fd = self._fileno
        if map is None:
            map = self._map
        if fd in map:
            _engine.removed(map, fd)
            del map[fd]
        self._fileno = None

    def create_socket(self, family=socket.AF_INET, type=socket.SOCK_STREAM):
        self.family_and_type = family, type
        sock = asyncore.socket.socket(family, type)
        sock.setblocking(False)
        self.set_socket(sock)

    def set_socket(self, sock, map=None):
        self.socket = sock
        self._fileno = sock.fileno()
        self.add_channel(map)

    def set_reuse_addr(self):
        try:
            option = asyncore.socket.SOL_SOCKET, asyncore.socket.SO_REUSEADDR
            self.socket.setsockopt(*option, self.socket.getsockopt(*option) | 1)
        except OSError:
            pass

    # What the channel waits for.

    def readable(self):
        return True

    def writable(self):
        return True

    # What a socket can do.

    def listen(self, num):
        self.accepting = True
        _engine.touch(self)
        if asyncore.os.name == 'nt' and num > 5:
            num = 5
        return self.socket.listen(num)

    def bind(self, addr):
        self.addr = addr
        return self.socket.bind(addr)

    def connect(self, address):
        self.connected = False
        self.connecting = True
        _engine.touch(self)
        err = self.socket.connect_ex(address)
        if (err in (EINPROGRESS, EALREADY, EWOULDBLOCK)
                or err == EINVAL and asyncore.os.name == 'nt'):
            self.addr = address
        elif err in (0, EISCONN):
            self.addr = address
            self.handle_connect_event()
        else:
            raise OSError(err, errorcode[err])

    def accept(self):
        """The next connection as a pair of socket and address, or None if there is none."""
        try:
            conn, addr = self.socket.accept()
        except TypeError:
            return None
        except OSError as why:
            if why.errno in (EWOULDBLOCK, ECONNABORTED, EAGAIN):
                return None
            if why.errno in asyncore._EXHAUSTED and asyncore.accept_pause > 0:
                self._accept_resumes = asyncore.time.monotonic() + asyncore.accept_pause
                _engine.a_listener_rests()
                self.log_info('cannot accept a connection, trying again in %g s: %s'
                              % (asyncore.accept_pause, why), 'error')
                return None
            raise
        return conn, addr

    def send(self, data):
        try:
            return self.socket.send(data)
        except OSError as why:
            if why.errno == EWOULDBLOCK:
                return 0
            if why.errno in asyncore._DISCONNECTED:
                self.handle_close()
                return 0
            if _wants_more(why):
                return 0
            raise

    def recv(self, buffer_size):
        """Up to `buffer_size` bytes; none if the channel was closed, or nothing is there yet."""
        try:
            data = self.socket.recv(buffer_size)
        except OSError as why:
            if why.errno in asyncore._DISCONNECTED:
                self.handle_close()
                return b''
            if not asyncore.spurious_errors and (why.errno == EWOULDBLOCK or _wants_more(why)):
                return b''
            raise
        if not data:
            self.handle_close()
            return b''
        return data

    def close(self):
        self.connected = False
        self.accepting = False
        self.connecting = False
        self.del_channel()
        if self.socket is not None:
            try:
                self.socket.close()
            except OSError as why:
                if why.errno not in (ENOTCONN, EBADF):
                    raise

    # What is said: `log` for what a server records, `log_info` for everything else.

    def log(self, message):
        asyncore.sys.stderr.write('log: %s\n' % str(message))

    def log_info(self, message, type='info'):
        if type not in self.ignore_log_types:
            print('%s: %s' % (type, message))

    # What the loop calls.

    def handle_read_event(self):
        if self.accepting:
            self.handle_accept()
            return
        if not self.connected and self.connecting and not self._connects():
            return
        self.handle_read()

    def handle_write_event(self):
        if self.accepting:
            return
        if not self.connected and self.connecting and not self._connects():
            return
        self.handle_write()

    def _connects(self):
        """Handles that the connection stands; tells whether the channel outlived that."""
        fd = self._fileno
        self.handle_connect_event()
        return fd is None or self._fileno is not None

    def handle_connect_event(self):
        err = self.socket.getsockopt(asyncore.socket.SOL_SOCKET, asyncore.socket.SO_ERROR)
        if err != 0:
            raise OSError(err, asyncore._strerror(err))
        fd = self._fileno
        self.handle_connect()
        if fd is not None and self._fileno is None:
            return  # closed by handle_connect
        self.connected = True
        self.connecting = False
        _engine.touch(self)

    def handle_expt_event(self):
        # Either an error or a byte out of band; only the former shows in SO_ERROR.
        if self.socket.getsockopt(asyncore.socket.SOL_SOCKET, asyncore.socket.SO_ERROR) != 0:
            self.handle_close()
        else:
            self.handle_expt()

    # What a subclass overrides.

    def handle_error(self):
        _, kind, value, trace = asyncore.compact_traceback()
        try:
            self_repr = repr(self)
        except:
            self_repr = '<__repr__(self) failed for object at %0x>' % id(self)
        self.log_info('uncaptured python exception, closing channel %s (%s:%s %s)'
                      % (self_repr, kind, value, trace), 'error')
        self.handle_close()

    def handle_expt(self):
        self.log_info('unhandled incoming priority event', 'warning')

    def handle_read(self):
        self.log_info('unhandled read event', 'warning')

    def handle_write(self):
        self.log_info('unhandled write event', 'warning')

    def handle_connect(self):
        self.log_info('unhandled connect event', 'warning')

    def handle_accept(self):
        listener = self.socket
        pair = self.accept()
        if pair is None:
            return
        self.handle_accepted(*pair)
        if (asyncore.accept_burst > 1
                and isinstance(listener, asyncore._Socket) and listener.gettimeout() == 0
                and _is_stock(self, 'accept', dispatcher.accept)):
            for _ in range(asyncore.accept_burst - 1):
                if self.socket is not listener or not self.accepting:
                    return
                pair = self.accept()
                if pair is None:
                    return
                self.handle_accepted(*pair)

    def handle_accepted(self, sock, addr):
        sock.close()
        self.log_info('unhandled accepted event', 'warning')

    def handle_close(self):
        self.log_info('unhandled close event', 'warning')
        self.close()


def _is_stock(channel, name, function):
    return getattr(type(channel), name) is function and name not in vars(channel)


def _wants_more(why):
    """Whether an SSL socket only said that it needs more bytes, or room for them."""
    ssl = asyncore.sys.modules.get('ssl')
    return ssl is not None and isinstance(why, (ssl.SSLWantReadError, ssl.SSLWantWriteError))
