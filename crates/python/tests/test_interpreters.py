"""Several interpreters in one process, as in mod_wsgi: each has modules that work."""

import importlib.util
import sys

import pytest
from programs import INSTALLED, output

pytestmark = [
    pytest.mark.added,
    pytest.mark.skipif(not any(map(importlib.util.find_spec,
                                   ['_interpreters', '_xxsubinterpreters'])),
                       reason='no interpreters in this Python'),
]

WORKS = INSTALLED + '''
import socket

class Upper(asynchat.async_chat):
    collect_incoming_data = asynchat.async_chat._collect_incoming_data
    def found_terminator(self):
        data = self._get_data()
        if data == b'exit':
            raise asyncore.ExitNow
        self.push(data.upper())

mine = {}
near, far = socket.socketpair()
Upper(near, mine).set_terminator(b'\\n')
others = [socket.socketpair() for _ in range(size)]
for other, _ in others:
    channel = asyncore.dispatcher(other, mine)
    channel.writable = lambda: False
calls = []
asyncore.call_later(0, calls.append, 1, map=mine)
far.send(b'hello\\n')
asyncore.loop(0.01, map=mine, count=3)
assert far.recv(100) == b'HELLO'
assert calls == [1]
far.send(b'exit\\n')
try:
    asyncore.loop(0.01, map=mine, count=3)
    raise AssertionError('ExitNow did not leave the loop')
except asyncore.ExitNow:
    pass
'''
INTERPRETERS = '''
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters

def create(kind='legacy'):
    try:
        return _interpreters.create(kind)
    except TypeError:
        return _interpreters.create(isolated=False)

def execute(interpreter, code):
    if not hasattr(_interpreters, 'exec'):
        return _interpreters.run_string(interpreter, code)
    failure = _interpreters.exec(interpreter, code)
    assert failure is None, failure.formatted
'''
ORDERS = {
    'main first': 'exec(works, {}); execute(create(), works)',
    'main last': 'execute(create(), works); exec(works, {})',
    'in turn': 'one, other = create(), create()\n'
               'for _ in range(3): execute(one, works); execute(other, works); exec(works, {})',
    'one after the other': 'for _ in range(3):\n'
                           '    one = create(); execute(one, works); _interpreters.destroy(one)',
}


@pytest.mark.parametrize('size', [0, 100])
@pytest.mark.parametrize('order', ORDERS)
def test_interpreters_that_share_the_gil_share_nothing_else(order, size):
    works = f'size = {size}\n{WORKS}'
    output(f'works = {works!r}\n{INTERPRETERS}\n{ORDERS[order]}', '-W', 'ignore')


@pytest.mark.skipif(sys.version_info < (3, 12), reason='interpreters share one GIL')
def test_an_interpreter_with_a_gil_of_its_own_has_the_engine_in_python():
    works = f'size = 100\n{WORKS}\nassert asyncore_rs.engine == "python"'
    output(f'works = {works!r}\n{INTERPRETERS}\nexecute(create("isolated"), works)',
           '-W', 'ignore', env={'ASYNCORE_RS_ENGINE': ''})
