"""Sockets that are handled by one loop: a channel is an object whose methods the loop calls.

A channel is a `dispatcher` around one socket. It overrides the `handle_*` methods that it has
an answer to, and says with `readable()` and `writable()` what it waits for; `loop()` asks the
operating system what is ready in the map of all channels, and calls the methods.

This is the module that Python 3.12 removed, on an engine written in Rust. Everything is where it
was; what the standard library's module did wrong is mended. Where a mend could be in the way of a
program that relied on the fault, a variable of this module brings the fault back:

=================== ======= ==========================================================
variable            default the other value, and what it does
=================== ======= ==========================================================
accept_burst        64      1: one connection is accepted for each pass of the loop
accept_pause        1.0     0: no descriptor left for `accept` is an error, which by
                            default closes the listener; otherwise it rests so long
idle_writes         False   True: a connected channel that overrides neither `writable`
                            nor a write handler gets `handle_write` in every pass
read_before_close   True    False: when input and hang-up come together, `handle_close`
                            follows the first `handle_read`, and the rest is lost
spurious_errors     False   True: `recv` raises BlockingIOError when there is nothing
                            to read after all, and SSL's errors for want of more bytes
watch_threshold     64      a map of more channels is watched by a set that is kept
                            from pass to pass; None: every map is asked anew each time
=================== ======= ==========================================================

Variables are looked up when they are needed, as `socket_map` and `poll` are.

*What the kept set relies on.* A map of at most `watch_threshold` channels is asked anew in each
pass: predicates, descriptors, everything. In a larger one

- a channel is asked in each pass whose class or instance has a `readable` or `writable` of its own
  (found out as soon as it is put into the class), which is a `dispatcher_with_send`, or whose
  `producer_fifo` is not the one it was made with;
- any other is asked after it had an event, and after its methods here, or whoever puts something
  into its `producer_fifo`, have changed it;
- what happens in another way, while a loop runs, is found when all are asked after all, which is
  done so often that it takes a twentieth of the time (some milliseconds to some tens of them), and
  before the loop sleeps any longer. That is a `readable` or `writable` put on the *instance*,
  `connected` set or `producer_fifo` exchanged, by code that no event of that very channel has
  called; an entry put into the map by hand while another was taken out; a descriptor closed, or
  replaced, behind the back of its channel.

An event is delivered only if a fresh poll(2) of the descriptor confirms it, if the present answers
of the channel ask for it, and to nobody but the object that it was meant for. Files that epoll does
not take are asked by poll(2) in each pass, and so is every number that stands for no open file.
After a fork the child makes a set of its own.

Whether a class has overridden the methods that handle events is looked up once in a pass.
"""

import os
import select
import socket
import sys
import time
import warnings
from errno import (
    EAGAIN, EALREADY, EBADF, ECONNABORTED, ECONNRESET, EINPROGRESS, EINVAL, EISCONN, EMFILE,
    ENFILE, ENOBUFS, ENOMEM, ENOTCONN, EPIPE, ESHUTDOWN, EWOULDBLOCK, errorcode)

from asyncore_rs._engine import engine as _engine

# Kept for whoever reads it. Nothing here warns: that the module is gone from the standard library
# is why this one was installed, and a program run with `-W error` is to run.
_DEPRECATION_MSG = ('The {name} module is deprecated and will be removed in '
                    'Python {remove}. The recommended replacement is asyncio')


class ExitNow(Exception):
    """Raised by a handler, ends the loop."""


_reraised_exceptions = (ExitNow, KeyboardInterrupt, SystemExit)
_DISCONNECTED = frozenset({ECONNRESET, ENOTCONN, ESHUTDOWN, ECONNABORTED, EPIPE, EBADF})
_EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})

accept_burst = 64
accept_pause = 1.0
idle_writes = False
read_before_close = True
spurious_errors = False
watch_threshold = 64

try:
    socket_map
except NameError:  # kept when the module is reloaded
    socket_map = {}

_Socket = socket.socket


def _who_wants_to_write(channels):
    """What the engine asks many channels at a time; called from Python, methods cost less."""
    return [channel for channel in channels if channel.writable()]


def _strerror(err):
    try:
        return os.strerror(err)
    except (ValueError, OverflowError, NameError):
        return errorcode.get(err, 'Unknown error %s' % err)


def read(obj):
    try:
        obj.handle_read_event()
    except _reraised_exceptions:
        raise
    except:
        obj.handle_error()


def write(obj):
    try:
        obj.handle_write_event()
    except _reraised_exceptions:
        raise
    except:
        obj.handle_error()


def _exception(obj):
    try:
        obj.handle_expt_event()
    except _reraised_exceptions:
        raise
    except:
        obj.handle_error()


