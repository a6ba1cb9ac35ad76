"""Idle channels are not asked, and what is kept about them is never wrong.

Every test runs on a set of descriptors that is kept from pass to pass (`kept`), and on a fresh
poll, which is what the answer must be the same as.
"""

import socket
import subprocess
import sys

import asyncore
import pytest
from channels import Collecting, Reader

pytestmark = pytest.mark.added

if not hasattr(asyncore, 'watch_threshold'):
    pytest.skip('not in the standard library', allow_module_level=True)


def calls_into_python(function):
    """The names of the Python functions that run while `function` does, itself not counted."""
    names = []

    def note(frame, event, argument):
        if event == 'call':
            names.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.compiled
@pytest.mark.parametrize('channel', [Collecting, Reader])
def test_original_predicates_are_not_asked(socketpair, any_pass, channel):
    mine = {}
    for _ in range(100):
        channel(socketpair()[0], mine)
    any_pass(map=mine)
    names = calls_into_python(lambda: any_pass(map=mine))
    assert 'readable' not in names and 'writable' not in names


@pytest.mark.compiled
def test_an_overridden_predicate_is_asked_and_the_others_are_not(socketpair, any_pass):
    asked = []

    class Choosy(Collecting):
        def writable(self):
            asked.append(self)
            return super().writable()

    mine = {}
    for _ in range(50):
        Collecting(socketpair()[0], mine)
    choosy = Choosy(socketpair()[0], mine)
    for _ in range(3):
        asked.clear()
        names = calls_into_python(lambda: any_pass(map=mine))
        assert asked == [choosy] and 'readable' not in names


@pytest.mark.compiled
def test_a_pass_with_thousands_of_idle_channels_costs_what_happens(stack):
    """Counted in instructions of the interpreter's own: no Python code runs for an idle one."""
    mine = {}
    for _ in range(300):
        near, far = socket.socketpair()
        stack.enter_context(far)
        Collecting(stack.enter_context(near), mine)
    active_near, active_far = (stack.enter_context(end) for end in socket.socketpair())
    active = Collecting(active_near, mine)
    asyncore.poll2(0.0, mine)
    active_far.sendall(b'x')
    names = calls_into_python(lambda: asyncore.poll2(0.0, mine))
    assert active.seen == [b'x']
    assert len(names) < 10, names


def test_input_is_seen_in_the_pass_after_it_came(socketpair, any_pass):
    mine, channels = {}, []
    for _ in range(80):
        near, far = socketpair()
        channels.append((Collecting(near, mine), far))
    any_pass(map=mine)
    for turn in range(3):
        for index in (0, 40, 79):
            channels[index][1].sendall(b'%d' % turn)
        any_pass(map=mine)
        assert [len(chat.seen) for chat, _ in channels].count(turn + 1) == 3
    assert channels[40][0].seen == [b'0', b'1', b'2']


def test_what_is_pushed_from_outside_a_callback_goes_out(socketpair, any_pass, until):
    mine = {}
    for _ in range(80):
        near, far = socketpair()
        chat = Collecting(near, mine)
    any_pass(map=mine)
    message = bytes(1000000)
    chat.push(message)
    assert chat.producer_fifo
    received = bytearray()
    far.setblocking(False)

    def arrived():
        try:
            received.extend(far.recv(1 << 20))
        except BlockingIOError:
            pass
        return len(received) == len(message)

    until(arrived, any_pass, mine)


def test_what_is_pushed_by_another_channels_callback_goes_out(socketpair, any_pass, until):
    """As a relay does."""
    mine = {}
    near, far = socketpair()
    other_near, other_far = socketpair()
    receiver = Collecting(other_near, mine)

    class Sender(Collecting):
        def collect_incoming_data(self, data):
            receiver.producer_fifo.append(data)

    Sender(near, mine)
    any_pass(map=mine)
    far.sendall(b'relayed')
    other_far.setblocking(False)

    def arrived():
        try:
            return other_far.recv(100) == b'relayed'
        except BlockingIOError:
            return False

    until(arrived, any_pass, mine)


def test_close_when_done_of_an_idle_channel_closes_it(socketpair, any_pass, until):
    mine = {}
    near, far = socketpair()
    chat = Collecting(near, mine)
    any_pass(map=mine)
    any_pass(map=mine)
    chat.close_when_done()
    until(lambda: mine == {}, any_pass, mine)


def test_connected_set_to_false_by_hand_is_noticed(socketpair, any_pass, until):
    """An attribute like any other: writable() of a chat looks at it."""
    mine, log = {}, []

    class Noting(Collecting):
        def handle_write(self):
            log.append('write')

    near, far = socketpair()
    chat = Noting(near, mine)
    any_pass(map=mine)
    chat.connected = False
    until(lambda: log, any_pass, mine)


def test_a_hang_up_of_an_idle_channel_closes_it_once(socketpair, any_pass, until):
    mine = {}
    near, far = socketpair()
    reader = Reader(near, mine)
    Reader(socketpair()[0], mine)
    any_pass(map=mine)
    far.close()
    until(lambda: reader.closes, any_pass, mine)
    any_pass(map=mine)
    assert reader.closes == 1 and len(mine) == 1


SETS_OF_A_LARGE_MAP = '''
import asyncore_rs, os, socket
asyncore_rs.install()
import asyncore, asynchat

pairs, channels = [socket.socketpair() for _ in range(asyncore.watch_threshold + 1)], {}
for near, _ in pairs:
    asynchat.async_chat(near, channels)
for _ in range(2):
    asyncore.poll(0.0, channels)
names = [f'/proc/self/fd/{name}' for name in os.listdir('/proc/self/fd')]
files = [os.readlink(name) for name in names if os.path.lexists(name)]
print(files.count('anon_inode:[eventpoll]'))
'''


@pytest.mark.compiled
def test_a_large_map_has_a_kept_set():
    """Otherwise nothing here would prove anything about it."""
    result = subprocess.run([sys.executable, '-c', SETS_OF_A_LARGE_MAP], capture_output=True,
                            text=True, timeout=60)
    assert (result.stdout, result.stderr) == ('1\n', '')


@pytest.mark.parametrize('own', [False, True])
def test_a_channel_is_not_asked_for_its_dictionary_before_anything_happens(
        socketpair, monkeypatch, own):
    """Python 3.11 and 3.12 make it when it is asked for, and are slower with the channel then."""
    monkeypatch.setattr(asyncore, 'watch_threshold', 0)
    asked, mine = [], {}

    class Noting(Collecting):
        @property
        def __dict__(self):
            asked.append(self)
            return object.__getattribute__(self, '__dict__')

    if own:
        Noting.writable = lambda self: False
    Noting(socketpair()[0], mine)
    asyncore.loop(0.0, True, mine, count=3)
    assert not asked
