"""The interpreter ends while a daemon thread is in the loop: the process ends, and well."""

import collections
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from programs import INSTALLED, run

pytestmark = pytest.mark.added

# At the end, `Slow` lets the other thread run after the interpreter has begun to finalize.
PROGRAM = INSTALLED + '''
import socket, sys, threading, time

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.03)

keep = Slow()
near, far = socket.socketpair()
inside = threading.Event()

class Channel(asynchat.async_chat):
    def writable(self):
        return False
    def collect_incoming_data(self, data):
        pass

%s
threading.Thread(target=asyncore.loop, args=(0.0005,), daemon=True).start()
inside.wait()
'''
PLACES = {
    'handler that waits': '''
class Waits(Channel):
    def handle_read(self):
        inside.set()
        time.sleep(0.001)
Waits(near); far.send(b'x')
''',
    'handler that computes': '''
class Computes(Channel):
    def handle_read(self):
        inside.set()
        sum(range(1000))
Computes(near); far.send(b'x')
''',
    'recv': '''
class Receives(Channel):
    def handle_read(self):
        inside.set()
        self.recv(1)
Receives(near); far.send(b'x' * 50000)
''',
    'messages': '''
class Answers(Channel):
    def found_terminator(self):
        inside.set()
        self.push(b'x')
channel = Answers(near); channel.set_terminator(b'\\n'); far.send(b'\\n' * 50000)
''',
    'select': '''
Channel(near); inside.set()
''',
    'kept set': '''
pairs = [socket.socketpair() for _ in range(asyncore.watch_threshold + 1)]
channels = [Channel(one) for one, _ in pairs]; inside.set()
''',
    'timer': '''
asyncore.call_every(0.0005, inside.set)
''',
}


@pytest.mark.parametrize('place', PLACES)
def test_a_daemon_thread_in_the_loop_does_not_disturb_the_end(place):
    def end(_):
        result = run(PROGRAM % PLACES[place], '-W', 'ignore')
        return result.returncode, result.stderr
    with ThreadPoolExecutor(2) as pool:
        ends = collections.Counter(pool.map(end, range(6)))
    assert ends == {(0, ''): 6}
