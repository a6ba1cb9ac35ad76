"""From figures to a page: the tables, and what became of the targets."""

import importlib.metadata
import os
import platform
import re

import engines


def target_rows(figures):
    """Each target that was measured: (what, as measured, whether it is met)."""
    def faster(name, what, times, slow=engines.STD_POLL, fast=engines.OURS_POLL):
        if name in figures:
            ratio = figures[name][slow][0] / figures[name][fast][0]
            yield f'{what}: at least {times}× as fast', f'{ratio:.1f}×', ratio >= times

    yield from faster('idle-5000', '10 active, 5,000 idle, stock', 30)
    yield from faster('overridden', '10 active, 5,000 idle, overridden `writable()`', 5)
    yield from faster('active', '50 active', 1.5)
    for name, how in (('lines', 'in reads of 64 KiB'), ('lines-1mb', 'in one read')):
        yield from faster(name, f'1 MB of one-byte lines, {how}', 20, 'standard library', 'ours')
    for kind in ('dispatcher_with_send', 'async_chat'):
        if 'stalled' in figures:
            wall = [figures['stalled'][f'ours, {kind}, {size} MB'][0] for size in (5, 20)]
            yield (f'{kind}, 20 MB to a stalled peer: linear (4 times what 5 MB cost, below 6)',
                   f'{wall[1] / wall[0]:.1f} times', wall[1] / wall[0] < 6)


def notes(name, rows):
    """What the figures of a case say about how far one can get at all."""
    if name == 'active':
        ours, std, floor = (rows[row][0] for row in (
            engines.OURS_POLL, engines.STD_POLL, engines.FLOOR))
        yield (f'The floor has no protocol: nothing is collected, split or queued. It is '
               f'{std / floor:.3g}× as fast as the standard library and no more, since most of a '
               f'round trip is the system that receives and sends. Above the floor, the standard '
               f'library takes {std - floor:.2g} µs, and we take {ours - floor:.2g}.')
    elif engines.CALLBACKS in rows:
        ours, std, floor = (rows[row][0] for row in (
            'ours', 'standard library', engines.CALLBACKS))
        yield (f'The floor is what the program itself does with its lines: its '
               f'`found_terminator`, called as often by a loop in C, with nothing received or '
               f'searched. It is {std / floor:.3g}× as fast as the standard library: '
               f'whoever makes these calls pays for them. We take {ours / floor:.2g} times as long.')


def processor():
    try:
        with open('/proc/cpuinfo') as file:
            model = re.search(r'model name\s*: (.*)', file.read())
    except OSError:
        model = None
    return model.group(1) if model else platform.machine()


def versions():
    names = ['asyncore-rs', 'pyftpdlib', 'uvloop']
    found = [f'Python {platform.python_version()}']
    for name in names:
        try:
            found.append(f'{name} {importlib.metadata.version(name)}')
        except importlib.metadata.PackageNotFoundError:
            found.append(name)
    return ', '.join(found)


def table(rows, unit):
    """Each row, and how many times as fast as the standard library it is, if that is one."""
    base = rows.get(engines.STD_POLL) or rows.get('standard library')
    yield f'| | {unit} | processor |' + (' as fast | by processor |' if base else '')
    yield '| --- | ---: | ---: |' + (' ---: | ---: |' if base else '')
    for row, (wall, cpu) in rows.items():
        ratio = f' {base[0] / wall:.3g}× | {base[1] / cpu:.3g}× |' if base else ''
        yield f'| {row} | {wall:.3g} | {cpu:.3g} |{ratio}'


def write(figures, cases):
    lines = ['# asyncore, measured', '']
    lines += [
        'Written by `run.py`, which says how it is run. Loops, peers and all are in one process '
        'and one thread, on pairs of Unix sockets; of the round trips, what the peers do is not '
        'counted. All loops are measured in turn within one run; each figure is the median of the '
        'turns. "Processor" is processor time in the same unit. "As fast" compares with the '
        'standard library, on poll, of the interpreter that all run on. select(2) cannot have '
        '5,000 channels.', '',
        f'{versions()}; Linux {platform.release()}; {processor()}, {os.cpu_count()} cores.', '']
    targets = list(target_rows(figures))
    if targets:
        lines += ['## Targets', '', '| target | measured | |', '| --- | ---: | --- |']
        lines += [f'| {what} | {measured} | {"met" if met else "missed"} |'
                  for what, measured, met in targets]
        lines.append('')
    for name, rows in figures.items():
        heading, unit, _, _ = cases[name]
        lines += [f'## {heading}', '', *table(rows, unit), '']
        for note in notes(name, rows):
            lines += [note, '']
    return '\n'.join(lines)
