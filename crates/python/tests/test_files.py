"""file_wrapper and file_dispatcher: pipes, terminals and regular files as channels."""

import gc
import os
import socket
import warnings

import asyncore
import pytest


class Reading(asyncore.file_dispatcher):
    def __init__(self, fd, map):
        super().__init__(fd, map)
        self.seen, self.closes = [], 0

    def writable(self):
        return False

    def handle_read(self):
        self.seen.append(self.recv(4))

    def handle_close(self):
        self.closes += 1
        self.close()


@pytest.fixture
def pipe(stack):
    """Both ends as files, which close once and not whatever has the number then."""
    reader, writer = os.pipe()
    return (stack.enter_context(open(reader, 'rb', buffering=0)),
            stack.enter_context(open(writer, 'wb', buffering=0)))


@pytest.fixture
def regular(tmp_path, stack):
    path = tmp_path / 'file'
    path.write_bytes(b'abcdefghij')
    return stack.enter_context(open(path, 'r+b', buffering=0))


def test_a_wrapper_has_a_descriptor_of_its_own(regular):
    wrapper = asyncore.file_wrapper(regular.fileno())
    assert wrapper.fileno() == wrapper.fd != regular.fileno()
    regular.close()
    assert wrapper.recv(3) == b'abc' and wrapper.read(3) == b'def'
    assert wrapper.send(b'XY') == 2 and wrapper.write(b'Z') == 1
    wrapper.close()
    wrapper.close()
    assert wrapper.fd == -1
    with pytest.raises(OSError):
        wrapper.recv(1)


def test_a_wrapper_answers_the_one_socket_option_asked_for(regular):
    wrapper = asyncore.file_wrapper(regular.fileno())
    assert wrapper.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert wrapper.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR, 0) == 0
    with pytest.raises(NotImplementedError):
        wrapper.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    with pytest.raises(NotImplementedError):
        wrapper.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR, 4)
    wrapper.close()


def test_a_wrapper_left_open_warns(regular):
    gc.collect()  # what other tests left
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        fd = asyncore.file_wrapper(regular.fileno()).fd
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert 'unclosed file' in str(caught[0].message)
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_pipe_is_read_as_it_fills(pipe, one_pass, until):
    reader, writer = pipe
    mine = {}
    channel = Reading(reader, mine)
    assert channel.connected and channel._fileno != reader.fileno()
    assert os.get_blocking(reader.fileno()) is False
    one_pass(map=mine)
    assert channel.seen == []
    writer.write(b'abcdef')
    until(lambda: channel.seen == [b'abcd', b'ef'], one_pass, mine)
    channel.close()
    assert mine == {}


def test_the_end_of_a_pipe_closes_the_channel(pipe, one_pass, until):
    reader, writer = pipe
    mine = {}
    channel = Reading(reader, mine)
    writer.close()
    until(lambda: channel.closes, one_pass, mine)
    assert mine == {}


def test_a_pipe_is_written_to_while_it_has_room(pipe, one_pass):
    reader, writer = pipe
    mine, sent = {}, []

    class Writing(asyncore.file_dispatcher):
        def readable(self):
            return False

        def handle_write(self):
            sent.append(self.send(b'x' * 1000))

    Writing(writer, mine)
    for _ in range(100):
        one_pass(map=mine)
    assert 0 < sum(sent) < 100000
    before = len(sent)
    reader.read(1 << 20)
    one_pass(map=mine)
    assert len(sent) == before + 1
    asyncore.close_all(mine)


def test_a_regular_file_is_always_ready(regular, one_pass):
    mine = {}
    channel = Reading(regular, mine)
    for _ in range(3):
        one_pass(map=mine)
    assert channel.seen == [b'abcd', b'efgh', b'ij']
    one_pass(map=mine)
    assert channel.closes == 1 and mine == {}


def test_a_regular_file_beside_a_socket_starves_nobody(regular, pair, one_pass, readable_now):
    near, far = pair()
    mine, log = {}, []

    class Channel(asyncore.dispatcher):
        def writable(self):
            return False

        def handle_read(self):
            log.append(self.recv(100))

    file = Reading(regular, mine)
    Channel(near, mine)
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    assert (file.seen, log) == ([b'abcd'], [b'x'])
    one_pass(60.0, mine)
    assert file.seen == [b'abcd', b'efgh']
    asyncore.close_all(mine)


def test_a_terminal_is_a_channel(one_pass, until, stack):
    import pty
    master, slave = pty.openpty()
    stack.callback(os.close, master)
    stack.callback(os.close, slave)
    mine = {}
    channel = Reading(slave, mine)
    os.write(master, b'ab\n')
    until(lambda: channel.seen, one_pass, mine)
    assert channel.seen == [b'ab\n']
    channel.close()


def test_a_file_or_its_number_can_be_given(pipe, one_pass, until):
    reader, writer = pipe
    mine = {}
    channel = Reading(reader, mine)
    number_only = Reading(reader.fileno(), mine)
    number_only.close()
    writer.write(b'x')
    until(lambda: channel.seen, one_pass, mine)
    channel.close()
