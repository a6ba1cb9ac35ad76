"""The module that Python 3.12 removed: `asyncore_rs.asynchat`, under its old name."""

import sys

from asyncore_rs import asynchat

sys.modules[__name__] = asynchat
