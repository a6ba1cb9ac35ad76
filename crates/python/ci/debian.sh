#!/usr/bin/env bash
# Runs a command in a minimal Debian of another release, for the Python that it has.
#
#     crates/python/ci/debian.sh SUITE COMMAND [ARGUMENT...]
#
# SUITE is trixie (Python 3.13), sid (3.14) or the like. The tree is made once, in
# target/debian-SUITE (about 290 MB, about a minute), from the mirror that apt on this machine
# uses. The command finds crates/python under /python and target/share under /share, both
# read-only, and an empty temporary directory. Needs root and a Debian; installs debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../../.."

suite=$1
shift
tree=$PWD/target/debian-$suite

if [[ $(id -u) != 0 ]]; then
    echo "debian.sh: chroot and mount need root" >&2
    exit 1
fi

if [[ ! -d $tree ]]; then
    if ! command -v debootstrap >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends debootstrap
    fi
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    if [[ -z $mirror ]]; then
        apt-get update -qq
        mirror=$(apt-get indextargets --format '$(REPO_URI)' \
            'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    fi
    if [[ -z $mirror ]]; then
        echo "debian.sh: apt on this machine knows no Debian mirror (see apt-get indextargets)" >&2
        exit 1
    fi
    # Under its own name only when it is whole.
    rm -rf "$tree.partial"
    mkdir -p "$tree.partial"
    if ! debootstrap --variant=minbase \
        --include=python3,python3-venv,python3-pip,ca-certificates \
        "$suite" "$tree.partial" "$mirror" >"$tree.log" 2>&1; then
        tail -n 20 "$tree.log" >&2
        echo "debian.sh: debootstrap failed; all it said is in $tree.log" >&2
        exit 1
    fi
    rm -rf "$tree.partial"/var/cache/apt/archives/*.deb
    mv "$tree.partial" "$tree"
fi

# Names are looked up as here, and a proxy may have a certificate of its own.
cp -L /etc/hosts "$tree/etc/hosts"
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$tree/python" "$tree/share" target/share

# In a mount namespace of its own: whatever happens, nothing stays mounted.
export tree
exec unshare --mount --propagation private bash -euc '
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    mount -t tmpfs tmpfs "$tree/tmp"
    mount --bind crates/python "$tree/python"
    mount -o remount,bind,ro "$tree/python"
    mount --bind target/share "$tree/share"
    mount -o remount,bind,ro "$tree/share"
    exec env -u VIRTUAL_ENV -u PIP_FIND_LINKS LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$tree" "$@"
' debian.sh "$@"
