"""The engine under the modules: compiled where there is one for the interpreter, or in Python.

The environment variable ASYNCORE_RS_ENGINE selects: "rust" fails without the compiled engine,
"python" does without it.
"""

import os

_VARIABLE = 'ASYNCORE_RS_ENGINE'


def _choose(selected):
    if selected not in ('', 'rust', 'python'):
        raise ImportError('%s is %r; set it to "rust" or "python", or unset it'
                          % (_VARIABLE, selected))
    if selected != 'python':
        try:
            from asyncore_rs import _native
            return 'rust', _native
        except ImportError as why:
            # Not in this package: another system's, or an interpreter with a GIL of its own.
            if selected == 'rust':
                raise ImportError('%s is "rust", but the compiled engine cannot be imported: %s; '
                                  'install a wheel that has it, or unset the variable'
                                  % (_VARIABLE, why)) from why
    from asyncore_rs import _python
    return 'python', _python


name, _module = _choose(os.environ.get(_VARIABLE, ''))
InBuffer = _module.InBuffer
# Of this interpreter: what the engine knows is not shared with others in the process.
engine = _module.Engine()
