"""What a program overrides is called, however it does it; the base class stays out of its way."""

import pickle
import socket
import unittest.mock

import asynchat
import asyncore
import pytest
from channels import Quiet, note
from conftest import epoll_pass as EPOLL


def test_a_hook_on_the_instance_is_called(pair, pass_with_input):
    near, far = pair()
    mine, log = {}, []
    channel = Quiet(near, mine)
    channel.handle_read = note(log, 'read')
    pass_with_input(near, far, mine)
    assert log == ['read']


def test_a_hook_put_on_the_instance_later_is_called(pair, one_pass, pass_with_input):
    near, far = pair()
    mine, log = {}, []
    channel = Quiet(near, mine)
    one_pass(map=mine)
    channel.handle_read = note(log, 'read')
    pass_with_input(near, far, mine)
    del channel.handle_read
    one_pass(map=mine)
    one_pass(map=mine)
    assert log == ['read']


def test_a_hook_put_on_the_class_later_is_called(pair, one_pass, pass_with_input):
    near, far = pair()
    mine, log = {}, []

    class Plain(Quiet):
        pass

    Plain(near, mine)
    one_pass(map=mine)
    Plain.handle_read = note(log, 'read')
    pass_with_input(near, far, mine)
    assert log == ['read']


def test_a_hook_put_on_the_base_class_itself_is_called(pair, one_pass, pass_with_input,
                                                       monkeypatch):
    near, far = pair()
    mine, log = {}, []
    channel = asyncore.dispatcher(near, mine)
    channel.writable = lambda: False
    one_pass(map=mine)
    monkeypatch.setattr(asyncore.dispatcher, 'handle_read', note(log, 'read'))
    pass_with_input(near, far, mine)
    assert log == ['read']


@pytest.mark.parametrize('where', ['class', 'instance'])
def test_event_methods_can_be_overridden(pair, one_pass, pass_with_input, where):
    near, far = pair()
    mine, log = {}, []

    class Plain(Quiet):
        pass

    channel = Plain(near, mine)
    one_pass(map=mine)
    owner = Plain if where == 'class' else channel
    owner.handle_read_event = note(log, 'read event')
    pass_with_input(near, far, mine)
    assert log == ['read event']


def test_a_new_class_for_a_channel_counts_from_then_on(pair, one_pass, pass_with_input):
    near, far = pair()
    mine, log = {}, []
    channel = Quiet(near, mine)
    one_pass(map=mine)

    class Other(Quiet):
        handle_read = note(log, 'other')

    channel.__class__ = Other
    pass_with_input(near, far, mine)
    assert log == ['other']


def test_the_base_may_be_initialised_late(pair, one_pass, readable_now):
    near, far = pair()
    mine, log = {}, []

    class Mixin:
        def __init__(self):
            self.log = log

    class Late(Mixin, asynchat.async_chat):
        def __init__(self):
            Mixin.__init__(self)
            self.set_terminator(b'\n')

        def start(self, sock):
            asynchat.async_chat.__init__(self, sock, mine)

        def collect_incoming_data(self, data):
            self.log.append(data)

        def found_terminator(self):
            self.log.append('found')

    channel = Late()
    assert repr(channel).startswith('<') and not channel.connected
    channel.start(near)
    far.sendall(b'ab\n')
    readable_now(near)
    one_pass(map=mine)
    assert log == [b'ab', 'found']


def test_a_base_that_is_never_initialised_is_no_obstacle(pair, pass_with_input):
    """Some programs set the few attributes they need themselves."""
    near, far = pair()
    near.setblocking(False)
    mine, log = {}, []

    class Bare(asyncore.dispatcher):
        def __init__(self, sock):
            self._map = mine
            self.socket = sock
            self._fileno = sock.fileno()
            self.connected = True
            mine[self._fileno] = self

        def writable(self):
            return False

        def handle_read(self):
            log.append(self.recv(100))

    Bare(near)
    pass_with_input(near, far, mine)
    assert log == [b'x']


def test_slots_and_getattr_in_a_subclass_work(pair, pass_with_input):
    near, far = pair()
    mine = {}

    class Slotted(asyncore.dispatcher):
        __slots__ = ('seen',)

        def __getattr__(self, name):
            if name == 'colour':
                return 'green'
            raise AttributeError(name)

        def writable(self):
            return False

        def handle_read(self):
            self.seen = self.recv(100)

    channel = Slotted(near, mine)
    pass_with_input(near, far, mine)
    assert (channel.seen, channel.colour) == (b'x', 'green')


def test_methods_can_be_called_unbound_on_a_sibling(pair):
    """As pyftpdlib and others do: async_chat's method on an object that is a dispatcher only."""
    near, far = pair()
    mine = {}

    class Sibling(asyncore.dispatcher):
        ac_in_buffer_size = 100
        ac_in_buffer = b''
        terminator = b'\n'
        get_terminator = asynchat.async_chat.get_terminator

        def __init__(self, sock):
            super().__init__(sock, mine)
            self.log = []

        def collect_incoming_data(self, data):
            self.log.append(data)

        def found_terminator(self):
            self.log.append('found')

    channel = Sibling(near)
    far.sendall(b'ab\ncd')
    import select
    assert select.select([near], [], [], 10)[0]
    asynchat.async_chat.handle_read(channel)
    assert channel.log == [b'ab', 'found', b'cd']
    assert asyncore.dispatcher.readable(channel) and asyncore.dispatcher.writable(channel)
    assert asyncore.dispatcher.send(asynchat.async_chat(near, mine), b'hello') == 5
    assert far.recv(100) == b'hello'


