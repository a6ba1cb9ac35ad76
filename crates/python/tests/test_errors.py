"""Errors: which leave the loop, which reach handle_error, and what is logged of them."""

import os
import re
import sys

import asynchat
import asyncore
import pytest


class Failing(asyncore.dispatcher):
    """Raises `error` from `handle_read`; notes what handle_error finds."""

    def __init__(self, sock, map, error):
        super().__init__(sock, map)
        self.error, self.caught = error, []

    def writable(self):
        return False

    def handle_read(self):
        raise self.error

    def handle_error(self):
        self.caught.append(sys.exc_info()[:2])
        self.socket.recv(100)


@pytest.fixture
def failing(pair, readable_now):
    def make(error, cls=Failing):
        near, far = pair()
        mine = {}
        channel = cls(near, mine, error)
        far.sendall(b'x')
        readable_now(near)
        return channel, mine
    return make


@pytest.mark.parametrize('leaving', [asyncore.ExitNow, KeyboardInterrupt, SystemExit])
def test_some_exceptions_leave_the_loop(failing, one_pass, leaving):
    error = leaving('out')
    channel, mine = failing(error)
    with pytest.raises(leaving) as raised:
        one_pass(map=mine)
    assert raised.value is error
    assert channel.caught == [] and list(mine.values()) == [channel]


class OwnBase(BaseException):
    pass


@pytest.mark.parametrize('error', [ValueError('v'), OSError(5, 'io'), GeneratorExit(), OwnBase(),
                                   AssertionError(), StopIteration(), RecursionError()],
                         ids=lambda error: type(error).__name__)
def test_everything_else_reaches_handle_error(failing, one_pass, error):
    channel, mine = failing(error)
    one_pass(map=mine)
    assert channel.caught == [(type(error), error)]
    assert list(mine.values()) == [channel]


def test_a_subclass_of_exitnow_leaves_too(failing, one_pass):
    class Finished(asyncore.ExitNow):
        pass

    channel, mine = failing(Finished())
    with pytest.raises(Finished):
        one_pass(map=mine)


def test_no_exception_is_current_after_a_pass(failing, one_pass):
    channel, mine = failing(ValueError())
    one_pass(map=mine)
    assert sys.exc_info() == (None, None, None)


def test_a_bare_raise_in_handle_error_raises_the_same_again(failing, one_pass):
    class Reraising(Failing):
        def handle_error(self):
            raise

    error = ValueError('mine')
    channel, mine = failing(error, Reraising)
    with pytest.raises(ValueError) as raised:
        one_pass(map=mine)
    assert raised.value is error
    names = [entry.name for entry in raised.traceback]
    assert 'handle_read' in names


def test_an_error_in_handle_error_leaves_the_loop_with_its_context(failing, one_pass):
    class Worse(Failing):
        def handle_error(self):
            raise LookupError('worse')

    error = ValueError('bad')
    channel, mine = failing(error, Worse)
    with pytest.raises(LookupError, match='worse') as raised:
        one_pass(map=mine)
    assert raised.value.__context__ is error


def test_compact_traceback_tells_where_the_error_rose(failing, one_pass):
    class Telling(Failing):
        def handle_error(self):
            self.caught = asyncore.compact_traceback()
            self.socket.recv(100)

    channel, mine = failing(ValueError('mine'), Telling)
    one_pass(map=mine)
    (file, function, line), kind, value, info = channel.caught
    assert (os.path.basename(file), function) == ('test_errors.py', 'handle_read')
    assert line.isdigit() and kind is ValueError and value is channel.error
    assert info.endswith(f'[{file}|{function}|{line}]')
    assert re.fullmatch(r'(\[[^|\]]*\|[^|\]]*\|\d+\] ?)+', info)


def test_compact_traceback_needs_a_current_exception():
    with pytest.raises(AssertionError, match='traceback does not exist'):
        asyncore.compact_traceback()


def test_compact_traceback_finds_one_also_when_no_python_code_was_running(pair, one_pass,
                                                                          readable_now):
    """A channel whose socket is no socket fails inside the engine."""
    near, far = pair()
    mine, found = {}, []

    class Broken(asynchat.async_chat):
        def writable(self):
            return False

        def handle_error(self):
            found.append(asyncore.compact_traceback())
            near.recv(100)

    chat = Broken(near, mine)
    chat.set_terminator(b'\n')
    chat.socket = None
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    [((file, function, line), kind, value, info)] = found
    assert kind is AttributeError and info.count('|') >= 2


def test_a_method_that_a_subclass_did_not_write_fails_with_a_traceback(pair, one_pass,
                                                                       readable_now):
    near, far = pair()
    mine, found = {}, []

    class Incomplete(asynchat.async_chat):
        def handle_error(self):
            found.append(asyncore.compact_traceback())

    chat = Incomplete(near, mine)
    chat.set_terminator(b'\n')
    far.sendall(b'x\n')
    readable_now(near)
    one_pass(map=mine)
    [((file, function, line), kind, value, info)] = found
    assert function == 'collect_incoming_data' and kind is NotImplementedError
    assert value.args == ('must be implemented in subclass',)


def test_the_default_handler_logs_one_line_and_closes(pair, one_pass, readable_now, capsys):
    near, far = pair()
    mine = {}

    class Channel(asyncore.dispatcher):
        def handle_read(self):
            raise ValueError('mine')

    channel = Channel(near, mine)
    far.sendall(b'x')
    readable_now(near)
    shown = repr(channel)
    one_pass(map=mine)
    out, err = capsys.readouterr()
    assert re.fullmatch(
        rf"error: uncaptured python exception, closing channel {re.escape(shown)} "
        rf"\(<class 'ValueError'>:mine (\[.*\|.*\|\d+\] ?)+\)\n", out)
    assert out.count('\n') == 1 and err == ''
    assert '|handle_read|' in out and mine == {}


