"""Channels that other threads close while the loop waits."""

import errno
import socket
import threading

import asyncore
import pytest
from channels import Silent
from conftest import DEADLINE

POLLERS = [pytest.param({}, id='select'), pytest.param({'use_poll': True}, id='poll'),
           pytest.param({'poller': 'epoll'}, id='epoll', marks=pytest.mark.added)]


class Asked(Silent):
    """Says when the loop asks it, which is the last it does before it waits."""

    def __init__(self, sock, map):
        super().__init__(sock, map)
        self.asked = threading.Event()

    def readable(self):
        self.asked.set()
        return True


@pytest.mark.parametrize('poller', POLLERS)
@pytest.mark.parametrize('others', [
    0, *(pytest.param(count, marks=pytest.mark.added) for count in (1, 100))])
def test_a_channel_closed_by_another_thread_does_not_end_the_loop_with_an_error(
        poller, others, socketpair):
    mine = {}
    channels = [Silent(socketpair()[0], mine) for _ in range(others)]
    last = Asked(socketpair()[0], mine)
    ends = []

    def run():
        try:
            asyncore.loop(0.05, map=mine, **poller)
            ends.append(None)
        except OSError as error:
            ends.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    assert last.asked.wait(DEADLINE)
    for channel in [*channels, last]:
        channel.close()
    thread.join(DEADLINE)
    assert ends == [None]


@pytest.mark.added
def test_a_channel_closed_while_the_others_are_asked_is_passed_over(socketpair, one_pass):
    """What another thread does between two questions, here a predicate does."""
    mine = {}
    first = Silent(socketpair()[0], mine)

    class Closes(Silent):
        def readable(self):
            first.close()
            return True
    near, far = socketpair()
    closes = Closes(near, mine)
    far.send(b'x')
    one_pass(map=mine)
    assert list(mine.values()) == [closes]


def test_a_closed_descriptor_that_the_map_still_holds_is_an_error(socketpair):
    mine = {}
    near, _ = socketpair()
    Silent(near, mine)
    near.close()
    with pytest.raises(OSError) as raised:
        asyncore.poll(0, mine)
    assert raised.value.errno == errno.EBADF
