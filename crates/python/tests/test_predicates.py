"""readable() and writable(): who overrides them is asked, whenever it matters."""

import asynchat
import asyncore
import pytest
from channels import Quiet, note
from conftest import epoll_pass as EPOLL


@pytest.mark.parametrize('where', ['class', 'instance'])
def test_overridden_predicates_are_asked_before_every_pass(pair, one_pass, readable_now, where):
    near, far = pair()
    mine, asked = {}, []

    class Plain(Quiet):
        pass

    channel = Plain(near, mine)
    owner = Plain if where == 'class' else channel
    owner.readable = note(asked, 'readable', False)
    far.sendall(b'x')
    readable_now(near)
    for passes in (1, 2, 3):
        one_pass(map=mine)
        assert asked == ['readable'] * passes
    assert near.recv(100) == b'x', 'handle_read was called though readable() said no'


@pytest.mark.parametrize('where', ['class', 'instance'])
def test_a_predicate_overridden_later_is_asked_from_then_on(pair, one_pass, until, readable_now,
                                                            where):
    if one_pass is EPOLL and where == 'instance':
        pytest.skip('poller="epoll" is for programs that change channels by their methods only')
    near, far = pair()
    mine, asked = {}, []

    class Plain(Quiet):
        pass

    channel = Plain(near, mine)
    one_pass(map=mine)
    owner = Plain if where == 'class' else channel
    owner.readable = note(asked, 'readable', False)
    # On a kept set, what is put on an instance later is found before the loop sleeps.
    until(lambda: asked, one_pass, mine)
    asked.clear()
    far.sendall(b'x')
    readable_now(near)
    for passes in (1, 2, 3):
        one_pass(map=mine)
        assert asked == ['readable'] * passes
    assert near.recv(100) == b'x', 'handle_read was called though readable() said no'


@pytest.mark.parametrize('own', [None, 'writable'])
def test_a_readable_put_on_the_instance_later_is_obeyed_at_once(pair, one_pass, pass_with_input,
                                                                own):
    near, far = pair()
    mine = {}

    class Plain(Quiet):
        pass

    if own:
        Plain.writable = lambda self: False
    channel = Plain(near, mine)
    one_pass(map=mine)
    channel.readable = lambda: False
    pass_with_input(near, far, mine)
    assert near.recv(100) == b'x', 'handle_read was called though readable() said no'


def test_a_predicate_that_changes_its_mind_is_obeyed_at_once(pair, one_pass, pass_with_input,
                                                             readable_now):
    near, far = pair()
    mine, log = {}, []

    class Moody(asyncore.dispatcher):
        wants_to_read = wants_to_write = False

        def readable(self):
            return self.wants_to_read

        def writable(self):
            return self.wants_to_write

        def handle_read(self):
            log.append(self.recv(100))

        def handle_write(self):
            log.append('write')

    channel = Moody(near, mine)
    pass_with_input(near, far, mine)
    assert log == []
    channel.wants_to_write = True
    one_pass(map=mine)
    assert log == ['write']
    channel.wants_to_write, channel.wants_to_read = False, True
    one_pass(map=mine)
    assert log == ['write', b'x']
    channel.wants_to_read = False
    far.sendall(b'y')
    readable_now(near)
    one_pass(map=mine)
    assert log == ['write', b'x']


def test_predicates_may_answer_with_anything_that_has_a_truth(pair, one_pass):
    near, _ = pair()
    mine, log = {}, []

    class Truthy(asyncore.dispatcher):
        answers = [[], [0], 0, 2, '', 'yes', None]
        readable = note([], '', ())
        handle_write = note(log, 'write')

        def writable(self):
            return self.answers.pop(0)

    Truthy(near, mine)
    counts = []
    while Truthy.answers:
        one_pass(map=mine)
        counts.append(len(log))
    assert counts == [0, 1, 1, 2, 2, 3, 3]


def test_an_error_in_a_predicate_leaves_the_loop(pair, one_pass):
    near, _ = pair()
    mine = {}

    class Broken(Quiet):
        def readable(self):
            raise LookupError('mine')

    Broken(near, mine)
    with pytest.raises(LookupError, match='mine'):
        one_pass(map=mine)


@pytest.mark.parametrize('what', ['a function', 'a method of another channel', 'no function'])
def test_whatever_is_put_on_the_instance_before_the_first_pass_is_asked(pair, one_pass, what):
    mine, log = {}, []

    class Other(asynchat.async_chat):
        """Has something to send, or so it says."""
        connected = False

    class Asked:
        def __call__(self):
            return True

    channel = asynchat.async_chat(pair()[0], mine)
    channel.handle_write = note(log, 'write')
    channel.writable = {
        'a function': lambda: True,
        'a method of another channel': Other(map={}).writable,
        'no function': Asked(),
    }[what]
    one_pass(map=mine)
    assert log == ['write']
