"""Channels around SSL sockets: wants for more bytes are no errors, decrypted input is not left."""

import select
import socket
import ssl

import asynchat
import asyncore
import pytest
from channels import LoggingReader

mended = pytest.mark.mended


def context(side):
    """Without certificates: what is tested is the transport."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers('aNULL:@SECLEVEL=0')
    return context


@pytest.fixture
def ssl_pair(pair, stack):
    """Two ends of an encrypted connection, the handshake done."""
    def make():
        near, far = pair()
        client = stack.enter_context(context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(
            near, do_handshake_on_connect=False))
        server = stack.enter_context(context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(
            far, server_side=True, do_handshake_on_connect=False))
        client.setblocking(False)
        server.setblocking(False)
        waiting = [client, server]
        while waiting:
            for end in list(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    select.select([client, server], [], [], 0.01)
        server.settimeout(10)
        return client, server
    return make


@mended
def test_recv_with_no_whole_record_is_no_error(ssl_pair):
    client, server = ssl_pair()
    mine = {}
    channel = LoggingReader(client, mine)
    asyncore.read(channel)
    assert channel.log == [] and channel.connected
    assert channel.recv(100) == b''


def test_what_arrives_is_read(ssl_pair, one_pass, until):
    client, server = ssl_pair()
    mine = {}
    channel = LoggingReader(client, mine)
    server.sendall(b'hello')
    until(lambda: channel.log, one_pass, mine)
    assert channel.log == [b'hello']


@mended
def test_a_record_larger_than_a_read_is_not_left_in_the_ssl_layer(ssl_pair, one_pass):
    """The descriptor shows nothing of what is decrypted already."""
    client, server = ssl_pair()
    mine = {}
    channel = LoggingReader(client, mine)
    channel.size = 7
    server.sendall(b'x' * 1000)
    assert select.select([client], [], [], 10)[0]
    one_pass(map=mine)
    for _ in range(200):
        one_pass(map=mine)
    assert b''.join(channel.log) == b'x' * 1000


@mended
def test_a_chat_reads_all_lines_of_a_record(ssl_pair, one_pass):
    client, server = ssl_pair()
    mine, lines = {}, []

    class Chat(asynchat.async_chat):
        ac_in_buffer_size = 16
        collect_incoming_data = asynchat.async_chat._collect_incoming_data

        def found_terminator(self):
            lines.append(self._get_data())

    chat = Chat(client, mine)
    chat.set_terminator(b'\n')
    sent = [b'line %d' % number for number in range(100)]
    server.sendall(b'\n'.join(sent) + b'\n')
    assert select.select([client], [], [], 10)[0]
    for _ in range(5):
        one_pass(map=mine)
    assert lines == sent


@mended
def test_a_send_that_ssl_cannot_take_now_takes_nothing(ssl_pair):
    client, server = ssl_pair()
    channel = asyncore.dispatcher(client, {})
    for _ in range(1000):
        if not channel.send(bytes(1 << 16)):
            break
    else:
        raise AssertionError('everything was taken')
    assert channel.connected


@mended
def test_output_through_ssl_to_a_slow_peer_arrives_whole(ssl_pair, one_pass, until):
    client, server = ssl_pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    mine = {}
    chat = asynchat.async_chat(client, mine)
    message = bytes(range(256)) * 4000
    chat.push(message)
    received = bytearray()
    server.setblocking(False)

    def arrived():
        try:
            while True:
                data = server.recv(1 << 16)
                assert data, 'closed before everything was sent'
                received.extend(data)
        except ssl.SSLWantReadError:
            return len(received) >= len(message)

    # No pass waits: room comes only when the other end, here, has read.
    until(arrived, lambda timeout, map: one_pass(0.0, map), mine)
    assert received == message and mine


def test_the_end_of_an_ssl_connection_closes_the_channel(ssl_pair, one_pass, until):
    client, server = ssl_pair()
    mine = {}
    channel = LoggingReader(client, mine)
    server.sendall(b'bye')
    until(lambda: channel.log, one_pass, mine)
    server.close()
    until(lambda: not mine, one_pass, mine)
    assert channel.log == [b'bye', 'close']
