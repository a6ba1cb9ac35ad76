"""Channels and coroutines on one thread: attached maps, and sockets that change sides."""

import asyncio
import socket
import threading

import asynchat
import asyncore
import pytest
from channels import Silent
from conftest import DEADLINE

pytestmark = pytest.mark.added

if not hasattr(asyncore, 'attach'):
    pytest.skip('not in the standard library', allow_module_level=True)

try:
    import uvloop
except ImportError:
    uvloop = None


@pytest.fixture(params=[
    'asyncio',
    pytest.param('uvloop', marks=pytest.mark.skipif(uvloop is None, reason='not installed')),
])
def run(request):
    """Runs a coroutine in a loop of its own."""
    def run(main):
        loop = (asyncio.new_event_loop if request.param == 'asyncio' else uvloop.new_event_loop)()
        try:
            return loop.run_until_complete(asyncio.wait_for(main, DEADLINE))
        finally:
            loop.close()
    return run


class Upper(asynchat.async_chat):
    """Answers each line in capitals."""

    collect_incoming_data = asynchat.async_chat._collect_incoming_data

    def __init__(self, sock, map):
        super().__init__(sock, map)
        self.set_terminator(b'\n')

    def found_terminator(self):
        self.push(self._get_data().upper() + b'\n')


class Server(asyncore.dispatcher):
    def __init__(self, channel, map):
        super().__init__(map=map)
        self.channel = channel
        self.create_socket()
        self.bind(('127.0.0.1', 0))
        self.listen(5)
        self.address = self.socket.getsockname()

    def handle_accepted(self, sock, addr):
        self.channel(sock, self._map)


async def exchange(address, *lines):
    reader, writer = await asyncio.open_connection(*address)
    answers = []
    for line in lines:
        writer.write(line)
        answers.append(await reader.readline())
    writer.close()
    return answers


@pytest.mark.parametrize('others', [0, 100])
def test_coroutines_and_channels_talk_on_one_thread(run, others, socketpair):
    mine = {}
    for _ in range(others):
        Silent(socketpair()[0], mine)

    async def main():
        server = Server(Upper, mine)
        with asyncore.attach(map=mine):
            answers = await asyncio.gather(*(
                exchange(server.address, b'a%d\n' % n, b'b\n') for n in range(20)))
        assert answers == [[b'A%d\n' % n, b'B\n'] for n in range(20)]
    run(main())
    asyncore.close_all(mine)


def test_run_async_ends_when_the_map_is_empty(run):
    mine, calls = {}, []

    async def main():
        server = Server(Upper, mine)
        running = asyncio.ensure_future(asyncore.run_async(mine))
        assert await exchange(server.address, b'x\n') == [b'X\n']
        asyncore.call_later(0.01, calls.append, 'timer', map=mine)
        asyncore.close_all(mine)
        await running
        assert calls == ['timer']
        await asyncore.run_async({})
    run(main())


@pytest.mark.parametrize('size', [1, 500_000])
def test_output_pushed_by_a_coroutine_is_sent(run, socketpair, size):
    mine = {}
    near, far = socketpair()

    async def main():
        channel = Upper(near, mine)
        with asyncore.attach(map=mine):
            await asyncio.sleep(0)
            channel.push(b'x' * size)
            reader, writer = await asyncio.open_connection(sock=far)
            assert await reader.readexactly(size) == b'x' * size
            writer.close()
    run(main())
    asyncore.close_all(mine)


def test_a_channel_made_and_closed_by_a_coroutine_is_watched_and_forgotten(run):
    mine, lines = {}, []

    class Client(Upper):
        def found_terminator(self):
            lines.append(self._get_data())

    async def answer(reader, writer):
        writer.write(b'hello\n')
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(answer, '127.0.0.1', 0)
        with asyncore.attach(map=mine) as attachment:
            for count in range(3):
                client = Client(None, mine)
                client.create_socket()
                client.connect(server.sockets[0].getsockname())
                await attachment.wait_empty()
                assert lines == [b'hello'] * (count + 1)
        server.close()
    run(main())


@pytest.mark.compiled
def test_an_idle_attachment_makes_no_passes(run, socketpair):
    """Neither polling nor a timer: channels without predicates of their own cost nothing."""
    mine = {}
    silent = asynchat.async_chat(socketpair()[0], mine)

    async def main():
        with asyncore.attach(map=mine, interval=0.001) as attachment:
            await asyncio.sleep(0.01)
            assert attachment._timer is None and not attachment._scheduled
            await asyncio.sleep(0.05)
            assert attachment._timer is None and not attachment._scheduled
    run(main())
    silent.close()


