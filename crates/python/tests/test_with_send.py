"""dispatcher_with_send: what the socket does not take at once waits."""

import socket

import asyncore
import pytest


@pytest.fixture
def listener(stack):
    return stack.enter_context(socket.create_server(('127.0.0.1', 0)))


def test_dispatcher_with_send_keeps_what_could_not_be_sent(pair, one_pass, until):
    near, far = pair()
    mine = {}
    channel = asyncore.dispatcher_with_send(near, mine)
    channel.readable = lambda: False
    message = bytes(range(256)) * 40000
    channel.send(message)
    assert channel.out_buffer and channel.writable()
    received = bytearray()
    far.setblocking(False)

    def arrived():
        while True:
            try:
                received.extend(far.recv(1 << 20))
            except BlockingIOError:
                return len(received) == len(message)

    until(arrived, one_pass, mine)
    assert received == message
    assert not channel.out_buffer and not channel.writable()


def test_dispatcher_with_send_before_it_is_connected_sends_afterwards(listener, one_pass, until):
    mine = {}

    class Client(asyncore.dispatcher_with_send):
        def handle_connect(self):
            pass

        def handle_close(self):
            self.close()

    client = Client(map=mine)
    client.create_socket()
    client.connect(listener.getsockname())
    client.out_buffer = b'hello'
    peer, _ = listener.accept()
    with peer:
        until(lambda: not client.out_buffer, one_pass, mine)
        assert peer.recv(100) == b'hello'
    client.close()
