"""The module that Python 3.12 removed; `python -m smtpd --help` says what the program does."""

import sys
from importlib.util import find_spec

import asyncore_rs

if __name__ == '__main__':
    asyncore_rs.smtpd._main()
else:
    _others = asyncore_rs._others_modules('asyncore', 'asynchat')
    if not _others:
        asyncore_rs._publish('smtpd')
    elif len(_others) == 2:
        # pyasyncore and pyasynchat own the other names: its servers are channels of theirs.
        _spec = find_spec('asyncore_rs.smtpd')
        __file__ = _spec.origin
        exec(_spec.loader.get_code(_spec.name), globals())
    else:
        raise asyncore_rs._mixed('smtpd', _others)
