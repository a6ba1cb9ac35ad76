"""How programs find the modules, and what comes with them."""

import importlib.metadata
import os
import subprocess
import sys

import pytest
from programs import output

pytestmark = pytest.mark.added

pytest.importorskip('asyncore_rs')

NAMES = ['asyncore', 'asynchat', 'smtpd']


@pytest.mark.parametrize('name', NAMES)
def test_after_install_the_name_gives_our_module(name):
    code = f'import asyncore_rs; asyncore_rs.install(); import {name}; ' \
           f'print({name} is asyncore_rs.{name}, {name}.__name__)'
    assert output(code).split() == ['True', name]


@pytest.mark.skipif(sys.version_info < (3, 12), reason='Python has its own')
@pytest.mark.parametrize('name', NAMES)
def test_the_plain_import_gives_our_module(name):
    assert output(f'import {name}, asyncore_rs; print({name} is asyncore_rs.{name})') == 'True\n'


@pytest.mark.skipif(sys.version_info >= (3, 12), reason='Python has none')
@pytest.mark.parametrize('name', NAMES)
def test_without_install_pythons_own_module_stays(name):
    installed_files()
    code = f'import asyncore_rs.{name}, {name}; print({name} is asyncore_rs.{name})'
    assert output(code, '-W', 'ignore') == 'False\n'


@pytest.mark.parametrize('order', [NAMES, NAMES[::-1]])
def test_the_modules_use_each_other_in_whatever_order_they_are_imported(order):
    code = 'import asyncore_rs; asyncore_rs.install()\n' \
        + ''.join(f'import {name}\n' for name in order) \
        + 'assert asynchat.asyncore is asyncore and smtpd.asyncore is asyncore\n' \
        + 'assert smtpd.asynchat is asynchat\n' \
        + 'assert issubclass(smtpd.SMTPServer, asyncore.dispatcher)'
    output(code)


def test_installing_twice_changes_nothing():
    output('import asyncore_rs; asyncore_rs.install(); import asyncore; first = asyncore\n'
           'asyncore_rs.install(); import asyncore; assert asyncore is first')


def test_nothing_warns_also_with_warnings_as_errors():
    output('import asyncore_rs; asyncore_rs.install(); import asyncore, asynchat, smtpd',
           '-W', 'error')


def test_importing_the_package_alone_imports_none_of_the_modules():
    assert output('import sys, asyncore_rs; '
                  'print([m for m in sys.modules if m in ("asyncore", "asynchat", "smtpd")])'
                  ) == '[]\n'


@pytest.mark.skipif(sys.version_info < (3, 12), reason='Python has its own')
def test_python_dash_m_smtpd_runs_the_program():
    result = subprocess.run([sys.executable, '-m', 'smtpd', '--version'], capture_output=True,
                            text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, 'Python SMTP proxy version 0.3\n')


def test_names_can_be_pickled_from_one_process_to_another():
    code = 'import asyncore_rs; asyncore_rs.install(); import asynchat, pickle, sys; ' \
           'sys.stdout.write(pickle.dumps((asynchat.async_chat, asynchat.simple_producer(b"x"))' \
           ', 0).decode())'
    other = f'import asyncore_rs; asyncore_rs.install(); import pickle; ' \
            f'cls, producer = pickle.loads({output(code)!r}.encode()); ' \
            f'print(cls.__module__, producer.more())'
    assert output(other) == "asynchat b'x'\n"


def installed_files():
    try:
        files = importlib.metadata.files('asyncore-rs')
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('not installed as a package')
    return {str(file) for file in files}


def test_the_package_is_typed():
    files = installed_files()
    assert 'asyncore_rs/py.typed' in files
    for name in NAMES:
        assert any(file.startswith(f'{name}-stubs/') or file == f'asyncore_rs/{name}.pyi'
                   for file in files), name


def test_pip_finds_nothing_to_complain_of():
    installed_files()
    result = subprocess.run([sys.executable, '-m', 'pip', 'check'], capture_output=True, text=True,
                            env={**os.environ, 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}, timeout=60)
    assert result.returncode == 0, result.stdout