def readwrite(obj, flags):
    try:
        if flags & select.POLLIN:
            obj.handle_read_event()
        if flags & select.POLLOUT:
            obj.handle_write_event()
        if flags & select.POLLPRI:
            obj.handle_expt_event()
        if flags & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            obj.handle_close()
    except OSError as why:
        if why.errno in _DISCONNECTED:
            obj.handle_close()
        else:
            obj.handle_error()
    except _reraised_exceptions:
        raise
    except:
        obj.handle_error()


def _report(obj, error):
    """Hands `error`, raised under the engine's eyes, to `obj`, as the exception being handled."""
    try:
        raise error
    except _reraised_exceptions:
        raise
    except:
        obj.handle_error()


def _report_poll(obj, error):
    """As `_report`, for `poll2`: there, a broken connection is closed and not an error."""
    try:
        raise error
    except OSError as why:
        if why.errno in _DISCONNECTED:
            obj.handle_close()
        else:
            obj.handle_error()
    except _reraised_exceptions:
        raise
    except:
        obj.handle_error()


def compact_traceback():
    """Where the exception being handled was raised, its class, itself, and the way it took."""
    kind, value, trace = sys.exc_info()
    if not trace:
        raise AssertionError('traceback does not exist')
    places = []
    while trace:
        code = trace.tb_frame.f_code
        places.append((code.co_filename, code.co_name, str(trace.tb_lineno)))
        trace = trace.tb_next
    return places[-1], kind, value, ' '.join(['[%s|%s|%s]' % place for place in places])


def poll(timeout=0.0, map=None):
    if map is None:
        map = socket_map
    _engine.select_pass(timeout, map)


def poll2(timeout=0.0, map=None):
    if map is None:
        map = socket_map
    _engine.poll_pass(timeout, map)


poll3 = poll2


def _poll_watched(timeout=0.0, map=None):
    if map is None:
        map = socket_map
    _engine.watched_pass(timeout, map)


def loop(timeout=30.0, use_poll=False, map=None, count=None, poller=None):
    """Polls until the map is empty and no call is put off, or `count` times.

    `timeout` is the longest wait of one pass, in seconds. `poller` is None for what `use_poll`
    says, "select" or "poll" for the order of events of `poll` or `poll2`, or "epoll": that of
    `poll2`, on the kept set, which in a large map has no regular checks then. That is for
    programs that change channels through their methods only.
    """
    if map is None:
        map = socket_map
    if poller is None:
        poller = 'poll' if use_poll else 'select'
    if poller == 'select':
        poll_fun = poll
    elif poller == 'poll':
        poll_fun = poll2
    elif poller == 'epoll':
        poll_fun = _poll_watched
    else:
        raise ValueError('poller must be "select", "poll", "epoll" or None, not %r' % (poller,))
    if _attached(map):
        raise RuntimeError('an asyncio loop runs the channels of this map; '
                           'close the attachment first, or await its wait_empty()')
    _engine.hold(map)
    try:
        if count is None:
            while map or _timers.pending(map):
                poll_fun(timeout, map)
        else:
            while (map or _timers.pending(map)) and count > 0:
                poll_fun(timeout, map)
                count -= 1
    finally:
        _engine.release(map)


def _attached(map):
    """Whether an asyncio loop has the map; asyncio is imported by programs that use it only."""
    attachment = sys.modules.get('asyncore_rs.attachment')
    return attachment is not None and attachment.of(map) is not None


