"""asyncore, asynchat and smtpd on an engine written in Rust, or in Python where it has to be.

On Python 3.12 and later, where the standard library has them no more, `import asyncore` finds
these modules by itself. Elsewhere `install()` puts them in the place of the others.

`engine` is "rust" or "python", the engine under the modules.
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
        _publish(name)


def _publish(name):
    """Puts a module of this package under its old name, which its classes then have, too."""
    module = importlib.import_module('asyncore_rs.' + name)
    _rename(module, module.__spec__.name, name)
    module.__name__ = name
    sys.modules[name] = module


def _rename(owner, old, new):
    """Says of the functions and classes of `owner` that they are of the module `new`."""
    for value in list(vars(owner).values()):
        if getattr(value, '__module__', None) != old or not hasattr(value, '__qualname__'):
            continue
        line = vars(value).get('__firstlineno__')
        value.__module__ = new
        if line is not None:  # Python 3.13 forgets where a class is when its module changes
            value.__firstlineno__ = line
        if isinstance(value, type):
            _rename(value, old, new)


def _others_modules(*names):
    """Which of these old names give modules of another distribution, such as pyasyncore."""
    modules = [importlib.import_module(name) for name in names]
    return [module for module in modules if not module.__spec__.name.startswith('asyncore_rs.')]


def _mixed(name, others):
    return ImportError(
        '`import %s` finds the module of asyncore-rs, but %s: channels of one are not in the map of '
        'the other. Call asyncore_rs.install() before anything imports these names, or uninstall '
        'the distribution that the others come from, or install all of it (pyasyncore and '
        'pyasynchat)' % (name, ', '.join('`import %s` finds %s' % (other.__name__, other.__file__)
                                         for other in others)))


def __getattr__(name):
    if name in _NAMES:
        return importlib.import_module('asyncore_rs.' + name)
    if name == 'engine':
        return importlib.import_module('asyncore_rs._engine').name
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
