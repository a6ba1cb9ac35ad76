"""Which event is delivered when, and in which order within a pass."""

import errno
import select
import socket
import struct
import time

import asyncore
import pytest
from channels import Silent


class Noting(asyncore.dispatcher):
    """Notes every event, and has nothing overridden that a note does not need."""

    def __init__(self, sock, map, log, name):
        super().__init__(sock, map)
        self.log, self.name = log, name

    def note(self, what):
        self.log.append((self.name, what))

    def handle_read(self):
        self.recv(100)
        self.note('read')

    def handle_write(self):
        self.note('write')

    def handle_expt(self):
        self.socket.recv(1, socket.MSG_OOB)
        self.note('expt')

    def handle_close(self):
        self.note('close')
        self.close()


@pytest.fixture(params=[None, pytest.param(0, marks=pytest.mark.added)], ids=['fresh', 'kept'])
def watched(request, monkeypatch):
    """The order is the same on a set that is kept from pass to pass."""
    monkeypatch.setattr(asyncore, 'watch_threshold', request.param, raising=False)


@pytest.fixture
def three(watched, pair, readable_now):
    """Three channels, each with input, an urgent byte, and room to write."""
    mine, log, ends = {}, [], []
    for name in 'abc':
        near, far = pair()
        Noting(near, mine, log, name)
        far.sendall(b'x')
        far.send(b'!', socket.MSG_OOB)
        ends.append(near)
    readable_now(*ends)
    for near in ends:
        assert select.select([], [], [near], 10)[2]
    return mine, log


def test_select_delivers_all_reads_then_writes_then_exceptions(three):
    mine, log = three
    asyncore.poll(0.0, mine)
    assert log == [(name, event) for event in ('read', 'write', 'expt') for name in 'abc']


def test_poll_delivers_read_write_exception_for_each_descriptor(three):
    mine, log = three
    asyncore.poll2(0.0, mine)
    assert log == [(name, event) for name in 'abc' for event in ('read', 'write', 'expt')]


def test_poll_goes_in_the_order_of_the_map_not_of_the_numbers(watched, pair, readable_now):
    mine, log = {}, []
    pairs = [pair() for _ in range(5)]
    order = [3, 0, 4, 1, 2]
    for index in order:
        Noting(pairs[index][0], mine, log, index)
    for near, far in pairs:
        far.sendall(b'x')
    readable_now(*(near for near, _ in pairs))
    asyncore.poll2(0.0, mine)
    assert [name for name, event in log if event == 'read'] == order


@pytest.mark.parametrize('flags, expected', [
    (select.POLLIN, ['read']), (select.POLLOUT, ['write']), (select.POLLPRI, ['expt']),
    (select.POLLHUP, ['close']), (select.POLLERR, ['close']), (select.POLLNVAL, ['close']),
    (select.POLLIN | select.POLLOUT | select.POLLPRI, ['read', 'write', 'expt']),
    (0, []),
])
def test_readwrite_calls_what_the_flags_say(flags, expected):
    log = []

    class Any:
        def handle_read_event(self):
            log.append('read')

        def handle_write_event(self):
            log.append('write')

        def handle_expt_event(self):
            log.append('expt')

        def handle_close(self):
            log.append('close')

    asyncore.readwrite(Any(), flags)
    assert log == expected


@pytest.fixture
def listener(stack):
    listener = stack.enter_context(socket.create_server(('127.0.0.1', 0)))
    return listener


class Connecting(asyncore.dispatcher):
    def __init__(self, address, map):
        super().__init__(map=map)
        self.log = []
        self.create_socket()
        self.connect(address)

    def writable(self):
        return not self.connected

    def handle_connect(self):
        self.log.append(('connect', self.connected, self.connecting))

    def handle_read(self):
        self.log.append(('read', self.recv(100)))

    def handle_write(self):
        self.log.append('write')

    def handle_close(self):
        self.log.append('close')
        self.close()

    def handle_error(self):
        self.log.append('error')
        self.handle_close()


def test_a_connection_made_is_told_once_before_anything_else(listener, one_pass, until):
    mine = {}
    channel = Connecting(listener.getsockname(), mine)
    assert (channel.connected, channel.connecting) in [(False, True), (True, False)]
    assert channel.addr == listener.getsockname()
    until(lambda: channel.connected, one_pass, mine)
    # connected is set after handle_connect, not before
    assert channel.log[0] == ('connect', False, True)
    assert channel.log.count(('connect', False, True)) == 1
    assert not channel.connecting


def test_a_connection_whose_peer_speaks_first_is_connected_before_it_reads(
        listener, one_pass, until, readable_now):
    mine = {}
    channel = Connecting(listener.getsockname(), mine)
    peer, _ = listener.accept()
    with peer:
        peer.sendall(b'220 hello')
        readable_now(channel.socket)
        until(lambda: ('read', b'220 hello') in channel.log, one_pass, mine)
    names = [entry[0] for entry in channel.log if entry != 'write']
    assert names == ['connect', 'read']


