#!/usr/bin/env bash
# Builds what is released, for every system, into a directory.
#
#     crates/python/ci/wheels.sh DIRECTORY
#
# Compiled wheels for manylinux2014 and musllinux, x86-64 and aarch64; the wheel for every other
# system; the source distribution. zig is compiler and linker, so that the wheels need no newer
# glibc than they say, which auditwheel verifies. Needs Python 3.11, rustup and the network; what
# is missing is installed under target/ and by rustup.
set -euo pipefail
cd "$(dirname "$0")/../../.."

[[ $# == 1 ]] || {
    echo "wheels.sh: name the directory for the wheels" >&2
    exit 2
}
out=$1
here=crates/python/ci
tools=target/python/wheels
manifest=crates/python/Cargo.toml

step() { printf '\n== wheels: %s\n' "$*"; }

step "tools"
[[ -x $tools/bin/auditwheel ]] || {
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet 'maturin>=1.9,<2' ziglang auditwheel
}
PATH=$PWD/$tools/bin:$PATH
rm -rf "$out"
mkdir -p "$out"

for machine in x86_64 aarch64; do
    for system in manylinux2014:gnu musllinux_1_2:musl; do
        target=$machine-unknown-linux-${system#*:}
        step "$target, ${system%:*}"
        rustup target add "$target"
        maturin build --release --zig --compatibility "${system%:*}" --target "$target" \
            --manifest-path $manifest --out "$out"
    done
done

step "the wheel for every other system, and the source distribution"
python3 $here/pure_wheel.py "$out"/*-manylinux2014_x86_64.*.whl "$out"
maturin sdist --manifest-path $manifest --out "$out"

step "what they hold"
for wheel in "$out"/*-abi3-*.whl; do
    python3 $here/packages.py "$wheel" "$out"/*-none-any.whl "$out"/*.tar.gz
    # auditwheel knows the libraries of the wheel's own system only where it runs on such a one.
    case $wheel in
    *manylinux*) auditwheel show "$wheel" | tee /dev/stderr | grep -q '"manylinux_2_17_' ;;
    esac
done
