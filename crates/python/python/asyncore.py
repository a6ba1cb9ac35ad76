"""The module that Python 3.12 removed: `asyncore_rs.asyncore`, under its old name."""

import asyncore_rs

asyncore_rs._publish('asyncore')
