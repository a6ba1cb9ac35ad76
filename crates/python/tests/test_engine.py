"""Which engine is under the modules, and how it is chosen."""

import importlib.util
import os
import zipfile

import pytest
from programs import INSTALLED, output, run

pytestmark = pytest.mark.added

PRINT = INSTALLED + 'print(asyncore_rs.engine)'
HAS_COMPILED = pytest.mark.skipif(
    importlib.util.find_spec('asyncore_rs') is None
    or importlib.util.find_spec('asyncore_rs._native') is None, reason='no compiled engine here')


@HAS_COMPILED
@pytest.mark.parametrize('selected, engine', [('', 'rust'), ('rust', 'rust'), ('python', 'python')])
def test_the_environment_selects_the_engine(selected, engine):
    assert output(PRINT, env={'ASYNCORE_RS_ENGINE': selected}) == engine + '\n'


def test_an_unknown_engine_is_an_error_that_names_the_variable():
    result = run(PRINT, env={'ASYNCORE_RS_ENGINE': 'java'})
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        'ImportError: ASYNCORE_RS_ENGINE is \'java\'; set it to "rust" or "python", or unset it')


WITHOUT_COMPILED = '''
import sys
sys.modules['asyncore_rs._native'] = None
'''


def test_without_the_compiled_engine_the_one_in_python_is_used():
    assert output(WITHOUT_COMPILED + PRINT, env={'ASYNCORE_RS_ENGINE': ''}) == 'python\n'


def test_a_compiled_engine_that_is_required_and_missing_is_an_error():
    result = run(WITHOUT_COMPILED + PRINT, env={'ASYNCORE_RS_ENGINE': 'rust'})
    assert result.returncode == 1
    assert 'ASYNCORE_RS_ENGINE is "rust", but' in result.stderr.splitlines()[-1]


def test_the_package_works_in_a_zip_file(tmp_path):
    package = os.path.dirname(importlib.util.find_spec('asyncore_rs').origin)
    archive = tmp_path / 'program.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        for name in os.listdir(package):
            if name.endswith('.py'):
                file.write(os.path.join(package, name), f'asyncore_rs/{name}')
    code = f'''
import sys
sys.path.insert(0, {str(archive)!r})
{INSTALLED}
assert {str(archive)!r} in asyncore.__file__
import inspect
assert inspect.getsource(asyncore.dispatcher).startswith('class dispatcher')
print(asyncore_rs.engine)
'''
    assert output(code, env={'ASYNCORE_RS_ENGINE': ''}) == 'python\n'
