"""Listeners: bursts of connections, and running out of descriptors."""

import errno
import os
import resource
import select
import socket

import asyncore
import pytest

mended = pytest.mark.mended
added = pytest.mark.added


class Listener(asyncore.dispatcher):
    """Keeps the connections it accepts."""

    def __init__(self, map, backlog=200):
        super().__init__(map=map)
        self.accepted = []
        self.create_socket()
        self.bind(('127.0.0.1', 0))
        self.listen(backlog)

    def handle_accepted(self, sock, addr):
        self.accepted.append(sock)

    def close(self):
        super().close()
        for sock in self.accepted:
            sock.close()


@pytest.fixture
def listener():
    mine = {}
    listener = Listener(mine)
    yield listener
    listener.close()


@pytest.fixture
def clients(listener, stack):
    def connect(count):
        address = listener.socket.getsockname()
        for _ in range(count):
            stack.enter_context(socket.create_connection(address))
        assert select.select([listener.socket], [], [], 10)[0]
    return connect


@mended
def test_one_pass_accepts_all_who_wait(one_pass, listener, clients):
    clients(20)
    one_pass(map=listener._map)
    assert len(listener.accepted) == 20


@added
def test_one_pass_accepts_at_most_a_burst(one_pass, listener, clients, monkeypatch):
    monkeypatch.setattr(asyncore, 'accept_burst', 8)
    clients(20)
    counts = []
    while len(listener.accepted) < 20:
        one_pass(map=listener._map)
        counts.append(len(listener.accepted))
    assert counts == [8, 16, 20]


@added
def test_a_burst_of_one_is_the_old_behaviour(one_pass, listener, clients, monkeypatch):
    monkeypatch.setattr(asyncore, 'accept_burst', 1)
    clients(3)
    one_pass(map=listener._map)
    assert len(listener.accepted) == 1


@added
def test_a_listener_that_closes_itself_accepts_no_more(one_pass, clients, listener):
    def closing(sock, addr):
        listener.accepted.append(sock)
        listener.close()

    listener.handle_accepted = closing
    clients(3)
    one_pass(map=listener._map)
    assert len(listener.accepted) == 1 and listener._map == {}


@added
def test_a_listener_that_overrides_handle_accept_keeps_one_per_pass(one_pass, stack):
    """It calls accept() itself: how often is its own business."""
    mine, calls = {}, []

    class Own(Listener):
        def handle_accept(self):
            calls.append(self.accept())

    own = Own(mine)
    for _ in range(3):
        stack.enter_context(socket.create_connection(own.socket.getsockname()))
    assert select.select([own.socket], [], [], 10)[0]
    one_pass(map=mine)
    assert len(calls) == 1
    for sock, _ in calls:
        sock.close()
    own.close()


class Exhausted:
    """A listening socket for whose connections there is no descriptor."""

    def __init__(self, sock, number=errno.EMFILE):
        self.sock, self.number, self.attempts = sock, number, 0

    def accept(self):
        self.attempts += 1
        raise OSError(self.number, os.strerror(self.number))

    def __getattr__(self, name):
        return getattr(self.sock, name)


@mended
@pytest.mark.parametrize('number', [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_listener_survives_running_out_of(one_pass, listener, clients, capsys, number):
    clients(1)
    real, mine = listener.socket, listener._map
    listener.socket = Exhausted(real, number)
    one_pass(map=mine)
    assert list(mine.values()) == [listener] and listener.accepting
    assert capsys.readouterr().out.count('\n') == 1
    listener.socket = real


@added
def test_a_listener_out_of_descriptors_says_so_once_and_does_not_spin(
        one_pass, listener, clients, capsys):
    clients(1)
    real, mine = listener.socket, listener._map
    listener.socket = exhausted = Exhausted(real)
    for _ in range(20):
        one_pass(map=mine)
    assert exhausted.attempts == 1
    assert capsys.readouterr().out.count('\n') == 1
    listener.socket = real


@mended
def test_a_listener_out_of_real_descriptors_accepts_when_there_are_some_again(
        one_pass, until, monkeypatch, stack, capsys):
    monkeypatch.setattr(asyncore, 'accept_pause', 0.05, raising=False)
    mine = {}
    listener = Listener(mine)
    stack.callback(listener.close)
    asyncore.poll2(0.0, mine)  # what a pass opens and closes for itself is done with
    for _ in range(3):
        stack.enter_context(socket.create_connection(listener.socket.getsockname()))
    assert select.select([listener.socket], [], [], 10)[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        asyncore.poll2(0.0, mine)
        assert listener.accepted == [] and listener.accepting
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: len(listener.accepted) == 3, one_pass, mine)


@added
def test_without_a_pause_exhaustion_is_an_error_as_it_was(one_pass, listener, clients, monkeypatch,
                                                          capsys):
    monkeypatch.setattr(asyncore, 'accept_pause', 0)
    clients(1)
    listener.socket = Exhausted(listener.socket)
    one_pass(map=listener._map)
    assert listener._map == {}
    assert 'uncaptured python exception' in capsys.readouterr().out
