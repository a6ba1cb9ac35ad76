"""Descriptors that change their owner, or have several: a kept set answers as a fresh poll does."""

import ast
import os
import random
import socket

import asyncore
import pytest
from channels import Collecting, Reader

pytestmark = pytest.mark.added

if not hasattr(asyncore, 'watch_threshold'):
    pytest.skip('not in the standard library', allow_module_level=True)


def test_a_number_closed_and_used_again_belongs_to_the_new_channel(socketpair, any_pass):
    mine = {}
    near, far = socketpair()
    first = Reader(near, mine)
    any_pass(map=mine)
    number = near.fileno()
    fresh_near, fresh_far = socketpair()
    first.close()
    os.dup2(fresh_near.fileno(), number)
    second = Reader(socket.socket(fileno=number), mine)
    fresh_far.sendall(b'new')
    any_pass(map=mine)
    assert (first.seen, second.seen) == ([], [b'new'])
    second.close()


def test_a_socket_closed_behind_the_channels_back_is_found(socketpair, any_pass, until):
    """select raises EBADF; poll reports POLLNVAL, and handle_close is called."""
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    any_pass(map=mine)
    near.close()
    try:
        until(lambda: reader.closes, any_pass, mine)
    except OSError as error:
        assert any_pass is asyncore.poll and error.errno == 9
    else:
        assert any_pass is not asyncore.poll and mine == {}


def test_a_descriptor_replaced_under_a_living_channel_is_the_one_watched(socketpair, any_pass,
                                                                         until):
    """dup2 onto a channel's number: the program's business, and it works with poll."""
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    any_pass(map=mine)
    fresh_near, fresh_far = socketpair()
    os.dup2(fresh_near.fileno(), near.fileno())
    fresh_far.sendall(b'new')
    until(lambda: reader.seen, any_pass, mine)
    assert reader.seen == [b'new']


def test_a_duplicate_kept_open_elsewhere_gives_no_events(socketpair, any_pass):
    """An epoll set would go on reporting the open file after its number was closed."""
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    other = Reader(socketpair()[0], mine)
    any_pass(map=mine)
    duplicate = os.dup(near.fileno())
    reader.close()
    far.sendall(b'x')
    for _ in range(3):
        any_pass(map=mine)
    assert (reader.seen, reader.closes, other.seen, other.closes) == ([], 0, [], 0)
    os.close(duplicate)


def test_a_duplicate_kept_open_does_not_make_the_loop_spin(socketpair, any_pass, cpu_time):
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    Reader(socketpair()[0], mine)
    any_pass(map=mine)
    duplicate = os.dup(near.fileno())
    near.close()
    mine.clear()
    Reader(socketpair()[0], mine)
    far.sendall(b'x')
    any_pass(map=mine)
    with cpu_time() as used:
        any_pass(0.3, mine)
        assert used() < 0.15, 'the pass did not sleep'
    assert reader.seen == []
    os.close(duplicate)


def test_two_channels_on_two_numbers_of_one_socket_both_hear_of_it(socketpair, any_pass):
    mine, log = {}, []

    class Peeking(Reader):
        def handle_read(self):
            log.append((self, self.socket.recv(100, socket.MSG_PEEK)))

    near, far = socketpair()
    first = Peeking(near, mine)
    second = Peeking(near.dup(), mine)
    any_pass(map=mine)
    far.sendall(b'x')
    any_pass(map=mine)
    assert log == [(first, b'x'), (second, b'x')]
    second.close()


def test_one_socket_under_two_keys_is_asked_by_its_keys(socketpair, any_pass):
    """The key in the map counts, as it always did."""
    mine = {}
    near, far = socketpair()
    other_near, other_far = socketpair()
    reader = Reader(near, {})
    mine[other_near.fileno()] = reader
    any_pass(map=mine)
    far.sendall(b'x')
    any_pass(map=mine)
    assert reader.seen == []
    other_far.sendall(b'y')
    any_pass(map=mine)
    assert reader.seen == [b'x']


def test_a_channel_moved_to_another_map_is_the_other_loops(socketpair, any_pass):
    first, second = {}, {}
    near, far = socketpair()
    reader = Reader(near, first)
    any_pass(map=first)
    reader.del_channel()
    reader._fileno = near.fileno()
    reader._map = second
    reader.add_channel()
    far.sendall(b'x')
    any_pass(map=first)
    assert reader.seen == []
    any_pass(map=second)
    assert reader.seen == [b'x']


def test_a_map_made_anew_at_the_same_address_is_another_map(socketpair, any_pass):
    near, far = socketpair()
    for turn in range(20):
        mine = {}
        reader = Reader(near, mine)
        far.sendall(b'%d' % turn)
        any_pass(map=mine)
        assert reader.seen == [b'%d' % turn]
        del mine


