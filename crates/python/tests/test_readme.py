"""The examples of the README run as they are printed, and print what they are said to."""

import pathlib
import re
import subprocess
import sys
import textwrap

import asyncore
import pytest

README = pathlib.Path(__file__).parent.parent / 'README.md'
BLOCK = re.compile(r'^( *)```(\w+)\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.added


def examples():
    """Each Python block, with the text block that follows it, if one does."""
    blocks = [(language, textwrap.dedent(text))
              for _, language, text in BLOCK.findall(README.read_text())]
    for (language, text), (next_language, output) in zip(blocks, blocks[1:] + [('', '')]):
        if language == 'python':
            yield text, output if next_language == 'text' else ''


@pytest.mark.parametrize('code, output', list(examples()),
                         ids=lambda text: text.split('\n')[0][:30])
def test_an_example_prints_what_it_is_said_to(code, output):
    if sys.version_info < (3, 12):
        code = 'import asyncore_rs; asyncore_rs.install()\n' + code
    result = subprocess.run([sys.executable, '-W', 'error', '-c', code], capture_output=True,
                            text=True, timeout=60)
    assert (result.stdout, result.stderr, result.returncode) == (output, '', 0)


def test_there_are_examples():
    assert len(list(examples())) >= 4


def test_every_switch_is_named_with_the_default_it_has():
    """What brings a fault back is not how it is at first."""
    switches = dict(re.findall(r'`(?:asyncore\.)?(\w+) = (\w+)`', README.read_text()))
    assert switches.keys() >= {'accept_burst', 'accept_pause', 'idle_writes', 'read_before_close',
                               'spurious_errors', 'watch_threshold'}
    for name, old in switches.items():
        assert repr(getattr(asyncore, name)) != old
