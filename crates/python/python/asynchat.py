"""The module that Python 3.12 removed: `asyncore_rs.asynchat`, under its old name."""

import asyncore_rs

_others = asyncore_rs._others_modules('asyncore')
if _others:
    raise asyncore_rs._mixed('asynchat', _others)
asyncore_rs._publish('asynchat')
