#!/usr/bin/env python3
"""Runs pyftpdlib's own tests with this package in place of pyasyncore and pyasynchat.

    VENV/bin/python pyftpdlib_suite.py

The interpreter must be that of a virtual environment with this package installed; pyftpdlib and
what its tests need are installed into it. They bring pyasyncore and pyasynchat along, which own
the names `asyncore` and `asynchat` there: `asyncore_rs.install()`, called by a sitecustomize
module, puts ours in before anything asks for them, in every process that the tests start.

Fails if a test fails, if not exactly as many pass and are skipped as with pyasyncore and
pyasynchat, or if `pip check` has something to say.
"""

import glob
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree

VERSION = '2.2.0'
# What pyasyncore and pyasynchat give.
PASSED, SKIPPED = 735, 51

SITECUSTOMIZE = '''
import asyncore_rs
asyncore_rs.install()
'''
OURS = '''
import asyncore_rs, pyftpdlib.ioloop
assert pyftpdlib.ioloop.asyncore is asyncore_rs.asyncore, pyftpdlib.ioloop.asyncore
assert pyftpdlib.ioloop.asynchat is asyncore_rs.asynchat, pyftpdlib.ioloop.asynchat
'''


def pip(*arguments):
    subprocess.run([sys.executable, '-m', 'pip', '--quiet', *arguments], check=True)


def unpacked_source(scratch):
    pip('download', '--no-deps', '--no-binary', ':all:', '--dest', scratch, f'pyftpdlib=={VERSION}')
    [archive] = glob.glob(os.path.join(scratch, 'pyftpdlib-*.tar.gz'))
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))
    return archive[:-len('.tar.gz')]


def main():
    if sys.prefix == sys.base_prefix:
        sys.exit('this installs packages: run it with the interpreter of a virtual environment')
    pip('install', f'pyftpdlib[test]=={VERSION}')
    subprocess.run([sys.executable, '-m', 'pip', 'check'], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = unpacked_source(scratch)
        site = os.path.join(scratch, 'site')
        os.mkdir(site)
        with open(os.path.join(site, 'sitecustomize.py'), 'w') as file:
            file.write(SITECUSTOMIZE)
        environment = {**os.environ, 'PYTHONPATH': site}
        subprocess.run([sys.executable, '-c', OURS], cwd=source, env=environment, check=True)
        report = os.path.join(scratch, 'report.xml')
        pytest = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '--no-header', '-W', 'ignore',
             '-o', 'addopts=', '-p', 'no:cacheprovider', f'--junit-xml={report}', 'tests'],
            cwd=source, env=environment, timeout=600)
        [suite] = xml.etree.ElementTree.parse(report).getroot().iter('testsuite')
    count = {name: int(suite.get(name)) for name in ('tests', 'skipped', 'failures', 'errors')}
    passed = count['tests'] - count['skipped'] - count['failures'] - count['errors']
    print(f'pyftpdlib {VERSION}: {passed} passed, {count["skipped"]} skipped')
    if pytest.returncode or (passed, count['skipped']) != (PASSED, SKIPPED):
        sys.exit(f'expected {PASSED} passed, {SKIPPED} skipped')


if __name__ == '__main__':
    main()
