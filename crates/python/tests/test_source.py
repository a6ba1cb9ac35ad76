"""The source of every class and function is found, by the old names and by those of the package."""

import pydoc

import pytest
from programs import INSTALLED, output

pytestmark = pytest.mark.added

CHECK = """
import inspect

def check(module):
    own = [value for value in vars(module).values()
           if getattr(value, '__module__', None) == module.__name__]
    for value in own:
        functions = [value]
        if inspect.isclass(value):
            first = inspect.getsource(value).split()[:2]
            assert first[0] == 'class' and first[1].startswith(value.__qualname__), first
            functions = vars(value).values()
        for function in filter(inspect.isfunction, functions):
            assert 'def %s(' % function.__name__ in inspect.getsource(function), function
    assert len(own) > 2

for module in MODULES:
    check(module)
"""


@pytest.mark.parametrize('modules', [
    pytest.param(INSTALLED + 'MODULES = asyncore, asynchat, smtpd', id='old names'),
    pytest.param('from asyncore_rs import asyncore, asynchat, smtpd\n'
                 'MODULES = asyncore, asynchat, smtpd', id='names in the package'),
])
def test_inspect_finds_the_source(modules):
    output(modules + CHECK)


@pytest.mark.parametrize('name', ['asyncore.dispatcher', 'asynchat.async_chat'])
def test_pydoc_describes_a_class_and_its_methods(name):
    text = pydoc.plain(pydoc.render_doc(name))
    assert 'Methods defined here:' in text
    assert 'asyncore_rs.asyn' not in text