def test_an_overridden_predicate_is_asked_at_the_interval(run, socketpair):
    """What it answers may depend on anything, here on what a coroutine sets."""
    mine, written = {}, []

    class Choosy(asyncore.dispatcher):
        ready = False

        def writable(self):
            return self.ready

        def handle_write(self):
            written.append(self)
            self.close()

    async def main():
        channel = Choosy(socketpair()[0], mine)
        with asyncore.attach(map=mine, interval=0.001) as attachment:
            await asyncio.sleep(0.01)
            assert not written
            channel.ready = True
            await attachment.wait_empty()
            assert written == [channel]
    run(main())


def test_timers_are_called_on_the_loops_thread(run):
    mine, calls = {}, []

    async def main():
        with asyncore.attach(map=mine) as attachment:
            asyncore.call_later(0.001, lambda: calls.append(threading.current_thread()), map=mine)
            await attachment.wait_empty()
    run(main())
    assert calls == [threading.current_thread()]


def test_cancelling_the_last_timer_empties_the_map(run):
    mine = {}

    async def main():
        timer = asyncore.call_later(10 * DEADLINE, print, map=mine)
        with asyncore.attach(map=mine) as attachment:
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.001, timer.cancel)
            await attachment.wait_empty()
    run(main())


def test_a_trigger_and_a_close_from_another_thread_wake_the_loop(run, socketpair):
    mine, calls = {}, []

    async def main():
        trigger = asyncore.Trigger(mine)
        silent = Silent(socketpair()[0], mine)
        with asyncore.attach(map=mine) as attachment:
            await asyncio.sleep(0)

            def work():
                silent.close()
                trigger.pull_trigger(lambda: (calls.append(1), trigger.close()))
            thread = threading.Thread(target=work)
            thread.start()
            await attachment.wait_empty()
            thread.join()
        assert calls == [1]
    run(main())


def test_the_loop_function_fails_on_an_attached_map_only(run, socketpair):
    mine = {}
    Silent(socketpair()[0], mine)

    async def main():
        with asyncore.attach(map=mine):
            with pytest.raises(RuntimeError, match='close the attachment'):
                asyncore.loop(map=mine, count=1)
            with pytest.raises(RuntimeError, match='attached already'):
                asyncore.attach(map=mine)
            asyncore.loop(map={}, count=1)
        asyncore.loop(0, map=mine, count=1)
    run(main())
    asyncore.close_all(mine)


class Leaves(asyncore.dispatcher):
    def writable(self):
        return False

    def handle_read(self):
        self.recv(1)
        raise asyncore.ExitNow('enough')


def test_an_exception_out_of_the_handlers_ends_run_async(run, socketpair):
    mine = {}
    near, far = socketpair()
    far.send(b'x')

    async def main():
        Leaves(near, mine)
        with pytest.raises(asyncore.ExitNow, match='enough'):
            await asyncore.run_async(mine)
        asyncore.loop(0, map=mine, count=1)
    run(main())
    asyncore.close_all(mine)


def test_with_a_callback_for_errors_the_channels_go_on(run, socketpair):
    mine, errors = {}, []
    near, far = socketpair()
    far.send(b'xy')

    async def main():
        channel = Leaves(near, mine)

        def note(error):
            errors.append(str(error))
            if len(errors) == 2:
                channel.close()
        with asyncore.attach(map=mine, on_error=note) as attachment:
            await attachment.wait_empty()
    run(main())
    assert errors == ['enough', 'enough']


def test_closing_wakes_who_waits_and_leaves_the_channels_open(run, socketpair):
    mine = {}
    channel = Silent(socketpair()[0], mine)

    async def main():
        attachment = asyncore.attach(map=mine)
        waiting = asyncio.ensure_future(attachment.wait_empty())
        await asyncio.sleep(0.01)
        attachment.close()
        await waiting
        assert attachment.closed and list(mine.values()) == [channel]
        attachment.close()
    run(main())
    channel.close()


def test_attaching_leaves_no_descriptor_open(run, socketpair, open_files):
    mine = {}
    Silent(socketpair()[0], mine)

    async def main():
        before = open_files()
        for _ in range(20):
            with asyncore.attach(map=mine):
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        assert open_files() == before
    run(main())
    asyncore.close_all(mine)


