"""Programs that tests run in a process of their own."""

import os
import subprocess
import sys

TIMEOUT = 60


def run(code, *arguments, env=()):
    return subprocess.run([sys.executable, *arguments, '-c', code], capture_output=True, text=True,
                          timeout=TIMEOUT, env={**os.environ, **dict(env)})


def output(code, *arguments, env=()):
    """What a program prints; it must end well and write nothing to standard error."""
    result = run(code, *arguments, env=env)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ''
    return result.stdout


# Our modules under their old names, on every Python.
INSTALLED = 'import asyncore_rs; asyncore_rs.install(); import asyncore, asynchat, smtpd\n'
