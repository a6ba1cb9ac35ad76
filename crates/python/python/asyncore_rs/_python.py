"""The engine in Python: the same passes, on select and poll, and without a kept set.

Every map is asked anew in each pass, so what a compiled engine has to be told about channels is
of no interest here.
"""

import math
import sys
import time

from asyncore_rs._python_chat import Chat, InBuffer

__all__ = ['Engine', 'InBuffer']

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None

# The numbers of poll(2), which also stand for what select reports.
IN, PRI, OUT, ERR, HUP, NVAL = 1, 2, 4, 8, 16, 32
# What select calls readable and writable, in terms of poll.
_READS, _WRITES = IN | HUP | ERR, OUT | ERR
_ENDS = HUP | ERR | NVAL

# The longest single wait in seconds; a pass may end without events.
_LONGEST = 24 * 60 * 60.0

# How often input that an SSL socket holds decrypted is offered in a row.
_MAX_PENDING_READS = 1 << 16


class _Ready:
    """A channel that is waited for."""

    __slots__ = 'key', 'object', 'fd', 'wanted', 'came'

    def __init__(self, key, object, fd, wanted):
        self.key, self.object, self.fd, self.wanted, self.came = key, object, fd, wanted, 0


class Engine(Chat):
    def bind(self, module):
        self._asyncore = module
        self._originals = {name: getattr(module, name)
                           for name in ('read', 'write', '_exception', 'readwrite')}

    def _ignore(self, *arguments):
        """Of interest to a kept set only."""

    hold = release = listener_paused = timers_pending = _ignore

    # Attached maps, whose channels another loop watches.

    def __init__(self):
        self._attached = {}  # by the identity of the map: what to call about a change

    def attach(self, map, changed):
        self._attached[id(map)] = changed

    def detach(self, map):
        del self._attached[id(map)]

    def attached_pass(self, map):
        self.poll_pass(0.0, map)
        waiting, resumes = self._ask(map, self._poll_interest)
        due = None if resumes is None else max(0.0, resumes - time.monotonic())
        return [(one.fd, one.wanted) for one in waiting], due, bool(map)

    def added(self, map, key, object):
        if id(map) in self._attached:
            self._attached[id(map)]()

    def removed(self, map, key):
        if id(map) in self._attached:
            self._attached[id(map)](key)

    def touch(self, object):
        for changed in list(self._attached.values()):
            changed()

    touch_id = touch

    def select_pass(self, timeout, map):
        self._pass(timeout, map, self._select_interest, self._in_order_of_kind, self._wait_select)

    def poll_pass(self, timeout, map):
        self._pass(timeout, map, self._poll_interest, self._in_order_of_channel, self._wait_poll)

    watched_pass = poll_pass

    def _pass(self, timeout, map, interest, deliver, wait):
        timers = self._asyncore._timers
        if map or timers.pending(map):
            timeout = _checked(timeout, endless=wait == self._wait_poll)
            due = timers.wait(map)
            if due is not None:
                timeout = due if timeout is None else min(due, timeout)
            self._ask_all(timeout, map, interest, deliver, wait)
        timers.run_due(map)

    def _ask_all(self, timeout, map, interest, deliver, wait):
        waiting, resumes = self._ask(map, interest)
        if resumes is not None:
            left = max(0.0, resumes - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        # A predicate, or another thread, can have closed a channel that was asked before.
        waiting = [one for one in waiting if _is_current(map, one)]
        wait(waiting, timeout)
        deliver(map, [one for one in waiting if one.came])

    def _ask(self, map, interest):
        """Who waits, and when the first of the paused listeners tries again."""
        waiting, resumes = [], None
        for key, object in list(map.items()):
            wanted = None
            readable = object.readable()
            paused_until = getattr(object, '_accept_resumes', None)
            if paused_until is not None and paused_until > time.monotonic():
                resumes = paused_until if resumes is None else min(paused_until, resumes)
            else:
                wanted = interest(object, readable)
            if wanted is not None:
                waiting.append(_Ready(key, object, _descriptor(key), wanted))
        return waiting, resumes

    # What a channel waits for.

    def _select_interest(self, object, readable):
        writable = object.writable()
        if not readable and not writable:
            return None
        return (IN if readable else 0) | self._writes(object, writable) | PRI

    def _poll_interest(self, object, readable):
        writable = object.writable()
        if not readable and (not writable or object.accepting):
            return None
        return (IN | PRI if readable else 0) | self._writes(object, writable)

    def _writes(self, object, writable):
        if not writable or object.accepting or self._is_idle(object):
            return 0
        return OUT

    def _is_idle(self, object):
        """Whether nothing that a write event brings about would be seen."""
        stock = self._asyncore.dispatcher
        return (not self._asyncore.idle_writes
                and isinstance(object, stock) and object.connected
                and all(getattr(type(object), name) is getattr(stock, name)
                        and name not in vars(object)
                        for name in ('writable', 'handle_write', 'handle_write_event')))

    # Waiting, with what the program may have put in the place of the system's functions.

    def _wait_select(self, waiting, timeout):
        select = self._asyncore.select
        if not waiting:
            self._asyncore.time.sleep(timeout)
        elif type(select.select) is type(len) and hasattr(select, 'poll'):
            _poll(select, waiting, timeout)  # the same, for any number of descriptors
        else:
            _select(select, waiting, timeout)

    def _wait_poll(self, waiting, timeout):
        select = self._asyncore.select
        if hasattr(select, 'poll'):
            _poll(select, waiting, timeout)
        else:
            self._wait_select(waiting, timeout)

    # Calling the methods of what is ready.

    def _in_order_of_kind(self, map, ready):
        for one in ready:
            if one.came & NVAL and _is_current(map, one):
                raise OSError(self._asyncore.EBADF, self._asyncore._strerror(self._asyncore.EBADF))
        for wanted, came, method, function in (
                (IN, _READS, 'handle_read_event', 'read'),
                (OUT, _WRITES, 'handle_write_event', 'write'),
                (PRI, PRI, 'handle_expt_event', '_exception')):
            replaced = self._replaced(function)
            for one in ready:
                if not one.wanted & wanted or not one.came & came or not _is_current(map, one):
                    continue
                if replaced:
                    replaced(one.object)
                    continue
                try:
                    self._event(map, one, method)
                except self._asyncore._reraised_exceptions:
                    raise
                except:
                    one.object.handle_error()

    def _in_order_of_channel(self, map, ready):
        replaced = self._replaced('readwrite')
        for one in ready:
            if not _is_current(map, one):
                continue
            if replaced:
                replaced(one.object, one.came)
                continue
            try:
                self._read_write(map, one)
            except OSError as why:
                if why.errno in self._asyncore._DISCONNECTED:
                    one.object.handle_close()
                else:
                    one.object.handle_error()
            except self._asyncore._reraised_exceptions:
                raise
            except:
                one.object.handle_error()

    def _read_write(self, map, one):
        came = one.came
        unread = None
        if came & IN:
            if came & _ENDS and not came & NVAL:
                unread = self._unread(one)
            self._event(map, one, 'handle_read_event')
        # What an event made of the channel, the next may not be meant for.
        for flag, method in ((OUT, 'handle_write_event'), (PRI, 'handle_expt_event')):
            if came & flag and _is_current(map, one):
                self._event(map, one, method)
        if came & _ENDS and _is_current(map, one):
            # As long as reading makes progress, the end can wait until it is read up to.
            left = None if unread is None else self._unread(one)
            if not left or left >= unread:
                one.object.handle_close()

    def _replaced(self, name):
        """The function of asyncore of this name, if a program has replaced it."""
        function = getattr(self._asyncore, name)
        return None if function is self._originals[name] else function

    def _event(self, map, one, method):
        getattr(one.object, method)()
        if method == 'handle_read_event':
            self._read_pending(map, one, method)

    def _read_pending(self, map, one, method):
        """Offers what an SSL socket has decrypted already: its descriptor does not show that."""
        ssl = sys.modules.get('ssl')
        socket = getattr(one.object, 'socket', None)
        if ssl is None or not isinstance(socket, ssl.SSLSocket):
            return
        before = 0
        for _ in range(_MAX_PENDING_READS):
            pending = socket.pending()
            if (not pending or pending == before or not _is_current(map, one)
                    or not one.object.readable()):
                break
            before = pending
            getattr(one.object, method)()

    def _unread(self, one):
        """How much input waits in the kernel, if it can tell and is to be asked."""
        if fcntl is None or not self._asyncore.read_before_close:
            return None
        try:
            count = fcntl.ioctl(one.fd, termios.FIONREAD, b'\0' * 4)
        except OSError:
            return None
        return int.from_bytes(count, sys.byteorder)


def _checked(timeout, endless):
    if timeout is None:
        return None
    timeout = float(timeout)
    if math.isnan(timeout):
        raise ValueError('timeout must be a number, not NaN')
    if timeout < 0:
        if endless:
            return None
        raise ValueError('timeout must be non-negative')
    return min(timeout, _LONGEST)


def _descriptor(key):
    """The descriptor that a key of a map stands for."""
    if isinstance(key, int):
        number = key
    elif hasattr(key, 'fileno'):
        number = key.fileno()
        if not isinstance(number, int):
            raise TypeError('fileno() returned a non-integer')
    else:
        raise TypeError('argument must be an int, or have a fileno() method.')
    if number < 0:
        raise ValueError('file descriptor cannot be a negative integer (%d)' % number)
    return number


def _is_current(map, one):
    return map.get(one.key) is one.object


def _poll(select, waiting, timeout):
    poller = select.poll()
    by_fd = {}
    for one in waiting:
        by_fd.setdefault(one.fd, []).append(one)
        poller.register(one.fd, one.wanted)
    for fd, came in poller.poll(None if timeout is None else math.ceil(timeout * 1000)):
        for one in by_fd.get(fd, ()):
            one.came |= came


def _select(select, waiting, timeout):
    kinds = IN, OUT, PRI
    lists = [[one.key for one in waiting if one.wanted & kind] for kind in kinds]
    for kind, ready in zip(kinds, select.select(*lists, timeout)):
        fds = {_descriptor(key) for key in ready}
        for one in waiting:
            if one.fd in fds:
                one.came |= kind
