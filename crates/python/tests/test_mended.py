"""The faults of the standard library's modules that are mended here, each by its symptom.

With --stdlib every test marked `mended` must fail.
"""

import os
import resource
import select
import socket
import struct

import asynchat
import asyncore
import pytest
from channels import LoggingReader

mended = pytest.mark.mended
added = pytest.mark.added


# Descriptors from 1,024 on


@pytest.fixture
def high(stack):
    """Moves a socket to a descriptor above select's limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip('needs a limit of 2,000 open files')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def move(sock):
        import fcntl
        fd = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 1500)
        return stack.enter_context(socket.socket(fileno=fd))
    return move


@mended
def test_poll_handles_descriptors_from_1024_on(pair, high, readable_now):
    near, far = pair()
    moved = high(near)
    assert moved.fileno() >= 1024
    mine = {}
    channel = LoggingReader(moved, mine)
    far.sendall(b'x')
    asyncore.poll(10.0, mine)
    assert channel.log == [b'x']


# Spinning


@mended
def test_a_channel_with_nothing_to_write_does_not_spin(pair, one_pass):
    """dispatcher.writable() says yes; an idle server used a whole processor."""
    import time
    near, _ = pair()

    class Plain(asyncore.dispatcher):
        def handle_read(self):
            self.recv(100)

    mine = {}
    Plain(near, mine)
    started = time.monotonic()
    one_pass(0.1, mine)
    assert time.monotonic() - started >= 0.099


@pytest.mark.parametrize('hook', ['handle_write', 'handle_write_event', 'writable'])
@pytest.mark.parametrize('where', ['class', 'instance'])
def test_a_channel_that_overrides_its_writing_is_called_all_the_same(pair, one_pass, hook, where):
    near, _ = pair()
    mine, log = {}, []

    class Plain(asyncore.dispatcher):
        def handle_read(self):
            self.recv(100)

    def note(*self):
        log.append(hook)
        return True

    channel = Plain(near, mine)
    if where == 'class':
        setattr(Plain, hook, note)
    else:
        setattr(channel, hook, note)
    one_pass(map=mine)
    one_pass(map=mine)
    assert log == [hook] * 2


@added
def test_idle_writes_brings_the_old_behaviour_back(pair, one_pass, monkeypatch):
    monkeypatch.setattr(asyncore, 'idle_writes', True)
    near, _ = pair()
    mine, log = {}, []

    class Plain(asyncore.dispatcher):
        ignore_log_types = ()

        def log_info(self, message, type='info'):
            log.append(message)

    Plain(near, mine)
    one_pass(60.0, mine)
    assert log == ['unhandled write event']


def test_a_connecting_channel_with_nothing_overridden_still_connects(one_pass, until, stack):
    server = stack.enter_context(socket.create_server(('127.0.0.1', 0)))
    mine = {}

    class Plain(asyncore.dispatcher):
        def handle_connect(self):
            pass

    channel = Plain(map=mine)
    channel.create_socket()
    channel.connect(server.getsockname())
    until(lambda: channel.connected, one_pass, mine)


# Input before the end


def send_and_hang_up(near, far, data):
    """Until the system reports both of `near`: that there is something to read, and the end."""
    far.sendall(data)
    near.shutdown(socket.SHUT_WR)
    far.close()
    poller = select.poll()
    poller.register(near, select.POLLIN)
    while not poller.poll(10000)[0][1] & select.POLLHUP:
        pass


@mended
def test_input_that_comes_with_the_hang_up_is_read_to_the_end(pair):
    near, far = pair()
    mine = {}
    channel = LoggingReader(near, mine)
    channel.size = 10
    send_and_hang_up(near, far, b'x' * 1000)
    for _ in range(200):
        if not mine:
            break
        asyncore.poll2(0.0, mine)
    assert b''.join(entry for entry in channel.log if entry != 'close') == b'x' * 1000
    assert channel.log[-1] == 'close' and channel.log.count('close') == 1


@added
def test_read_before_close_can_be_switched_off(pair, monkeypatch):
    monkeypatch.setattr(asyncore, 'read_before_close', False)
    near, far = pair()
    mine = {}
    channel = LoggingReader(near, mine)
    channel.size = 10
    send_and_hang_up(near, far, b'x' * 1000)
    asyncore.poll2(0.0, mine)
    assert channel.log == [b'x' * 10, 'close']


@added
def test_a_channel_that_never_reads_is_closed_by_the_hang_up_all_the_same(pair):
    near, far = pair()
    mine, closed = {}, []

    class Lazy(asyncore.dispatcher):
        def writable(self):
            return False

        def handle_read(self):
            pass

        def handle_close(self):
            closed.append(self)
            self.close()

    Lazy(near, mine)
    send_and_hang_up(near, far, b'x')
    asyncore.poll2(0.0, mine)
    assert len(closed) == 1 and mine == {}


# After the close


@mended
@pytest.mark.parametrize('cause', ['close', 'reset'])
def test_nothing_is_called_after_a_close_in_the_same_pass(pair, readable_now, cause):
    near, far = pair()
    mine, log = {}, []

    class Closing(asyncore.dispatcher):
        def handle_read(self):
            log.append('read')
            if cause == 'close':
                self.close()
            else:
                self.recv(100)

        def handle_write(self):
            log.append('write')

        def handle_expt(self):
            log.append('expt')

        def handle_close(self):
            log.append('close')
            self.close()

    Closing(near, mine)
    if cause == 'close':
        far.sendall(b'x')
    else:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        far.close()
    readable_now(near)
    asyncore.poll2(0.0, mine)
    assert log == (['read'] if cause == 'close' else ['read', 'close'])


@mended
@pytest.mark.parametrize('use_poll', [False, True], ids=['select', 'poll'])
def test_an_event_does_not_reach_the_next_owner_of_its_descriptor(pair, stack, readable_now,
                                                                  use_poll):
    (first_near, first_far), (second_near, second_far) = pair(), pair()
    fresh_near, fresh_far = (stack.enter_context(end) for end in socket.socketpair())
    mine, replaced = {}, []

    class Fresh(asyncore.dispatcher):
        calls = 0

        def writable(self):
            return False

        def handle_read_event(self):
            self.calls += 1

    class Either(LoggingReader):
        """Whichever is first closes the other, whose number a new channel gets at once."""

        def handle_read(self):
            super().handle_read()
            if replaced:
                return
            [other] = [channel for channel in mine.values() if channel is not self]
            number = other._fileno
            other.close()
            os.dup2(fresh_near.fileno(), number)
            replaced.append(Fresh(socket.socket(fileno=number), mine))

    channels = [Either(near, mine) for near in (first_near, second_near)]
    first_far.sendall(b'x')
    second_far.sendall(b'x')
    readable_now(first_near, second_near)
    (asyncore.poll2 if use_poll else asyncore.poll)(0.0, mine)
    assert sorted(map(len, (channel.log for channel in channels))) == [0, 1]
    assert replaced[0].calls == 0
    fresh_far.sendall(b'x')
    readable_now(fresh_near)
    (asyncore.poll2 if use_poll else asyncore.poll)(0.0, mine)
    assert replaced[0].calls == 1
    replaced[0].close()


# Nothing to read after all


@mended
def test_recv_with_nothing_to_read_is_no_error(pair):
    near, _ = pair()
    mine = {}
    channel = LoggingReader(near, mine)
    asyncore.read(channel)
    assert channel.log == [] and list(mine.values()) == [channel]
    assert channel.recv(100) == b'' and channel.connected


@mended
def test_two_channels_that_share_a_socket_may_both_be_told(pair, one_pass, readable_now):
    """The first takes the input; the second finds nothing."""
    near, far = pair()
    mine = {}
    first = LoggingReader(near, mine)
    second = LoggingReader(socket.socket(fileno=os.dup(near.fileno())), mine)
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    assert sorted((first.log, second.log)) == [[], [b'x']]
    assert len(mine) == 2
    second.close()


@added
def test_spurious_errors_brings_the_exception_back(pair, monkeypatch):
    monkeypatch.setattr(asyncore, 'spurious_errors', True)
    near, _ = pair()
    with pytest.raises(BlockingIOError):
        LoggingReader(near, {}).recv(100)


@mended
def test_a_type_error_of_push_names_the_type():
    with pytest.raises(TypeError) as raised:
        asynchat.async_chat(map={}).push(10)
    assert str(raised.value) == "data argument must be byte-ish (<class 'int'>)"


@mended
def test_text_out_of_recv_is_encoded_with_use_encoding(pair):
    collected = []

    class Text(asynchat.async_chat):
        use_encoding = 1

        def recv(self, size):
            return 'grün\n'

        def collect_incoming_data(self, data):
            collected.append(data)

        def found_terminator(self):
            collected.append('found')

    near, _ = pair()
    chat = Text(near, {})
    chat.set_terminator('\n')
    chat.handle_read()
    assert collected == ['grün'.encode('latin-1'), 'found']
