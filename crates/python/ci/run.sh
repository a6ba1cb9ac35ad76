#!/usr/bin/env bash
# Builds the wheel and proves it, as the gate does.
#
#     crates/python/ci/run.sh
#
# Everything that is released: the compiled wheel, the one for every system, and the source
# distribution, from which the tested wheel is built in a clean directory. On Python 3.11: our tests
# on both engines, the same tests against the standard library's modules (those that show its
# faults must fail), and CPython's own tests with `install()`. On Python 3.13, in a minimal Debian
# (see debian.sh): our tests on both, CPython's own with the plain import, and pyftpdlib's.
#
# Needs root and a Debian, and installs what is missing. Everything it makes is under target/.
set -euo pipefail
cd "$(dirname "$0")/../../.."

root=$PWD
here=crates/python/ci
work=target/python
share=target/share

step() { printf '\n== python: %s\n' "$*"; }

# A Python 3.11 that can make virtual environments and came with its own tests.
python311() {
    local python
    for python in python3.11 python3 /usr/bin/python3.11; do
        if "$python" - 2>/dev/null <<'END'; then
import ensurepip, importlib.util, sys, venv
sys.exit(sys.version_info[:2] != (3, 11) or not importlib.util.find_spec("test.test_asyncore"))
END
            command -v "$python"
            return
        fi
    done
    return 1
}

step "tools"
if ! python=$(python311); then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv libpython3.11-testsuite
    python=$(python311) || { echo "run.sh: found no Python 3.11 with its tests" >&2; exit 1; }
fi
tests=$("$python" -c 'import os, test; print(os.path.dirname(test.__file__))')
[[ -x $work/build/bin/maturin ]] || {
    "$python" -m venv "$work/build"
    "$work/build/bin/pip" install --quiet 'maturin>=1.9,<2'
}

step "the source distribution, and the wheels from it"
rm -rf "$share" "$work/source"
mkdir -p "$share/wheels" "$share/pure" "$work/source"
"$work/build/bin/maturin" sdist --manifest-path crates/python/Cargo.toml --out "$work/source"
tar -xzf "$work"/source/*.tar.gz -C "$work/source"
# Only the compiled dependencies are shared with other builds.
(cd "$work"/source/*/ && CARGO_TARGET_DIR=$root/$work/target \
    "$root/$work/build/bin/maturin" build --release --out "$root/$share/wheels")
"$python" $here/pure_wheel.py "$share"/wheels/*.whl "$share/pure"
"$python" $here/packages.py "$share"/wheels/*.whl "$share"/pure/*.whl "$work"/source/*.tar.gz

step "Python 3.11: our tests, on both engines and on the standard library's modules"
rm -rf "$work/3.11" "$work/3.11-pure"
"$python" -m venv "$work/3.11"
"$work/3.11/bin/pip" install --quiet "$share"/wheels/*.whl pytest
"$work/3.11/bin/python" -m pytest -q -p no:cacheprovider crates/python/tests
"$work/3.11/bin/python" -m pytest -q -p no:cacheprovider crates/python/tests --stdlib
"$python" -m venv "$work/3.11-pure"
"$work/3.11-pure/bin/pip" install --quiet "$share"/pure/*.whl pytest
"$work/3.11-pure/bin/python" -m pytest -q -p no:cacheprovider crates/python/tests

step "Python 3.11: CPython's own tests, by install(), on both engines"
"$work/3.11/bin/python" $here/cpython_suites.py "$tests"
"$work/3.11-pure/bin/python" $here/cpython_suites.py "$tests"

# What the tests below need of Python 3.11 goes along into the other Debian.
mkdir "$share/cpython-tests"
cp -r "$tests"/{__init__.py,support,mock_socket.py,test_asyncore.py,test_asynchat.py,test_smtpd.py} \
    "$share/cpython-tests"
$here/debian.sh trixie /python/ci/inside.sh
