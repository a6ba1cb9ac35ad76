"""What type checkers are told is true."""

import importlib.metadata
import subprocess
import sys

import pytest

pytestmark = pytest.mark.added

pytest.importorskip('mypy')

PROGRAM = '''
import asynchat, asyncore, smtpd

class Session(asynchat.async_chat):
    def found_terminator(self) -> None:
        self.push(self._get_data())

class Server(smtpd.SMTPServer):
    def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
        return '250 OK'

timer = asyncore.call_later(1.0, print, 'x')
timer.cancel()
asyncore.Trigger().pull_trigger(timer.cancel)
asyncore.loop(timeout=1, use_poll=True, poller='epoll')
'''


@pytest.fixture(autouse=True)
def installed():
    """Type checkers look where packages are installed, and nowhere else."""
    try:
        importlib.metadata.version('asyncore-rs')
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('not installed as a package')


def mypy(*arguments):
    return subprocess.run([sys.executable, '-m', *arguments], capture_output=True, text=True,
                          timeout=300)


@pytest.mark.skipif(sys.version_info < (3, 12), reason='there, the names are those of Python')
def test_the_stubs_say_what_the_modules_have():
    result = mypy('mypy.stubtest', 'asyncore', 'asynchat', 'smtpd')
    assert result.returncode == 0, result.stdout


@pytest.mark.skipif(sys.version_info < (3, 12), reason='there, the names are those of Python')
@pytest.mark.parametrize('line, error', [
    ('', None),
    ("asyncore.loop(timeout='x')", 'arg-type'),
    ("Session().push('text')", 'arg-type'),
    ("asyncore.nonsense", 'attr-defined'),
    ("asyncore.loop(poller='kqueue')", 'arg-type'),
])
def test_a_program_is_checked(tmp_path, line, error):
    path = tmp_path / 'program.py'
    path.write_text(PROGRAM + line + '\n')
    result = mypy('mypy', '--cache-dir', str(tmp_path / 'cache'), str(path))
    assert result.returncode == (1 if error else 0), result.stdout
    assert error is None or f'[{error}]' in result.stdout
