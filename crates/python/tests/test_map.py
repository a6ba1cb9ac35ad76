"""The map is the caller's: a plain dict, with anything in it, changed at any time."""

import os
import socket
import weakref

import asyncore
import pytest


class Recorder(asyncore.dispatcher):
    """Notes what it reads."""

    def __init__(self, sock, map=None):
        super().__init__(sock, map)
        self.seen = []

    def writable(self):
        return False

    def handle_read(self):
        self.seen.append(self.recv(100))


class Duck:
    """No dispatcher at all: has what a pass asks of an object, and nothing else."""

    accepting = False

    def __init__(self, sock):
        self.sock = sock
        self.events = []

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_read_event(self):
        self.events.append(self.sock.recv(100))


def test_a_map_given_is_the_one_used(pair, one_pass, readable_now):
    near, far = pair()
    channels = {}
    channel = Recorder(near, channels)
    assert channels == {near.fileno(): channel} and not asyncore.socket_map
    assert channel._map is channels
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=channels)
    assert channel.seen == [b'x']
    channel.close()
    assert channels == {}


def test_objects_that_are_no_dispatchers_take_part(pair, one_pass, readable_now):
    near, far = pair()
    duck = Duck(near)
    far.sendall(b'x')
    readable_now(near)
    one_pass(map={near.fileno(): duck})
    assert duck.events == [b'x']


def test_a_channel_put_into_a_map_by_hand_takes_part(pair, one_pass, readable_now):
    near, far = pair()
    channel = Recorder(near, {})
    mine = {near.fileno(): channel}
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    assert channel.seen == [b'x']


def test_a_channel_taken_out_by_hand_is_left_alone(pair, one_pass, readable_now):
    near, far = pair()
    other_near, _ = pair()
    mine = {}
    channel, other = Recorder(near, mine), Recorder(other_near, mine)
    one_pass(map=mine)
    del mine[near.fileno()]
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    one_pass(map=mine)
    assert channel.seen == []
    mine[near.fileno()] = channel
    one_pass(map=mine)
    assert channel.seen == [b'x'] and other.seen == []


def test_an_object_exchanged_under_its_number_gets_the_events(pair, one_pass, readable_now):
    near, far = pair()
    mine = {}
    channel = Recorder(near, mine)
    one_pass(map=mine)
    duck = mine[near.fileno()] = Duck(near)
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    assert (channel.seen, duck.events) == ([], [b'x'])


def test_a_channel_can_be_in_two_maps(pair, one_pass, readable_now):
    near, far = pair()
    first, second = {}, {}
    channel = Recorder(near, first)
    channel.add_channel(second)
    for channels, word in [(first, b'1'), (second, b'2'), (first, b'3')]:
        far.sendall(word)
        readable_now(near)
        one_pass(map=channels)
    assert channel.seen == [b'1', b'2', b'3']


def test_socket_map_is_looked_up_when_it_is_needed(pair, one_pass, readable_now, monkeypatch):
    near, far = pair()
    mine = {}
    monkeypatch.setattr(asyncore, 'socket_map', mine)
    channel = Recorder(near)
    assert list(mine) == [near.fileno()]
    far.sendall(b'x')
    readable_now(near)
    one_pass()
    assert channel.seen == [b'x']
    asyncore.close_all()
    assert mine == {} and near.fileno() == -1


@pytest.mark.parametrize('use_poll, name', [(False, 'poll'), (True, 'poll2')])
def test_loop_looks_its_pass_up_by_name(monkeypatch, use_poll, name):
    calls = []
    mine = {1: object()}

    def stand_in(timeout, map):
        calls.append((timeout, map))
        if len(calls) == 3:
            map.clear()

    monkeypatch.setattr(asyncore, name, stand_in)
    asyncore.loop(7.5, use_poll, mine)
    assert calls == [(7.5, mine)] * 3


def test_loop_ends_when_its_count_is_used_up(monkeypatch):
    calls = []
    monkeypatch.setattr(asyncore, 'poll', lambda timeout, map: calls.append(timeout))
    asyncore.loop(timeout=1.0, map={1: object()}, count=4)
    assert calls == [1.0] * 4
    asyncore.loop(timeout=1.0, map={1: object()}, count=0)
    assert calls == [1.0] * 4


def test_loop_ends_when_the_map_is_empty(pair):
    near, far = pair()

    class Closing(Recorder):
        def handle_read(self):
            self.close()

    Closing(near)
    far.sendall(b'x')
    asyncore.loop()
    assert not asyncore.socket_map


def test_a_pass_over_an_empty_map_returns_at_once(one_pass):
    one_pass(60.0, {})


