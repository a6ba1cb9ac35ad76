"""Libraries that replace `select` and `socket` before asyncore is imported, such as eventlet."""

import pytest
from programs import INSTALLED, output

pytestmark = pytest.mark.added

# As eventlet leaves them: no `poll`, a `select` in Python, and sockets of a class without methods.
PATCHED = '''
import select, socket, types
waits = []
system = select.select
def green_select(*arguments):
    waits.append(1)
    return system(*arguments)
select.select = green_select
del select.poll, select.epoll

class GreenSocket:
    def __init__(self, *arguments, **options):
        self.fd = options['real']
    def __getattr__(self, name):
        return getattr(self.fd, name)
near, far = socket.socketpair()
socket.socket = GreenSocket
'''


@pytest.mark.parametrize('count', [1, 100])
@pytest.mark.parametrize('how', ['', 'use_poll=True', 'poller="epoll"'])
def test_the_loop_waits_with_the_replaced_select(how, count):
    code = PATCHED + INSTALLED + f'''
got = []
class Reader(asyncore.dispatcher):
    def writable(self):
        return False
    def handle_read(self):
        got.append(self.recv(10))
import _socket
idle = [_socket.socketpair() for _ in range({count})]
for end, _ in idle:
    Reader(end)
Reader(GreenSocket(real=near))
far.send(b'x')
asyncore.loop(5, count=1, {how})
assert got == [b'x'], got
assert waits == [1], waits
'''
    output(code, '-W', 'ignore')