def test_a_regular_file_among_many_channels_is_ready_in_every_pass(socketpair, any_pass, tmp_path):
    mine, seen = {}, []
    (tmp_path / 'file').write_bytes(b'abc')

    class File(asyncore.file_dispatcher):
        def writable(self):
            return False

        def handle_read(self):
            data = self.recv(1)
            if data:
                seen.append(data)

        def handle_close(self):
            self.close()

    for _ in range(80):
        Collecting(socketpair()[0], mine)
    with open(tmp_path / 'file', 'rb') as file:
        File(file, mine)
    for passes in range(1, 4):
        any_pass(60.0, mine)
        assert seen == [b'a', b'b', b'c'][:passes]
    any_pass(60.0, mine)
    assert len(mine) == 80


@pytest.fixture
def in_child(socketpair):
    """in_child(work): what `work` returns in a child process made by fork, a list of bytes."""
    def run(work):
        report, tell = socketpair()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                tell.sendall(repr(work()).encode())
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        report.settimeout(10)
        return ast.literal_eval(report.recv(100).decode())
    return run


def test_a_fork_leaves_parent_and_child_a_loop_each(socketpair, any_pass, in_child):
    """An epoll set is shared across fork: what the child changes must not reach the parent."""
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    others = [Reader(socketpair()[0], mine) for _ in range(3)]
    any_pass(map=mine)

    def work():
        reader.close()
        for other in others[:2]:
            other.close()
        fresh_near, fresh_far = socket.socketpair()
        fresh = Reader(fresh_near, mine)
        fresh_far.sendall(b'child')
        any_pass(1.0, mine)
        return fresh.seen

    assert in_child(work) == [b'child']
    far.sendall(b'parent')
    any_pass(1.0, mine)
    assert reader.seen == [b'parent'] and len(mine) == 4
    assert not any(other.closes for other in others)


def test_a_child_that_goes_on_with_the_same_channels_gets_their_events(
        socketpair, any_pass, in_child):
    """As a server does that forks workers around its listener."""
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    any_pass(map=mine)

    def work():
        far.sendall(b'x')
        any_pass(1.0, mine)
        return reader.seen

    assert in_child(work) == [b'x']
    any_pass(0.0, mine)
    assert reader.seen == []


def test_an_unconnected_socket_is_no_endless_hang_up(any_pass, cpu_time):
    """The system reports hang-up for it: handle_close is called as by a fresh poll."""
    mine, log = {}, []

    class Fresh(asyncore.dispatcher):
        def writable(self):
            return False

        def handle_read_event(self):
            log.append('read')
            self.close()

        def handle_close(self):
            log.append('close')
            self.close()

    channel = Fresh(map=mine)
    channel.create_socket()
    any_pass(0.0, mine)
    assert mine == {} and len(log) == 1


def test_descriptors_do_not_leak(socketpair, any_pass, open_files):
    for _ in range(3):
        mine = {}
        channels = [Reader(socketpair()[0], mine) for _ in range(3)]
        any_pass(map=mine)
        del channels, mine
    before = open_files()
    near, far = socketpair()
    for _ in range(50):
        mine = {}
        reader = Reader(near, mine)
        any_pass(map=mine)
        mine.clear()
        del mine, reader
    assert open_files() <= before + 3


def test_thousands_of_channels_come_and_go(stack, any_pass):
    """Random work, compared with what must come of it."""
    chance = random.Random(4)
    mine, alive, expected = {}, [], {}
    for step in range(600):
        action = chance.random()
        if action < 0.3 or not alive:
            near, far = socket.socketpair()
            chat = Collecting(near, mine)
            alive.append((chat, far))
            expected[chat] = b''
        elif action < 0.4:
            chat, far = alive.pop(chance.randrange(len(alive)))
            chat.close()
            far.close()
        elif action < 0.5:
            chat, far = alive.pop(chance.randrange(len(alive)))
            chat.del_channel()
            near = chat.socket
            mine[near.fileno()] = moved = Collecting(near, {})
            moved._map = mine
            alive.append((moved, far))
            expected[moved] = b''
        else:
            chat, far = chance.choice(alive)
            far.sendall(b'%d,' % step)
            expected[chat] += b'%d,' % step
            any_pass(0.0, mine)
            assert b''.join(chat.seen) == expected[chat], step
    for chat, far in alive:
        assert b''.join(chat.seen) == expected[chat]
        chat.close()
        far.close()
    assert mine == {}


@pytest.mark.parametrize('number', [-1, -2, -2**31, 2**20, 2**31 - 1, 2**31, 2**63, 10**30])
def test_a_number_of_no_open_file_is_an_error_or_a_close(number, any_pass):
    """Whatever a program puts into a map, the answer is the system's: an exception, or NVAL."""
    class Numbered(asyncore.dispatcher):
        closed = False

        def handle_close(self):
            self.closed = True
            mine.clear()
    channel = Numbered()
    mine = {number: channel}
    try:
        any_pass(map=mine)
    except (ValueError, OverflowError, OSError):
        mine.clear()
    else:
        assert channel.closed
