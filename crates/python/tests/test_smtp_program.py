"""`python -m smtpd`: its options, and that it serves."""

import smtplib
import socket
import subprocess
import sys

import pytest

mended = pytest.mark.mended


@pytest.fixture
def command(stdlib):
    """The program under test; before Python 3.12 `-m smtpd` is Python's own."""
    if sys.version_info >= (3, 12) or stdlib:
        return [sys.executable, '-W', 'ignore', '-u', '-m', 'smtpd']
    code = 'import asyncore_rs; asyncore_rs.install(); import smtpd; smtpd._main()'
    return [sys.executable, '-u', '-c', code]


@pytest.fixture
def program(command):
    def run(*arguments):
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    return run


@pytest.mark.parametrize('arguments, code, said', [
    (['--help'], 0, 'Usage:'), (['-h'], 0, '--nosetuid'), (['--nonsense'], 1, '--nonsense'),
    (['-s', 'x'], 1, 'Invalid size: x'), (['a:1', 'b:2', 'c:3'], 1, 'Invalid arguments'),
    (['localhost'], 1, 'Bad local spec: localhost'), (['a:x'], 1, 'Bad local port: a:x'),
    (['a:1', 'b'], 1, 'Bad remote spec: b'), (['a:1', 'b:x'], 1, 'Bad remote port: b:x')])
def test_the_program_says_what_is_wrong_with_its_arguments(program, arguments, code, said):
    result = program(*arguments)
    assert result.returncode == code and said in result.stderr


def test_the_program_tells_its_version(program):
    assert program('-V').stdout == 'Python SMTP proxy version 0.3\n'


@pytest.fixture
def serving(command, stack):
    """serving(*options) -> the program, waiting for mail, and its port."""
    def serving(*options):
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        process = stack.enter_context(subprocess.Popen(
            [*command, '-n', '-d', *options, f'127.0.0.1:{port}'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        stack.callback(process.terminate)
        assert ' started at ' in process.stderr.readline()
        return process, port
    return serving


def test_the_program_serves(serving):
    process, port = serving('-c', 'DebuggingServer')
    with smtplib.SMTP('127.0.0.1', port, timeout=20) as client:
        client.sendmail('a@example', ['b@example'], b'Subject: x\r\n\r\nbody\r\n')
    process.terminate()
    out, _ = process.communicate(timeout=20)
    lines = out.splitlines()
    assert lines[0] == '---------- MESSAGE FOLLOWS ----------'
    assert lines[-5:] == ["b'Subject: x'", "b'X-Peer: 127.0.0.1'", "b''", "b'body'",
                          '------------ END MESSAGE ------------']


@pytest.mark.parametrize('options, size', [
    pytest.param([], '33554432', marks=mended), (['-s', '1000'], '1000'), (['-s', '0'], None)])
def test_the_program_limits_messages_as_its_help_says(serving, options, size):
    _, port = serving(*options)
    with smtplib.SMTP('127.0.0.1', port, timeout=20) as client:
        client.ehlo()
        assert client.esmtp_features.get('size') == size
