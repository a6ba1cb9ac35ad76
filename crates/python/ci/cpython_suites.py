#!/usr/bin/env python3
"""Runs CPython 3.11's own tests of asyncore, asynchat and smtpd with this package in their place.

    python cpython_suites.py TESTS

TESTS is the `test` directory of a Python 3.11: what `python3.11 -c "import test;
print(*test.__path__)"` prints (Debian has it in libpython3.11-testsuite). What the tests need
of it is copied to a temporary directory, so that they run under any Python; nothing of it is
kept. Before Python 3.12 `asyncore_rs.install()` puts the modules in place, later the plain
import finds them.

Fails if a suite fails, or does not run and skip exactly as many tests as with the standard
library's modules. The tests need the IPv6 loopback.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

# What the standard library's modules give: tests run, tests skipped.
EXPECTED = {
    'asyncore': (101, 8),
    'asynchat': (25, 0),
    'smtpd': (153, 0),
}
NEEDED = ['__init__.py', 'support', 'mock_socket.py', *(f'test_{name}.py' for name in EXPECTED)]


def copy_tests(source, destination):
    package = os.path.join(destination, 'test')
    os.mkdir(package)
    for name in NEEDED:
        path = os.path.join(source, name)
        if not os.path.exists(path):
            sys.exit(f'{path} is missing: TESTS must be the `test` directory of a Python 3.11 '
                     'that came with its tests (Debian: apt-get install libpython3.11-testsuite)')
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(package, name),
                            ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(path, package)


def run_one(name):
    """Runs one suite in this process. Returns a sentence that says what is wrong, or None."""
    import asyncore_rs
    if sys.version_info < (3, 12):
        asyncore_rs.install()
    for module in EXPECTED:
        if __import__(module) is not getattr(asyncore_rs, module):
            return f'`import {module}` gives {__import__(module)!r}, not the one of asyncore_rs'
    suite = unittest.defaultTestLoader.loadTestsFromName(f'test.test_{name}')
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    found = result.testsRun, len(result.skipped)
    if not result.wasSuccessful():
        return 'tests failed'
    if found != EXPECTED[name]:
        return '{} run, {} skipped; expected {} and {}'.format(*found, *EXPECTED[name])
    return None


def run_all(tests):
    wrong = []
    for name, (run, skipped) in EXPECTED.items():
        with tempfile.TemporaryDirectory() as scratch:
            copy_tests(tests, scratch)
            command = [sys.executable, os.path.abspath(__file__), '--one', name]
            # The tests leave files in the working directory.
            path = os.pathsep.join(filter(None, [scratch, os.environ.get('PYTHONPATH')]))
            finished = subprocess.run(command, cwd=scratch, timeout=300,
                                      env={**os.environ, 'PYTHONPATH': path})
        if finished.returncode:
            wrong.append(name)
        else:
            print(f'test_{name}: {run} run, {skipped} skipped, as expected', flush=True)
    if wrong:
        sys.exit('not as with the standard library: ' + ', '.join(wrong))


def main():
    parser = argparse.ArgumentParser(
        description="CPython 3.11's own tests, with this package in place of its modules.")
    parser.add_argument('tests', nargs='?', metavar='TESTS',
                        help='the `test` directory of a Python 3.11')
    parser.add_argument('--one', metavar='NAME', choices=EXPECTED,
                        help='run this suite here; the tests are on the path already')
    options = parser.parse_args()
    if options.one:
        sys.exit(run_one(options.one))
    if options.tests is None:
        parser.error('TESTS is missing')
    run_all(options.tests)


if __name__ == '__main__':
    main()