def test_a_refused_connection_is_an_end_not_a_connection(one_pass, until):
    with socket.create_server(('127.0.0.1', 0)) as closed:
        address = closed.getsockname()
    mine = {}
    try:
        channel = Connecting(address, mine)
    except ConnectionRefusedError:
        return
    until(lambda: not mine, one_pass, mine)
    assert channel.log and channel.log[-1] == 'close'
    assert not any(entry[0] == 'connect' for entry in channel.log)


def test_connect_raises_what_the_system_says_at_once():
    channel = asyncore.dispatcher()
    channel.create_socket(socket.AF_UNIX)
    with pytest.raises(OSError) as raised:
        channel.connect('/nonexistent/socket')
    assert raised.value.errno == errno.ENOENT
    assert raised.value.args == (errno.ENOENT, 'ENOENT')
    channel.close()


def test_a_listener_accepts_and_hands_over_socket_and_address(one_pass, until, stack):
    mine, accepted = {}, []

    class Server(asyncore.dispatcher):
        def __init__(self):
            super().__init__(map=mine)
            self.create_socket()
            self.set_reuse_addr()
            self.bind(('127.0.0.1', 0))
            self.listen(5)

        def handle_accepted(self, sock, addr):
            accepted.append((stack.enter_context(sock), addr))

    server = Server()
    assert server.accepting and not server.connected
    with socket.create_connection(server.socket.getsockname()) as client:
        until(lambda: accepted, one_pass, mine)
        [(sock, addr)] = accepted
        assert addr == client.getsockname() and sock.getpeername() == addr
    server.close()
    assert not server.accepting and mine == {}


def test_accept_gives_none_when_nobody_waits():
    server = asyncore.dispatcher(map={})
    server.create_socket()
    server.bind(('127.0.0.1', 0))
    server.listen(1)
    assert server.accept() is None
    server.close()


def test_handle_accept_overridden_calls_accept_itself(one_pass, until):
    mine, pairs = {}, []

    class Server(asyncore.dispatcher):
        def handle_accept(self):
            pairs.append(self.accept())

    server = Server(map=mine)
    server.create_socket()
    server.bind(('127.0.0.1', 0))
    server.listen(5)
    with socket.create_connection(server.socket.getsockname()):
        until(lambda: pairs, one_pass, mine)
    assert pairs[0] is not None
    pairs[0][0].close()
    server.close()


class Ending(Noting):
    """Notes what each `recv` gives, and the events without their channel's name."""

    def writable(self):
        return False

    def handle_read(self):
        self.log.append(self.recv(100))

    def note(self, what):
        self.log.append(what)


def test_end_of_stream_calls_handle_close_from_recv(pair, one_pass, readable_now):
    near, far = pair()
    mine, log = {}, []

    Ending(near, mine, log, 'a')
    far.sendall(b'last words')
    far.shutdown(socket.SHUT_WR)
    readable_now(near)
    for _ in range(3):
        one_pass(map=mine)
    assert log == [b'last words', 'close', b''] and mine == {}


def test_a_reset_is_an_end_of_stream(pair, one_pass, readable_now):
    near, far = pair()
    mine, log = {}, []

    Ending(near, mine, log, 'a')
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    far.close()
    readable_now(near)
    one_pass(map=mine)
    assert 'close' in log and mine == {}


def test_send_to_a_peer_that_is_gone_calls_handle_close(pair):
    near, far = pair()
    mine, log = {}, []
    channel = Noting(near, mine, log, 'a')
    near.shutdown(socket.SHUT_WR)
    assert channel.send(b'x') == 0
    assert log == [('a', 'close')] and mine == {}


def test_send_returns_zero_when_the_socket_is_full(pair):
    near, _ = pair()
    channel = asyncore.dispatcher(near, {})
    chunk = bytes(1 << 20)
    while channel.send(chunk):
        pass
    assert channel.connected and channel.send(b'x') == 0
    channel.close()


def test_urgent_data_reaches_handle_expt(pair, one_pass):
    near, far = pair()
    mine, log = {}, []
    Noting(near, mine, log, 'a')
    far.send(b'!', socket.MSG_OOB)
    assert select.select([], [], [near], 10)[2]
    one_pass(map=mine)
    assert ('a', 'expt') in log and ('a', 'close') not in log


def test_a_channel_not_readable_and_not_writable_gets_nothing(pair, one_pass, readable_now):
    near, far = pair()
    mine, log = {}, []

    class Deaf(Noting):
        readable = writable = lambda self: False

    Deaf(near, mine, log, 'a')
    far.sendall(b'x')
    readable_now(near)
    far.close()
    for _ in range(3):
        one_pass(map=mine)
    assert log == [] and len(mine) == 1


def test_a_pass_waits_for_its_timeout_and_no_longer(pair, one_pass):
    near, _ = pair()

    mine = {}
    Silent(near, mine)
    started = time.monotonic()
    one_pass(0.05, mine)
    assert time.monotonic() - started >= 0.049


def test_a_pass_waits_also_when_no_channel_wants_anything(pair, one_pass):
    near, _ = pair()

    class Deaf(asyncore.dispatcher):
        readable = writable = lambda self: False

    mine = {}
    Deaf(near, mine)
    started = time.monotonic()
    one_pass(0.05, mine)
    assert time.monotonic() - started >= 0.049