def close_all(map=None, ignore_all=False):
    if map is None:
        map = socket_map
    for channel in list(map.values()):
        try:
            channel.close()
        except OSError as why:
            if why.errno != EBADF and not ignore_all:
                raise
        except _reraised_exceptions:
            raise
        except:
            if not ignore_all:
                raise
    map.clear()


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
        self._map = socket_map if map is None else map
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
        sock = socket.socket(family, type)
        sock.setblocking(False)
        self.set_socket(sock)

    def set_socket(self, sock, map=None):
        self.socket = sock
        self._fileno = sock.fileno()
        self.add_channel(map)

    def detach(self):
        """Gives the socket away, open: returns it with the input that was not handled.

        `await asyncio.open_connection(sock=...)` takes such a socket.
        """
        sock, unread = self.socket, self._take_unread()
        self.connected = self.accepting = self.connecting = False
        self.del_channel()
        self.socket = None
        return sock, unread

    def _take_unread(self):
        """Empties the channel for `detach`; an error if that would lose output."""
        return b''

    def feed(self, data):
        """Handles input that was received before the socket was this channel's."""
        def recv(buffer_size):
            nonlocal data
            piece, data = data[:buffer_size], data[buffer_size:]
            return piece
        self.recv = recv  # for as long as there is such input
        try:
            left = None
            while data and len(data) != left and self.socket is not None:
                left = len(data)
                self.handle_read()
        finally:
            del self.recv

    def set_reuse_addr(self):
        try:
            option = socket.SOL_SOCKET, socket.SO_REUSEADDR
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
        if os.name == 'nt' and num > 5:
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
                or err == EINVAL and os.name == 'nt'):
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
            if why.errno in _EXHAUSTED and accept_pause > 0:
                self._accept_resumes = time.monotonic() + accept_pause
                _engine.listener_paused()
                self.log_info('cannot accept a connection, trying again in %g s: %s'
                              % (accept_pause, why), 'error')
                return None
            raise
        return conn, addr

    def send(self, data):
        try:
            return self.socket.send(data)
        except OSError as why:
            if why.errno == EWOULDBLOCK:
                return 0
            if why.errno in _DISCONNECTED:
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
            if why.errno in _DISCONNECTED:
                self.handle_close()
                return b''
            if not spurious_errors and (why.errno == EWOULDBLOCK or _wants_more(why)):
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
        sys.stderr.write('log: %s\n' % str(message))

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
        err = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if err != 0:
            raise OSError(err, _strerror(err))
        fd = self._fileno
        self.handle_connect()
        if fd is not None and self._fileno is None:
            return  # closed by handle_connect
        self.connected = True
        self.connecting = False
        _engine.touch(self)

    def handle_expt_event(self):
        # Either an error or a byte out of band; only the former shows in SO_ERROR.
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            self.handle_close()
        else:
            self.handle_expt()

    # What a subclass overrides.

    def handle_error(self):
        _, kind, value, trace = compact_traceback()
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
        if (accept_burst > 1
                and isinstance(listener, _Socket) and listener.gettimeout() == 0
                and _is_stock(self, 'accept', dispatcher.accept)):
            for _ in range(accept_burst - 1):
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
    ssl = sys.modules.get('ssl')
    return ssl is not None and isinstance(why, (ssl.SSLWantReadError, ssl.SSLWantWriteError))


class dispatcher_with_send(dispatcher):
    """A channel that keeps what its socket does not take at once."""

    # `out_buffer` is bytes, and a bytearray while more is in it than is sent at once: so nothing
    # is copied again and again.

    def __init__(self, sock=None, map=None):
        dispatcher.__init__(self, sock, map)
        self.out_buffer = b''

    def initiate_send(self):
        num_sent = dispatcher.send(self, bytes(self.out_buffer[:65536]))
        if len(self.out_buffer) > 65536 and not isinstance(self.out_buffer, bytearray):
            self.out_buffer = bytearray(self.out_buffer)
        if isinstance(self.out_buffer, bytearray):
            del self.out_buffer[:num_sent]
            if not self.out_buffer:
                self.out_buffer = b''
        else:
            self.out_buffer = self.out_buffer[num_sent:]
        _engine.touch(self)

    def _take_unread(self):
        if self.out_buffer:
            raise RuntimeError('the channel has unsent output; detach it when out_buffer is empty')
        return b''

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


if os.name == 'posix':
    class file_wrapper:
        """A file that looks enough like a socket for a channel. It has a descriptor of its own."""

        def __init__(self, fd):
            self.fd = os.dup(fd)

        def __del__(self):
            if self.fd >= 0:
                warnings.warn('unclosed file %r' % self, ResourceWarning, source=self)
            self.close()

        def recv(self, *args):
            return os.read(self.fd, *args)

        def send(self, *args):
            return os.write(self.fd, *args)

        def getsockopt(self, level, optname, buflen=None):
            if level == socket.SOL_SOCKET and optname == socket.SO_ERROR and not buflen:
                return 0
            raise NotImplementedError('Only asyncore specific behaviour implemented.')

        read = recv
        write = send

        def close(self):
            if self.fd < 0:
                return
            fd, self.fd = self.fd, -1
            os.close(fd)

        def fileno(self):
            return self.fd


    class file_dispatcher(dispatcher):
        """A channel on a file: a pipe, a terminal, a regular file."""

        def __init__(self, fd, map=None):
            dispatcher.__init__(self, None, map)
            self.connected = True
            try:
                fd = fd.fileno()
            except AttributeError:
                pass
            self.set_file(fd)
            os.set_blocking(fd, False)

        def set_file(self, fd):
            self.socket = file_wrapper(fd)
            self._fileno = self.socket.fileno()
            self.add_channel()


# They use what is above.
from asyncore_rs import timers as _timers  # noqa: E402
from asyncore_rs.timers import call_every, call_later  # noqa: E402
from asyncore_rs.trigger import Trigger  # noqa: E402

_engine.bind(sys.modules['asyncore_rs.asyncore'])


def __getattr__(name):
    if name in ('attach', 'run_async', 'from_transport', 'from_streams'):
        from asyncore_rs import attachment  # imports asyncio, which few programs need
        globals()[name] = value = getattr(attachment, name)
        return value
    raise AttributeError('module %r has no attribute %r' % (__name__, name))
