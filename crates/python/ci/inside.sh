#!/usr/bin/env bash
# What run.sh runs in the other Debian: crates/python is at /python, what it brought at /share.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1

step() { printf '\n== python: %s\n' "$*"; }

version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
step "Python $version: our tests, on both engines"
cd "$(mktemp -d)"
python3 -m venv ours
ours/bin/pip install --quiet /share/wheels/*.whl pytest mypy
ours/bin/pip check
ours/bin/python -m pytest -q -p no:cacheprovider /python/tests
ASYNCORE_RS_ENGINE=python ours/bin/python -m pytest -q -p no:cacheprovider /python/tests

step "Python $version: CPython 3.11's own tests, by the plain import, on both engines"
ours/bin/python /python/ci/cpython_suites.py /share/cpython-tests
ASYNCORE_RS_ENGINE=python ours/bin/python /python/ci/cpython_suites.py /share/cpython-tests

step "Python $version: pyftpdlib's own tests, by install()"
ours/bin/python /python/ci/pyftpdlib_suite.py
