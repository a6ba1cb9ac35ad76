"""The module that Python 3.12 removed: `asyncore_rs.asyncore`, under its old name."""

import sys

from asyncore_rs import asyncore

sys.modules[__name__] = asyncore
