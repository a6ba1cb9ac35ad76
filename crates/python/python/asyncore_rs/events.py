"""What `asyncore` does with one event, and with an exception that comes of it."""

import os
import select
import sys
from errno import errorcode

from asyncore_rs import asyncore

# These are asyncore's.
__name__ = 'asyncore'


def _strerror(err):
    try:
        return os.strerror(err)
    except (ValueError, OverflowError, NameError):
        return errorcode.get(err, 'Unknown error %s' % err)


class ExitNow(Exception):
    """Raised by a handler, ends the loop."""


def read(obj):
    try:
        obj.handle_read_event()
    except asyncore._reraised_exceptions:
        raise
    except:
        obj.handle_error()


def write(obj):
    try:
        obj.handle_write_event()
    except asyncore._reraised_exceptions:
        raise
    except:
        obj.handle_error()


def _exception(obj):
    try:
        obj.handle_expt_event()
    except asyncore._reraised_exceptions:
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
        if why.errno in asyncore._DISCONNECTED:
            obj.handle_close()
        else:
            obj.handle_error()
    except asyncore._reraised_exceptions:
        raise
    except:
        obj.handle_error()


def _report(obj, error):
    """Hands `error`, raised under the engine's eyes, to `obj`, as the exception being handled."""
    try:
        raise error
    except asyncore._reraised_exceptions:
        raise
    except:
        obj.handle_error()


def _report_poll(obj, error):
    """As `_report`, for `poll2`: there, a broken connection is closed and not an error."""
    try:
        raise error
    except OSError as why:
        if why.errno in asyncore._DISCONNECTED:
            obj.handle_close()
        else:
            obj.handle_error()
    except asyncore._reraised_exceptions:
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