def test_mock_sockets_do():
    sock = unittest.mock.MagicMock(spec=socket.socket)
    sock.fileno.return_value = 1234567
    sock.getpeername.return_value = ('192.0.2.1', 25)
    sock.recv.return_value = b'answer\r\nrest'
    sock.send.side_effect = len
    mine, log = {}, []

    class Chat(asynchat.async_chat):
        def collect_incoming_data(self, data):
            log.append(data)

        def found_terminator(self):
            log.append('found')

    chat = Chat(sock, mine)
    chat.set_terminator(b'\r\n')
    assert mine == {1234567: chat} and chat.addr == ('192.0.2.1', 25) and chat.connected
    sock.setblocking.assert_called_once_with(False)
    chat.handle_read_event()
    assert log == [b'answer', 'found', b'rest']
    sock.recv.assert_called_once_with(65536)
    chat.push(b'question')
    sock.send.assert_called_once_with(b'question')
    assert not chat.producer_fifo
    chat.close()
    sock.close.assert_called_once_with()
    assert mine == {}


def test_send_and_recv_overridden_by_a_channel_are_the_ones_used(pair, one_pass, readable_now):
    """As TLS wrappers do."""
    near, far = pair()
    mine, log = {}, []

    class Wrapping(asynchat.async_chat):
        def recv(self, size):
            return super().recv(size).swapcase()

        def send(self, data):
            return super().send(bytes(data).swapcase())

        def collect_incoming_data(self, data):
            log.append(data)

        def found_terminator(self):
            log.append('found')

    chat = Wrapping(near, mine)
    chat.set_terminator(b'\n')
    far.sendall(b'hello\n')
    readable_now(near)
    one_pass(map=mine)
    assert log == [b'HELLO', 'found']
    chat.push(b'answer')
    one_pass(map=mine)
    assert far.recv(100) == b'ANSWER'


@pytest.mark.parametrize('name', ['handle_read', 'found_terminator', 'collect_incoming_data',
                                  'get_terminator', 'recv'])
def test_each_step_of_a_chat_can_be_overridden_on_the_instance(pair, one_pass, readable_now, name):
    near, far = pair()
    mine, log = {}, []

    class Chat(asynchat.async_chat):
        def collect_incoming_data(self, data):
            pass

        def found_terminator(self):
            pass

    chat = Chat(near, mine)
    chat.set_terminator(b'\n')
    one_pass(map=mine)
    original = getattr(chat, name)

    def stand_in(*args):
        log.append(name)
        return original(*args)

    setattr(chat, name, stand_in)
    far.sendall(b'ab\n')
    readable_now(near)
    one_pass(map=mine)
    assert name in log


@pytest.mark.parametrize('name', ['initiate_send', 'handle_write', 'send'])
def test_each_step_of_sending_can_be_overridden_on_the_instance(pair, one_pass, until, name):
    if one_pass is EPOLL:
        pytest.skip('poller="epoll" is for programs that change channels by their methods only')
    near, far = pair()
    mine, log = {}, []
    chat = asynchat.async_chat(near, mine)
    one_pass(map=mine)
    original = getattr(chat, name)

    def stand_in(*args):
        log.append(name)
        return original(*args)

    setattr(chat, name, stand_in)
    chat.producer_fifo.append(b'hello')
    until(lambda: log, one_pass, mine)
    assert log == [name] and far.recv(100) == b'hello'


def test_a_program_may_touch_the_queue_directly(pair, one_pass, until):
    if one_pass is EPOLL:
        pytest.skip('poller="epoll" is for programs that change channels by their methods only')
    near, far = pair()
    mine = {}
    chat = asynchat.async_chat(near, mine)
    one_pass(map=mine)
    one_pass(map=mine)
    chat.producer_fifo.extend([b'one', b'two'])
    until(lambda: not chat.producer_fifo, one_pass, mine)
    assert far.recv(100) in (b'one', b'onetwo')


def test_classes_can_be_pickled_by_reference():
    for cls in (asyncore.dispatcher, asyncore.ExitNow, asynchat.async_chat,
                asynchat.simple_producer):
        assert pickle.loads(pickle.dumps(cls)) is cls
    producer = pickle.loads(pickle.dumps(asynchat.simple_producer(b'abc', 2)))
    assert [producer.more(), producer.more(), producer.more()] == [b'ab', b'c', b'']


def test_attributes_set_from_outside_are_obeyed(pair, one_pass):
    near, _ = pair()
    mine, log = {}, []

    class Plain(Quiet):
        def writable(self):
            return True

        handle_write = note(log, 'write')

    channel = Plain(near, mine)
    channel.accepting = True
    one_pass(map=mine)
    assert log == [], 'a listener is never asked to write'
    channel.accepting = False
    one_pass(map=mine)
    assert log == ['write']


@pytest.mark.parametrize('name', ['collect_incoming_data', 'get_terminator'])
def test_what_is_put_on_the_instance_in_a_callback_counts_for_the_next_message(
        pair, readable_now, name):
    """Also if the instance has as many attributes afterwards as it had before."""
    near, far = pair()
    log = []

    class Changing(asynchat.async_chat):
        collect_incoming_data = asynchat.async_chat._collect_incoming_data
        own = {'collect_incoming_data': log.append, 'get_terminator': lambda: b';'}

        def found_terminator(self):
            log.append(self._get_data())
            if hasattr(self, 'surplus'):
                del self.surplus
                setattr(self, name, self.own[name])

    channel = Changing(near, {})
    channel.surplus = None
    channel.set_terminator(b'\n')
    far.sendall(b'a\nb;\nc\n')
    readable_now(near)
    channel.handle_read()
    assert log == {
        'collect_incoming_data': [b'a', b'b;', b'', b'c', b''],
        'get_terminator': [b'a', b'b'],
    }[name]
