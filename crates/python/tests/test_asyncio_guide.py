"""The programs of ASYNCIO.md serve as they are printed, step by step."""

import contextlib
import pathlib
import re
import smtplib
import socket
import subprocess
import sys
import time

import pytest
from conftest import DEADLINE

pytestmark = pytest.mark.added

pytest.importorskip('asyncore_rs')

GUIDE = pathlib.Path(__file__).parent.parent / 'ASYNCIO.md'
PROGRAMS = dict(re.findall(r'^```python ([\w-]+)\n(.*?)^```$', GUIDE.read_text(),
                           re.MULTILINE | re.DOTALL))
INSTALL = 'import asyncore_rs\nasyncore_rs.install()\n'


@pytest.fixture
def serve(tmp_path):
    """Runs a program of the guide on a free port, which it returns with the process."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    for name, text in PROGRAMS.items():
        text = text.replace('8000', str(port))
        (tmp_path / f'{name}.py').write_text(INSTALL + text)
    with contextlib.ExitStack() as stack:
        def start(name):
            process = stack.enter_context(subprocess.Popen(
                [sys.executable, '-W', 'ignore', f'{name}.py'], cwd=tmp_path,
                stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            deadline = time.monotonic() + DEADLINE
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(('127.0.0.1', port)).close()
                    return port, process
                assert process.poll() is None, 'the program ended'
                assert time.monotonic() < deadline, 'the program does not listen'
                time.sleep(0.01)
        yield start


def connect(stack, port):
    sock = stack.enter_context(socket.create_connection(('127.0.0.1', port), DEADLINE))
    return stack.enter_context(sock.makefile('rwb', buffering=0))


def newcomer(stack, port, first):
    """Connects another client, once the server has `first`: it hears of the newcomer then."""
    client = connect(stack, port)
    client.write(b'here\n')
    assert first.readline() == b'here\n'
    return client


@pytest.mark.parametrize('name', ['chat', 'chat-1', 'chat-2', 'chat-3', 'chat-4'])
def test_each_step_of_the_chat_server_hands_lines_on(serve, stack, name):
    port, _ = serve(name)
    one = connect(stack, port)
    other = newcomer(stack, port, one)
    for speaker, listener in ((one, other), (other, one)):
        speaker.write(b'hello\n')
        assert listener.readline() == b'hello\n'


@pytest.mark.parametrize('name', ['chat-3', 'chat-4'])
def test_the_last_steps_say_goodbye_and_go_on(serve, stack, name):
    port, _ = serve(name)
    leaving = connect(stack, port)
    leaving.write(b'/quit\n')
    assert leaving.read() == b'goodbye\n'
    one = connect(stack, port)
    other = newcomer(stack, port, one)
    one.write(b'hello\n')
    assert other.readline() == b'hello\n'


@pytest.mark.parametrize('name', ['transfer', 'transfer-1', 'transfer-2'])
def test_each_step_of_the_file_server_sends_files(serve, stack, name):
    port, _ = serve(name)
    control = connect(stack, port)
    for file in b'abc', b'xyz':
        control.write(file + b'\r\n')
        data_port = int(control.readline())
        assert connect(stack, data_port).readall() == file * 100_000


@pytest.mark.parametrize('name', ['mail', 'mail-1', 'mail-2'])
def test_each_step_of_the_mail_server_takes_mail(serve, name):
    if name == 'mail-2':
        pytest.importorskip('aiosmtpd')
    port, process = serve(name)
    with smtplib.SMTP('127.0.0.1', port, timeout=DEADLINE) as client:
        client.sendmail('from@example', ['to@example'], 'Subject: x\r\n\r\nbody\r\n')
    assert process.stdout.readline() == 'from@example to@example 3\n'


def test_every_program_of_the_guide_is_tried():
    tried = set(re.findall(r"'((?:chat|transfer|mail)(?:-\d)?)'",
                           pathlib.Path(__file__).read_text()))
    assert tried == set(PROGRAMS)
