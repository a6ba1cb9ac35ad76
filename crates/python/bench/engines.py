"""The loops that are compared, each behind the same few methods.

An engine has `echo(sock, served)`, which answers each line on `sock` with itself and then calls
`served()`; `run()`, which returns after `stop()` was called from `served()`; `soon(function)`,
which calls `function` when what was written is on its way; and `close()`.
"""

import asyncio
import select
import sys
import warnings

with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import asynchat as std_asynchat
    import asyncore as std_asyncore

import pyftpdlib.ioloop
import uvloop
from asyncore_rs import asynchat as our_asynchat
from asyncore_rs import asyncore as our_asyncore


def echo_class(base):
    class Echo(base):
        collect_incoming_data = base._collect_incoming_data

        def __init__(self, sock, served, *args):
            base.__init__(self, sock, *args)
            self.served = served
            self.set_terminator(b'\n')

        def found_terminator(self):
            self.push(self._get_data() + b'\n')
            self.served()

    return Echo


def overriding(base):
    """As many programs do, with the same answer as before."""
    class Overriding(base):
        def writable(self):
            return base.writable(self)

    return Overriding


class Asyncore:
    """asyncore and asynchat, the standard library's or ours."""

    def __init__(self, asyncore, asynchat, overridden=False, **options):
        self.asyncore, self.options = asyncore, options
        base = overriding(asynchat.async_chat) if overridden else asynchat.async_chat
        self.echo_class = echo_class(base)
        self.map = {}

    def echo(self, sock, served):
        self.echo_class(sock, served, self.map)

    def run(self):
        try:
            self.asyncore.loop(30.0, map=self.map, **self.options)
        except self.asyncore.ExitNow:
            pass

    def stop(self):
        raise self.asyncore.ExitNow

    def soon(self, function):
        function()

    def close(self):
        self.asyncore.close_all(self.map)


class Pyftpdlib:
    """The loop on epoll that pyftpdlib put under the standard library's asynchat."""

    echo_class = echo_class(pyftpdlib.ioloop.AsyncChat)

    def __init__(self):
        self.loop = pyftpdlib.ioloop.IOLoop()

    def echo(self, sock, served):
        self.echo_class(sock, served, self.loop)

    def run(self):
        try:
            self.loop.loop()
        except std_asyncore.ExitNow:
            pass

    def stop(self):
        raise std_asyncore.ExitNow

    def soon(self, function):
        function()

    def close(self):
        self.loop.close()


class Uvloop:
    """uvloop, by a protocol: no coroutine for each line."""

    def __init__(self):
        self.loop = uvloop.new_event_loop()

        class Echo(asyncio.Protocol):
            def __init__(self, served):
                self.served, self.held = served, b''

            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                *lines, self.held = (self.held + data).split(b'\n')
                for line in lines:
                    self.transport.write(line + b'\n')
                    self.served()

        self.protocol = Echo

    def echo(self, sock, served):
        sock.setblocking(False)
        self.loop.run_until_complete(
            self.loop.create_unix_connection(lambda: self.protocol(served), sock=sock))

    def run(self):
        self.loop.run_forever()

    def stop(self):
        self.loop.stop()

    def soon(self, function):
        self.loop.call_soon(function)

    def close(self):
        self.loop.close()


class Floor:
    """The least that a loop in Python can do: epoll, recv, send, and no protocol at all."""

    def __init__(self):
        self.epoll = select.epoll()
        self.sockets = {}
        self.running = False

    def echo(self, sock, served):
        sock.setblocking(False)
        self.sockets[sock.fileno()] = sock, served
        self.epoll.register(sock.fileno(), select.EPOLLIN)

    def run(self):
        self.running = True
        sockets = self.sockets
        while self.running:
            for fd, _ in self.epoll.poll(30):
                sock, served = sockets[fd]
                sock.send(sock.recv(65536))
                served()

    def stop(self):
        self.running = False

    def soon(self, function):
        function()

    def close(self):
        self.epoll.close()
        for sock, _ in self.sockets.values():
            sock.close()


def standard(**options):
    return lambda: Asyncore(std_asyncore, std_asynchat, **options)


def ours(**options):
    return lambda: Asyncore(our_asyncore, our_asynchat, **options)


STD_SELECT, STD_POLL = 'standard library, select', 'standard library, poll'
OURS_SELECT, OURS_POLL, OURS_EPOLL = 'ours, select', 'ours, poll', 'ours, poller="epoll"'
PYFTPDLIB, UVLOOP, FLOOR = 'pyftpdlib, epoll', 'uvloop, protocol', 'floor: bare epoll'
CALLBACKS = 'floor: the callbacks alone'

ENGINES = {
    STD_SELECT: standard(),
    STD_POLL: standard(use_poll=True),
    OURS_SELECT: ours(),
    OURS_POLL: ours(use_poll=True),
    OURS_EPOLL: ours(poller='epoll'),
    PYFTPDLIB: Pyftpdlib,
    UVLOOP: Uvloop,
    FLOOR: Floor,
}
OVERRIDDEN = {
    STD_POLL: standard(use_poll=True, overridden=True),
    OURS_SELECT: ours(overridden=True),
    OURS_POLL: ours(use_poll=True, overridden=True),
    OURS_EPOLL: ours(poller='epoll', overridden=True),
}
MODULES = {
    'standard library': (std_asyncore, std_asynchat),
    'ours': (our_asyncore, our_asynchat),
}

if std_asyncore is our_asyncore:
    sys.exit("`import asyncore` gives this package's: install the wheel, and unset PYTHONPATH")
