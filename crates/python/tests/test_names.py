"""Every name of 3.11's modules is there, with the same signature."""

import inspect

import asynchat
import asyncore
import pytest

ASYNCORE = '''
    EAGAIN EALREADY EBADF ECONNABORTED ECONNRESET EINPROGRESS EINVAL EISCONN ENOTCONN EPIPE
    ESHUTDOWN EWOULDBLOCK ExitNow _DEPRECATION_MSG _DISCONNECTED _exception _reraised_exceptions
    _strerror close_all compact_traceback dispatcher dispatcher_with_send errorcode
    file_dispatcher file_wrapper loop os poll poll2 poll3 read readwrite select socket
    socket_map sys time warnings write'''.split()
ASYNCHAT = '''
    _DEPRECATION_MSG _deprecated async_chat asyncore deque find_prefix_at_end simple_producer
    '''.split()

SIGNATURES = {
    asyncore: {
        'read': '(obj)', 'write': '(obj)', '_exception': '(obj)', 'readwrite': '(obj, flags)',
        '_strerror': '(err)',
        'poll': '(timeout=0.0, map=None)', 'poll2': '(timeout=0.0, map=None)',
        'close_all': '(map=None, ignore_all=False)', 'compact_traceback': '()',
    },
    asynchat: {'find_prefix_at_end': '(haystack, needle)'},
    asyncore.dispatcher: {
        '__init__': '(self, sock=None, map=None)', 'add_channel': '(self, map=None)',
        'del_channel': '(self, map=None)', 'set_socket': '(self, sock, map=None)',
        'set_reuse_addr': '(self)', 'readable': '(self)', 'writable': '(self)',
        'listen': '(self, num)', 'bind': '(self, addr)', 'connect': '(self, address)',
        'accept': '(self)', 'send': '(self, data)', 'recv': '(self, buffer_size)',
        'close': '(self)', 'log': '(self, message)',
        'log_info': "(self, message, type='info')", 'handle_read_event': '(self)',
        'handle_connect_event': '(self)', 'handle_write_event': '(self)',
        'handle_expt_event': '(self)', 'handle_error': '(self)', 'handle_expt': '(self)',
        'handle_read': '(self)', 'handle_write': '(self)', 'handle_connect': '(self)',
        'handle_accept': '(self)', 'handle_accepted': '(self, sock, addr)',
        'handle_close': '(self)',
    },
    asyncore.dispatcher_with_send: {
        '__init__': '(self, sock=None, map=None)', 'initiate_send': '(self)',
        'handle_write': '(self)', 'writable': '(self)', 'send': '(self, data)',
    },
    asyncore.file_wrapper: {
        '__init__': '(self, fd)', 'recv': '(self, *args)', 'send': '(self, *args)',
        'read': '(self, *args)', 'write': '(self, *args)', 'close': '(self)',
        'fileno': '(self)', 'getsockopt': '(self, level, optname, buflen=None)',
    },
    asyncore.file_dispatcher: {'__init__': '(self, fd, map=None)', 'set_file': '(self, fd)'},
    asynchat.async_chat: {
        '__init__': '(self, sock=None, map=None)', 'collect_incoming_data': '(self, data)',
        '_collect_incoming_data': '(self, data)', '_get_data': '(self)',
        'found_terminator': '(self)', 'set_terminator': '(self, term)',
        'get_terminator': '(self)', 'handle_read': '(self)', 'handle_write': '(self)',
        'handle_close': '(self)', 'push': '(self, data)',
        'push_with_producer': '(self, producer)', 'readable': '(self)', 'writable': '(self)',
        'close_when_done': '(self)', 'initiate_send': '(self)', 'discard_buffers': '(self)',
    },
    asynchat.simple_producer: {'__init__': '(self, data, buffer_size=512)', 'more': '(self)'},
}


@pytest.mark.parametrize('module, names', [(asyncore, ASYNCORE), (asynchat, ASYNCHAT)],
                         ids=['asyncore', 'asynchat'])
def test_no_name_is_missing(module, names):
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize('owner', SIGNATURES, ids=lambda owner: owner.__name__)
def test_signatures_are_those_of_3_11(owner):
    expected = SIGNATURES[owner]
    assert {name: str(inspect.signature(getattr(owner, name))) for name in expected} == expected


def test_loop_takes_the_arguments_of_3_11_in_their_order():
    parameters = inspect.signature(asyncore.loop).parameters
    assert [(name, parameters[name].default) for name in list(parameters)[:4]] == [
        ('timeout', 30.0), ('use_poll', False), ('map', None), ('count', None)]


def test_class_attributes_have_the_values_of_3_11():
    assert {name: getattr(asyncore.dispatcher, name) for name in (
        'debug', 'connected', 'accepting', 'connecting', 'closing', 'addr', 'ignore_log_types'
    )} == {'debug': False, 'connected': False, 'accepting': False, 'connecting': False,
           'closing': False, 'addr': None, 'ignore_log_types': frozenset({'warning'})}
    chat = asynchat.async_chat
    assert (chat.ac_in_buffer_size, chat.ac_out_buffer_size) == (65536, 65536)
    assert (chat.use_encoding, chat.encoding) == (0, 'latin-1')


def test_classes_are_python_classes_of_these_modules():
    for cls in (asyncore.dispatcher, asyncore.dispatcher_with_send, asyncore.file_dispatcher,
                asyncore.file_wrapper, asyncore.ExitNow):
        assert (cls.__module__, cls.__qualname__) == ('asyncore', cls.__name__)
    for cls in (asynchat.async_chat, asynchat.simple_producer):
        assert (cls.__module__, cls.__qualname__) == ('asynchat', cls.__name__)
    assert asynchat.async_chat.__mro__ == (asynchat.async_chat, asyncore.dispatcher, object)
    assert asyncore.ExitNow.__bases__ == (Exception,)
    for cls in (asyncore.dispatcher, asynchat.async_chat):
        assert all(inspect.isfunction(vars(cls)[name]) for name in SIGNATURES[cls])


def test_modules_refer_to_each_other():
    assert asynchat.asyncore is asyncore
    assert asyncore.poll3 is asyncore.poll2
    assert asyncore._reraised_exceptions == (asyncore.ExitNow, KeyboardInterrupt, SystemExit)


def test_attributes_of_a_fresh_channel_are_ordinary_ones():
    chat = asynchat.async_chat()
    assert chat.__dict__.keys() >= {
        '_map', '_fileno', 'socket', 'ac_in_buffer', 'incoming', 'producer_fifo'}
    assert (chat._fileno, chat.socket, chat.ac_in_buffer, chat.incoming) == (None, None, b'', [])
    assert chat._map is asyncore.socket_map
    assert type(chat.producer_fifo).__name__ == 'deque' and not chat.producer_fifo
    assert not hasattr(chat, 'terminator')
    chat.set_terminator(b'\n')
    assert chat.__dict__['terminator'] == b'\n'
    assert asyncore.dispatcher_with_send().__dict__['out_buffer'] == b''
