"""asyncore, asynchat and smtpd on an engine written in Rust.

On Python 3.12 and later, where the standard library has them no more, `import asyncore` finds
these modules by itself. Elsewhere `install()` puts them in the place of the others.
"""

import importlib
import sys

__all__ = ['install']

_NAMES = 'asyncore', 'asynchat', 'smtpd'


def install():
    """Makes `import asyncore`, `asynchat` and `smtpd` give the modules of this package.

    For a Python that still has its own, and where another distribution owns the names. Call it
    before anything else imports them: what a program imported earlier, it keeps.
    """
    for name in _NAMES:
        sys.modules[name] = importlib.import_module('asyncore_rs.' + name)


def __getattr__(name):
    if name in _NAMES:
        return importlib.import_module('asyncore_rs.' + name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
