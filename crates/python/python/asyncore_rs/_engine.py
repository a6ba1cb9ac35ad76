"""The engine under the modules: the compiled one where there is one, otherwise one in Python.

The environment variable ASYNCORE_RS_ENGINE selects: "rust" fails without the compiled engine,
"python" does without it.
"""

import os

_VARIABLE = 'ASYNCORE_RS_ENGINE'


def _choose(selected):
    if selected not in ('', 'rust', 'python'):
        raise ImportError('%s is %r; set it to "rust" or "python", or unset it'
                          % (_VARIABLE, selected))
    try:
        from asyncore_rs import _native
    except ImportError as why:
        raise ImportError(
            'asyncore_rs has no compiled engine for this interpreter (%s); an interpreter with a '
            'GIL of its own cannot use one' % why) from why
    return 'rust', _native


name, _module = _choose(os.environ.get(_VARIABLE, ''))
InBuffer = _module.InBuffer
# Of this interpreter: what the engine knows is not shared with others in the process.
engine = _module.Engine()
