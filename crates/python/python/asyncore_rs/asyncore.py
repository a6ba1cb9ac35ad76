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

from asyncore_rs import _engine
from asyncore_rs.events import (
    ExitNow, _exception, _report, _report_poll, _strerror, compact_traceback, read, readwrite,
    write)

# Classes are known by the module's old name: to pickle, to `repr`, and in logs.
__name__ = 'asyncore'

# Kept for whoever reads it. Nothing here warns: that the module is gone from the standard library
# is why this one was installed, and a program run with `-W error` is to run.
_DEPRECATION_MSG = ('The {name} module is deprecated and will be removed in '
                    'Python {remove}. The recommended replacement is asyncio')

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


from asyncore_rs import timers as _timers  # noqa: E402
from asyncore_rs.dispatcher import dispatcher  # noqa: E402
from asyncore_rs.timers import call_every, call_later  # noqa: E402
from asyncore_rs.trigger import Trigger  # noqa: E402
from asyncore_rs.with_send import dispatcher_with_send  # noqa: E402

if os.name == 'posix':
    from asyncore_rs.files import file_dispatcher, file_wrapper

_engine.bind(sys.modules['asyncore_rs.asyncore'])