def test_a_channel_closed_during_a_pass_gets_no_more_of_it(pair, one_pass, readable_now):
    mine, closed = {}, []
    pairs = [pair() for _ in range(6)]

    class First(Recorder):
        def handle_read(self):
            super().handle_read()
            for other in list(self._map.values()):
                if other is not self:
                    other.close()
                    closed.append(other)

    channels = [First(near, mine) for near, _ in pairs]
    for _, far in pairs:
        far.sendall(b'x')
    readable_now(*(near for near, _ in pairs))
    one_pass(map=mine)
    assert len(closed) == 5
    assert sum(len(channel.seen) for channel in channels) == 1


def test_a_channel_added_during_a_pass_waits_for_the_next(pair, one_pass, readable_now):
    mine, added = {}, []
    near, far = pair()
    late_near, late_far = pair()

    class Adding(Recorder):
        def handle_read(self):
            super().handle_read()
            if not added:
                added.append(Recorder(late_near, mine))

    Adding(near, mine)
    for end in (far, late_far):
        end.sendall(b'x')
    readable_now(near, late_near)
    one_pass(map=mine)
    assert added[0].seen == []
    one_pass(map=mine)
    assert added[0].seen == [b'x']


def test_maps_that_are_not_plain_dicts_work(pair, one_pass, readable_now):
    near, far = pair()
    channels = weakref.WeakValueDictionary()
    channel = Recorder(near, channels)
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=channels)
    assert channel.seen == [b'x']


def test_a_loop_may_run_inside_a_callback(pair, one_pass, readable_now):
    near, far = pair()
    inner_near, inner_far = pair()
    inner_map = {}
    inner = Recorder(inner_near, inner_map)

    class Nesting(Recorder):
        def handle_read(self):
            super().handle_read()
            inner_far.sendall(b'inner')
            readable_now(inner_near)
            one_pass(map=inner_map)
            self.seen.append(list(inner.seen))

    outer_map = {}
    channel = Nesting(near, outer_map)
    far.sendall(b'outer')
    readable_now(near)
    one_pass(map=outer_map)
    assert channel.seen == [b'outer', [b'inner']]


def test_the_same_map_may_be_passed_over_inside_a_callback(pair, one_pass, readable_now):
    mine = {}
    pairs = [pair() for _ in range(3)]

    class Nesting(Recorder):
        def handle_read(self):
            super().handle_read()
            one_pass(map=mine)

    channels = [Nesting(near, mine) for near, _ in pairs]
    for _, far in pairs:
        far.sendall(b'x')
    readable_now(*(near for near, _ in pairs))

    one_pass(map=mine)
    assert sorted(channel.seen[0] for channel in channels) == [b'x'] * 3


def test_close_all_closes_anything_that_has_close():
    class OnlyClose:
        closed = False

        def close(self):
            self.closed = True

    fakes = {number: OnlyClose() for number in range(5)}
    kept = list(fakes.values())
    asyncore.close_all(fakes)
    assert fakes == {} and all(fake.closed for fake in kept)


def raising(error):
    class Raising:
        def close(self):
            raise error
    return Raising()


def test_close_all_passes_over_closed_descriptors_and_raises_the_rest():
    import errno
    asyncore.close_all({1: raising(OSError(errno.EBADF, 'gone'))})
    with pytest.raises(OSError):
        asyncore.close_all({1: raising(OSError(errno.EIO, 'broken'))})
    asyncore.close_all({1: raising(OSError(errno.EIO, 'broken'))}, ignore_all=True)
    with pytest.raises(ValueError):
        asyncore.close_all({1: raising(ValueError())})
    asyncore.close_all({1: raising(ValueError())}, ignore_all=True)
    for leaving in (asyncore.ExitNow, KeyboardInterrupt, SystemExit):
        with pytest.raises(leaving):
            asyncore.close_all({1: raising(leaving())}, ignore_all=True)


def test_a_descriptor_that_is_not_open_is_reported(one_pass, until):
    """select raises for it, poll hands it to handle_close."""
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    closed = []

    class Stale(Duck):
        def handle_close(self):
            closed.append(self)

    mine = {reader: Stale(None)}
    if one_pass.__name__ == 'select_pass':
        with pytest.raises(OSError):
            one_pass(map=mine)
    else:
        until(lambda: closed, one_pass, mine)
        assert closed == list(mine.values())


def test_nobody_but_the_map_keeps_a_channel_alive(pair, one_pass, readable_now):
    near, far = pair()
    mine = {}
    gone = weakref.ref(Recorder(near, mine))
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    one_pass(map=mine)
    assert gone() is not None
    mine.clear()
    one_pass(map=mine)
    import gc
    gc.collect()
    assert gone() is None


def test_unix_sockets_and_socketpairs_are_channels_like_any_other(one_pass, readable_now, stack):
    near, far = (stack.enter_context(end) for end in socket.socketpair())
    mine = {}
    channel = Recorder(near, mine)
    far.sendall(b'x')
    readable_now(near)
    one_pass(map=mine)
    assert channel.seen == [b'x'] and channel.connected
