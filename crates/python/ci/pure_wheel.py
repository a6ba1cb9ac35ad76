#!/usr/bin/env python3
"""Makes the wheel for every system out of a compiled one: the same files, without the engine.

    python pure_wheel.py COMPILED.whl DIRECTORY

pip prefers a compiled wheel where one fits the interpreter, and takes this one elsewhere.
"""

import base64
import csv
import hashlib
import io
import os
import re
import sys
import zipfile

COMPILED = re.compile(r'asyncore_rs/_native\..*|.*\.dist-info/sboms/.*')


def purified(name, data):
    """The file as it is in the pure wheel; None if it is not there."""
    if COMPILED.fullmatch(name):
        return None
    if name.endswith('.dist-info/WHEEL'):
        lines = [line for line in data.decode().splitlines()
                 if line and not line.startswith(('Tag:', 'Root-Is-Purelib:'))]
        return '\n'.join([*lines, 'Root-Is-Purelib: true', 'Tag: py3-none-any', '']).encode()
    return data


def record(files, own_name):
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator='\n')
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
        writer.writerow([name, 'sha256=' + digest, len(data)])
    writer.writerow([own_name, '', ''])
    return rows.getvalue().encode()


def main(compiled, directory):
    name, version = os.path.basename(compiled).split('-')[:2]
    files = {}
    with zipfile.ZipFile(compiled) as wheel:
        for entry in wheel.namelist():
            data = purified(entry, wheel.read(entry))
            if data is not None and not entry.endswith('.dist-info/RECORD'):
                files[entry] = data
    own_name = f'{name}-{version}.dist-info/RECORD'
    files[own_name] = record(files, own_name)
    path = os.path.join(directory, f'{name}-{version}-py3-none-any.whl')
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as wheel:
        for entry, data in files.items():
            # The date is fixed, so that the same files make the same wheel.
            wheel.writestr(zipfile.ZipInfo(entry), data, zipfile.ZIP_DEFLATED)
    print(path)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
