"""Beside distributions that own some of the old names, as pyasyncore and pyasynchat do."""

import sys

import pytest
from programs import output, run

pytestmark = [
    pytest.mark.added,
    pytest.mark.skipif(sys.version_info < (3, 12), reason='Python has its own'),
]

THEIRS = {
    'asyncore': 'socket_map = {}\nclass dispatcher: pass\n',
    'asynchat': 'import asyncore\nclass async_chat(asyncore.dispatcher): pass\n',
}


@pytest.fixture
def beside(tmp_path):
    """The environment of a program that finds these modules of another distribution."""
    def install(*names):
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / '__init__.py').write_text(THEIRS[name])
        return {'PYTHONPATH': str(tmp_path)}
    return install


@pytest.mark.parametrize('order', ['import asyncore, asynchat, smtpd',
                                   'import smtpd, asynchat, asyncore'])
def test_smtpd_serves_with_the_others_channels_in_the_others_map(order, beside):
    code = order + '''
import inspect
assert issubclass(smtpd.SMTPServer, asyncore.dispatcher)
assert issubclass(smtpd.SMTPChannel, asynchat.async_chat)
assert not hasattr(asyncore, 'call_later')
assert inspect.getsource(smtpd.SMTPServer).startswith('class SMTPServer')
'''
    output(code, env=beside('asyncore', 'asynchat'))


@pytest.mark.parametrize('theirs, code', [
    (['asyncore'], 'import asynchat'),
    (['asyncore'], 'import smtpd'),
    (['asynchat'], 'import smtpd'),
])
def test_a_mixture_fails_to_import_and_says_what_to_do(theirs, code, beside):
    result = run(code, env=beside(*theirs))
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith('ImportError: ')
    assert 'asyncore_rs.install()' in last and theirs[0] in last


def test_after_install_all_names_are_ours(beside):
    code = '''
import asyncore_rs; asyncore_rs.install()
import asyncore, asynchat, smtpd
assert asyncore is asyncore_rs.asyncore and smtpd.SMTPServer is asyncore_rs.smtpd.SMTPServer
assert issubclass(smtpd.SMTPServer, asyncore.dispatcher)
'''
    output(code, env=beside('asyncore', 'asynchat'))
