"""What is new: timers, triggers, the choice of a poller."""

import socket
import threading

import asyncore
import pytest
from channels import LoggingReader, Silent

pytestmark = pytest.mark.added

if not hasattr(asyncore, 'call_later'):
    pytest.skip('not in the standard library', allow_module_level=True)


def test_a_call_is_made_once_by_the_loop_and_the_loop_then_ends():
    calls = []
    timer = asyncore.call_later(0.01, calls.append, 'x')
    assert calls == [] and not timer.cancelled
    asyncore.loop(timeout=60.0)
    assert calls == ['x'] and timer.cancelled


def test_calls_are_made_in_the_order_of_their_times():
    calls = []
    for delay in (0.03, 0.01, 0.02):
        asyncore.call_later(delay, calls.append, delay)
    asyncore.call_later(0, calls.append, 'first')
    asyncore.call_later(0, calls.append, 'second')
    asyncore.loop(timeout=60.0)
    assert calls == ['first', 'second', 0.01, 0.02, 0.03]


def test_arguments_are_handed_on():
    calls = []

    def target(*args, **kwargs):
        calls.append((args, kwargs))

    asyncore.call_later(0, target, 1, 2, three=3)
    asyncore.loop()
    assert calls == [((1, 2), {'three': 3})]


def test_a_call_that_was_cancelled_is_not_made():
    calls = []
    timer = asyncore.call_later(0.01, calls.append, 'no')
    asyncore.call_later(0.02, calls.append, 'yes')
    assert timer.cancel() is True and timer.cancelled
    assert timer.cancel() is False
    asyncore.loop(timeout=60.0)
    assert calls == ['yes']


def test_a_call_can_be_put_off_again():
    calls = []
    timer = asyncore.call_later(60.0, calls.append, 'moved')
    timer.reset(0.01)
    asyncore.loop(timeout=60.0)
    assert calls == ['moved']
    timer.reset(0.01)
    asyncore.loop(timeout=60.0)
    assert calls == ['moved'] * 2


def test_a_call_is_repeated_until_it_is_cancelled():
    calls = []

    def repeated():
        calls.append('x')
        if len(calls) == 4:
            timer.cancel()

    timer = asyncore.call_every(0.002, repeated)
    asyncore.loop(timeout=60.0)
    assert len(calls) == 4


def test_calls_put_off_by_calls_wait_for_the_next_pass():
    calls = []

    def again():
        calls.append('x')
        if len(calls) < 100:
            asyncore.call_later(0, again)

    asyncore.call_later(0, again)
    asyncore.loop(timeout=60.0, count=3)
    assert len(calls) == 3
    asyncore.loop(timeout=60.0)
    assert len(calls) == 100


@pytest.mark.parametrize('delay', [-1, -0.001])
def test_a_call_cannot_be_put_off_into_the_past(delay):
    with pytest.raises(ValueError):
        asyncore.call_later(delay, print)


def test_a_repeated_call_needs_time_between():
    with pytest.raises(ValueError):
        asyncore.call_every(0, print)


def test_a_call_belongs_to_the_loop_of_its_map(one_pass):
    mine, calls = {}, []
    asyncore.call_later(0, calls.append, 'mine', map=mine)
    asyncore.loop()
    assert calls == []
    one_pass(map=mine)
    assert calls == ['mine']


def test_a_call_is_made_between_events(pair, one_pass, until):
    near, far = pair()
    mine, log = {}, []

    LoggingReader(near, mine, log)
    asyncore.call_later(0.01, far.sendall, b'x', map=mine)
    until(lambda: log, lambda timeout, map: one_pass(60.0, map), mine)
    assert log == [b'x']


def test_a_call_may_close_and_open_channels(pair):
    near, far = pair()
    mine = {}

    channel = Silent(near, mine)
    asyncore.call_later(0.01, channel.close, map=mine)
    asyncore.loop(timeout=60.0, map=mine)
    assert mine == {}


def test_an_error_in_a_call_is_told_and_does_not_stop_the_loop(capsys):
    calls = []

    def broken():
        raise LookupError('mine')

    asyncore.call_later(0, broken)
    asyncore.call_later(0.001, calls.append, 'x')
    asyncore.loop()
    assert calls == ['x'] and 'mine' in capsys.readouterr().out


@pytest.mark.parametrize('leaving', [asyncore.ExitNow, KeyboardInterrupt, SystemExit])
def test_a_call_may_leave_the_loop(leaving):
    def leave():
        raise leaving

    timer = asyncore.call_every(0.001, leave)
    with pytest.raises(leaving):
        asyncore.loop()
    timer.cancel()


