#!/usr/bin/env python3
"""Checks what is released: the compiled wheel, the pure one, and the source distribution.

    python packages.py COMPILED.whl PURE.whl SOURCE.tar.gz
"""

import email
import sys
import tarfile
import zipfile

# Bytes of the engine; with debug information it has five times as many.
MAX_ENGINE = 1_000_000
PACKAGED = {
    'asyncore.py', 'asynchat.py', 'smtpd.py', 'asyncore-stubs/__init__.pyi',
    'asynchat-stubs/__init__.pyi', 'smtpd-stubs/__init__.pyi', 'asyncore_rs/py.typed',
    'asyncore_rs/asyncore.py', 'asyncore_rs/_python.py',
}
LICENSES = {'LICENSE-MIT', 'LICENSE-APACHE'}
URLS = {'Repository', 'Documentation', 'Changelog', 'Issues'}


def check_metadata(text):
    fields = email.message_from_string(text)
    assert LICENSES <= set(fields.get_all('License-File')), fields.get_all('License-File')
    urls = {line.split(',')[0] for line in fields.get_all('Project-URL')}
    assert URLS <= urls, urls


def check_wheel(path, compiled):
    with zipfile.ZipFile(path) as wheel:
        assert wheel.testzip() is None
        sizes = {entry.filename: entry.file_size for entry in wheel.infolist()}
        [info] = {name.split('/')[0] for name in sizes if '.dist-info/' in name}
        assert PACKAGED <= set(sizes), PACKAGED - set(sizes)
        assert {f'{info}/licenses/{name}' for name in LICENSES} <= set(sizes), sorted(sizes)
        check_metadata(wheel.read(f'{info}/METADATA').decode())
    engines = [size for name, size in sizes.items() if name.startswith('asyncore_rs/_native.')]
    assert len(engines) == compiled, engines
    assert all(size < MAX_ENGINE for size in engines), f'not stripped: {engines}'


def check_source(path):
    with tarfile.open(path) as archive:
        names = archive.getnames()
        root = names[0].split('/')[0]
        assert {f'{root}/{name}' for name in LICENSES} <= set(names)
        for name in PACKAGED:
            assert any(entry.endswith(f'/python/{name}') for entry in names), name
        check_metadata(archive.extractfile(f'{root}/PKG-INFO').read().decode())


def main(compiled, pure, source):
    check_wheel(compiled, compiled=True)
    check_wheel(pure, compiled=False)
    check_source(source)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