def test_the_default_handler_copes_with_a_repr_that_fails(capsys):
    class Unprintable(asyncore.dispatcher):
        def __repr__(self):
            raise ValueError()

    channel = Unprintable(map={})
    try:
        raise LookupError('mine')
    except LookupError:
        channel.handle_error()
    out = capsys.readouterr().out
    assert f'closing channel <__repr__(self) failed for object at {id(channel):0x}>' in out


def test_log_goes_to_stderr_and_log_info_to_stdout(capsys):
    channel = asyncore.dispatcher(map={})
    channel.log('one')
    channel.log_info('two')
    channel.log_info('three', 'error')
    channel.log_info('four', 'warning')
    channel.ignore_log_types = frozenset()
    channel.log_info('five', 'warning')
    out, err = capsys.readouterr()
    assert err == 'log: one\n'
    assert out == 'info: two\nerror: three\nwarning: five\n'


def test_unhandled_events_are_logged_as_warnings(capsys, pair):
    near, far = pair()
    channel = asyncore.dispatcher(near, {})
    channel.ignore_log_types = ()
    for event in ('read', 'write', 'connect', 'expt', 'close'):
        getattr(channel, 'handle_' + event)()
    channel.handle_accepted(far, None)
    assert capsys.readouterr().out.splitlines() == [
        'warning: unhandled read event', 'warning: unhandled write event',
        'warning: unhandled connect event', 'warning: unhandled incoming priority event',
        'warning: unhandled close event', 'warning: unhandled accepted event']
    assert far.fileno() == -1


def test_log_info_overridden_gets_everything(pair, one_pass, readable_now):
    near, far = pair()
    mine, log = {}, []

    class Channel(asyncore.dispatcher):
        def log_info(self, message, type='info'):
            log.append((type, message.split(' ')[0]))

    Channel(near, mine).writable = lambda: False
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    assert log == [('warning', 'unhandled')]


def test_repr_says_what_the_channel_is(pair):
    def expect(channel, status):
        assert repr(channel) == f'<{status} at {id(channel):#x}>'

    expect(asyncore.dispatcher(map={}), 'asyncore.dispatcher')
    near, _ = pair()
    chat = asynchat.async_chat(near, {})
    host, port = near.getpeername()
    expect(chat, f'asynchat.async_chat connected {host}:{port}')
    chat.addr = ('::1', 8025, 0, 0)
    expect(chat, "asynchat.async_chat connected ('::1', 8025, 0, 0)")
    chat.addr = '/run/socket'
    expect(chat, "asynchat.async_chat connected '/run/socket'")
    listener = asyncore.dispatcher(map={})
    listener.create_socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(1)
    expect(listener, 'asyncore.dispatcher listening 127.0.0.1:0')
    listener.close()
    expect(listener, 'asyncore.dispatcher 127.0.0.1:0')


def test_a_broken_socket_is_taken_out_of_the_map_again(pair):
    near, _ = pair()

    class Broken:
        def __init__(self, sock):
            self.sock = sock

        def fileno(self):
            return self.sock.fileno()

        def setblocking(self, flag):
            self.sock.setblocking(flag)

        def getpeername(self):
            raise OSError(5, 'broken')

    mine = {}
    with pytest.raises(OSError):
        asyncore.dispatcher(Broken(near), mine)
    assert mine == {}


def test_a_socket_that_is_not_connected_yet_makes_an_unconnected_channel():
    import socket
    mine = {}
    with socket.socket() as sock:
        channel = asyncore.dispatcher(sock, mine)
        assert not channel.connected and channel.addr is None
        assert mine == {sock.fileno(): channel} and sock.gettimeout() == 0


def test_strerror_always_has_an_answer():
    import errno
    assert asyncore._strerror(errno.EPERM) == os.strerror(errno.EPERM)
    assert asyncore._strerror(1 << 70) == f'Unknown error {1 << 70}'


@pytest.mark.parametrize('function', [asyncore.read, asyncore.write, asyncore._exception])
def test_the_functions_of_one_event_treat_errors_alike(function):
    class Object:
        error = ValueError()
        caught = None

        def handle_read_event(self):
            raise self.error

        handle_write_event = handle_expt_event = handle_read_event

        def handle_error(self):
            self.caught = sys.exc_info()[1]

    target = Object()
    function(target)
    assert target.caught is target.error
    for leaving in (asyncore.ExitNow, KeyboardInterrupt, SystemExit):
        target.error = leaving()
        with pytest.raises(leaving):
            function(target)


def test_readwrite_takes_a_lost_connection_for_a_close():
    import errno
    import select
    log = []

    class Object:
        number = errno.EPIPE

        def handle_read_event(self):
            raise OSError(self.number, 'x')

        def handle_close(self):
            log.append('close')

        def handle_error(self):
            log.append('error')

    target = Object()
    for target.number in asyncore._DISCONNECTED:
        asyncore.readwrite(target, select.POLLIN)
    assert log == ['close'] * 6
    target.number = errno.EIO
    asyncore.readwrite(target, select.POLLIN)
    assert log[6:] == ['error']


def test_functions_of_the_module_that_a_program_replaces_are_the_ones_used(monkeypatch, capsys):
    monkeypatch.setattr(asyncore, 'compact_traceback', lambda: ((), 'kind', 'value', 'trace'))
    channel = asyncore.dispatcher(map={})
    try:
        raise LookupError
    except LookupError:
        channel.handle_error()
    assert '(kind:value trace)' in capsys.readouterr().out