def test_a_loop_that_waits_for_a_call_sleeps(cpu_time):
    for use_poll in (False, True):
        asyncore.call_later(0.2, int)
        with cpu_time() as used:
            asyncore.loop(timeout=60.0, use_poll=use_poll)
            assert used() < 0.1, 'the loop did not sleep'


# Triggers


@pytest.fixture
def trigger():
    mine = {}
    trigger = asyncore.Trigger(mine)
    yield trigger, mine
    trigger.close()


def test_a_trigger_calls_on_the_thread_of_the_loop(trigger, one_pass):
    trigger, mine = trigger
    threads = []
    pulling = threading.Thread(
        target=trigger.pull_trigger, args=[lambda: threads.append(threading.current_thread())])
    pulling.start()
    pulling.join()
    assert threads == []
    one_pass(10.0, mine)
    assert threads == [threading.current_thread()]


def test_a_trigger_wakes_a_loop_that_sleeps(trigger):
    trigger, mine = trigger
    threading.Timer(0.05, trigger.pull_trigger, [trigger.close]).start()
    asyncore.loop(timeout=60.0, map=mine)
    assert mine == {}


def test_many_pulls_are_each_answered_in_order(trigger):
    trigger, mine = trigger
    calls = []

    def pull():
        for number in range(500):
            trigger.pull_trigger(lambda number=number: calls.append(number))
        trigger.pull_trigger(trigger.close)

    pulling = threading.Thread(target=pull)
    pulling.start()
    asyncore.loop(timeout=60.0, map=mine)
    pulling.join()
    assert calls == list(range(500))


def test_a_trigger_holds_a_bounded_number_of_calls(trigger, one_pass):
    trigger, mine = trigger
    for _ in range(trigger.limit):
        trigger.pull_trigger(int)
    with pytest.raises(RuntimeError):
        trigger.pull_trigger(int)
    one_pass(10.0, mine)
    trigger.pull_trigger(int)


def test_an_error_behind_a_trigger_is_logged_and_the_rest_is_called(trigger, one_pass, capsys):
    trigger, mine = trigger
    calls = []

    def broken():
        raise LookupError('mine')

    trigger.pull_trigger(broken)
    trigger.pull_trigger(lambda: calls.append('x'))
    one_pass(10.0, mine)
    assert calls == ['x'] and 'mine' in capsys.readouterr().out and mine


def test_a_closed_trigger_cannot_be_pulled(trigger, open_files):
    before = open_files()
    other = asyncore.Trigger({})
    other.close()
    assert open_files() == before
    with pytest.raises(OSError):
        other.pull_trigger()


def test_a_trigger_may_be_pulled_by_a_signal_handler(trigger):
    import os
    import signal
    trigger, mine = trigger
    old = signal.signal(signal.SIGUSR1, lambda *_: trigger.pull_trigger(trigger.close))
    try:
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        asyncore.loop(timeout=60.0, map=mine)
        assert mine == {}
    finally:
        signal.signal(signal.SIGUSR1, old)


# Pollers


@pytest.mark.parametrize('poller', ['select', 'poll', 'epoll'])
def test_a_poller_can_be_chosen(poller, pair):
    near, far = pair()
    mine, log = {}, []

    class Reader(asyncore.dispatcher):
        def writable(self):
            return False

        def handle_read(self):
            log.append(self.recv(100))
            self.close()

    Reader(near, mine)
    far.sendall(b'x')
    asyncore.loop(timeout=60.0, map=mine, poller=poller)
    assert log == [b'x']


def test_an_unknown_poller_is_refused_by_name():
    with pytest.raises(ValueError, match="kqueue"):
        asyncore.loop(map={1: None}, poller='kqueue')


def test_a_signal_handler_that_raises_ends_the_wait(pair):
    import os
    import signal

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    near, _ = pair()

    mine = {}
    Silent(near, mine)
    old = signal.signal(signal.SIGUSR1, ring)
    try:
        for poller in ('select', 'poll', 'epoll'):
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1]).start()
            with pytest.raises(Alarm):
                asyncore.loop(timeout=60.0, map=mine, poller=poller)
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_other_threads_run_while_the_loop_waits(pair):
    near, far = pair()
    mine = {}

    class Closing(asyncore.dispatcher):
        def writable(self):
            return False

        def handle_read(self):
            self.close()

    for poller in ('select', 'poll', 'epoll'):
        end, other = socket.socketpair()
        Closing(end, mine)
        sending = threading.Thread(target=other.sendall, args=[b'x'])
        sending.start()
        asyncore.loop(timeout=60.0, map=mine, poller=poller)
        sending.join()
        other.close()