def test_a_number_used_again_belongs_to_the_new_channel(run):
    """Sockets that are closed and made in one turn get each other's numbers."""
    mine, seen = {}, []

    class Reader(Silent):
        def handle_read(self):
            seen.append(self.recv(10))

    async def main():
        with asyncore.attach(map=mine) as attachment:
            for count in range(20):
                near, far = socket.socketpair()
                reader = Reader(near, mine)
                far.send(b'%d' % count)
                while len(seen) == count:
                    await asyncio.sleep(0.001)
                reader.close()
                far.close()
            await attachment.wait_empty()
        assert seen == [b'%d' % count for count in range(20)]
    run(main())


@pytest.mark.skipif(not hasattr(asyncore, 'file_dispatcher'), reason='no files here')
def test_a_regular_file_is_read_to_its_end(run, tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'x' * 5000)
    mine, seen = {}, []

    class File(asyncore.file_dispatcher):
        def writable(self):
            return False

        def handle_read(self):
            data = self.recv(1000)
            seen.append(data)
            if not data:
                self.close()

        def handle_expt(self):
            pass

    async def main():
        with open(path, 'rb') as file:
            File(file, mine)
        await asyncore.run_async(mine)
    run(main())
    assert b''.join(seen) == b'x' * 5000


# Sockets that change sides.

def test_a_detached_dialogue_goes_on_as_streams_with_its_unread_input(run):
    mine = {}
    detached = []

    class Hands(Upper):
        def found_terminator(self):
            if self._get_data() == b'streams':
                detached.append(self.detach())

    async def main():
        server = Server(Hands, mine)
        with asyncore.attach(map=mine):
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b'chat\nstreams\nfirst\nsec')
            while not detached:
                await asyncio.sleep(0.001)
            [(sock, unread)] = detached
            assert list(mine.values()) == [server]
            ours, to_client = await asyncio.open_connection(sock=sock)
            ours.feed_data(unread)
            writer.write(b'ond\n')
            assert [await ours.readline(), await ours.readline()] == [b'first\n', b'second\n']
            to_client.write(b'bye\n')
            assert await reader.readline() == b'bye\n'
            to_client.close()
            writer.close()
            server.close()
    run(main())


def test_streams_become_a_dialogue_with_their_unread_input(run):
    mine = {}

    async def main():
        arrived = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda reader, writer: arrived.set_result((reader, writer)), '127.0.0.1', 0)
        client_reader, client = await asyncio.open_connection(
            *server.sockets[0].getsockname())
        client.write(b'hello\none\ntw')
        reader, writer = await arrived
        assert await reader.readline() == b'hello\n'
        writer.write(b'HELLO\n')
        with asyncore.attach(map=mine) as attachment:
            sock, unread = await asyncore.from_streams(reader, writer)
            Upper(sock, mine).feed_unread(unread)
            client.write(b'o\n')
            assert [await client_reader.readline() for _ in range(3)] == [
                b'HELLO\n', b'ONE\n', b'TWO\n']
            client.close()
            await attachment.wait_empty()
        server.close()
    run(main())


@pytest.mark.parametrize('make', [
    pytest.param(lambda sock, mine: _queued_chat(sock, mine), id='async_chat'),
    pytest.param(lambda sock, mine: _queued_buffer(sock, mine), id='dispatcher_with_send'),
])
def test_detaching_with_unsent_output_is_an_error(make, socketpair):
    mine = {}
    channel = make(socketpair()[0], mine)
    with pytest.raises(RuntimeError, match='unsent output'):
        channel.detach()
    assert list(mine.values()) == [channel]
    channel.close()


def _queued_chat(sock, mine):
    channel = asynchat.async_chat(sock, mine)
    channel.producer_fifo.append(b'x')
    return channel


def _queued_buffer(sock, mine):
    channel = asyncore.dispatcher_with_send(sock, mine)
    channel.out_buffer = b'x'
    return channel


def test_a_detached_socket_is_open_and_the_channel_is_not(socketpair):
    mine = {}
    near, far = socketpair()
    channel = asyncore.dispatcher(near, mine)
    assert channel.detach() == (near, b'')
    assert (mine, channel.connected, channel.socket) == ({}, False, None)
    channel.close()
    far.send(b'x')
    assert near.recv(1) == b'x'
