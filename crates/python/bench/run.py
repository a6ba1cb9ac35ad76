#!/usr/bin/env python3
"""Compares asyncore's loops with each other, interleaved, in one process.

    python3.11 -m venv VENV
    VENV/bin/pip install WHEEL pyftpdlib uvloop
    VENV/bin/python crates/python/bench/run.py [--quick] [--only NAME]

Writes crates/python/bench/RESULTS.md, unless --quick or --only is given: then it only prints.
Python 3.11 or earlier, since the standard library's asyncore is one of those compared: so all run
on the same interpreter.
"""

import argparse
import itertools
import os
import pathlib
import resource
import statistics
import sys

if sys.version_info >= (3, 12):
    sys.exit('run.py: needs Python 3.11 or earlier: later ones have no asyncore to compare with')

import engines
import report
import scenarios

RESULTS = pathlib.Path(__file__).parent / 'RESULTS.md'
DESCRIPTORS = 16000


def without(engines_, *names):
    return {name: engine for name, engine in engines_.items() if name not in names}


def cases():
    """name -> (heading, unit, {row: function}, repetitions)"""
    def trips(engines_, active, idle, rounds):
        return {name: lambda quick, make=make: scenarios.round_trips(
                    make, active, idle, max(rounds // (10 if quick else 1), 10))
                for name, make in engines_.items()}

    def lines(size, chunks):
        rows = {name: lambda quick, modules=modules: scenarios.short_lines(
                    modules, size // (16 if quick else 1), chunks)
                for name, modules in engines.MODULES.items()}
        rows[engines.CALLBACKS] = lambda quick: scenarios.line_callbacks(
            size // (16 if quick else 1), chunks)
        return rows

    def stalled():
        return {f'{name}, {kind}, {megabytes} MB': lambda quick, arguments=(
                    modules, kind, megabytes): scenarios.stalled_peer(*arguments)
                for (name, modules), kind, megabytes in itertools.product(
                    engines.MODULES.items(), ('dispatcher_with_send', 'async_chat'), (5, 10, 20))}

    return {
        'active': ('50 active channels', 'µs per round trip',
                   trips(engines.ENGINES, 50, 0, 400), 15),
        'idle-900': ('10 active, 900 idle', 'µs per round trip',
                     trips(engines.ENGINES, 10, 900, 300), 15),
        'idle-5000': ('10 active, 5,000 idle', 'µs per round trip',
                      trips(without(engines.ENGINES, engines.STD_SELECT), 10, 5000, 200), 15),
        'overridden': ('10 active, 5,000 idle, all with a `writable()` of their own',
                       'µs per round trip', trips(engines.OVERRIDDEN, 10, 5000, 200), 15),
        'lines': ('1 MB of one-byte lines, in reads of 64 KiB', 'ms', lines(1 << 16, 16), 15),
        'lines-1mb': ('1 MB of one-byte lines, in one read', 'ms', lines(1 << 20, 1), 3),
        'stalled': ('Queued to a stalled peer', 'ms', stalled(), 5),
    }


def measure(names, quick):
    """The figures of each case: {name: {row: [(wall, cpu), ...]}}"""
    chosen = {name: case for name, case in cases().items() if name in names}
    total = sum(len(rows) * (2 if quick else times) for _, _, rows, times in chosen.values())
    done, figures = 0, {}
    for name, (_, _, rows, times) in chosen.items():
        figures[name] = {row: [] for row in rows}
        order = list(rows)
        for _ in range(2 if quick else times):
            for row in order:
                progress(done, total, f'{name}: {row}')
                figures[name][row].append(rows[row](quick))
                done += 1
            # Nobody always comes after the same one.
            order.append(order.pop(0))
    progress(total, total, 'done')
    print(file=sys.stderr)
    return figures


def progress(done, total, text):
    if sys.stderr.isatty():
        bar = '#' * (30 * done // total)
        print(f'\r[{bar:30}] {done}/{total} {text:60.60}', end='', file=sys.stderr, flush=True)


def medians(figures):
    return {name: {row: tuple(map(statistics.median, zip(*values))) for row, values in rows.items()}
            for name, rows in figures.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--quick', action='store_true',
                        help='a tenth of the work, to see that it runs')
    parser.add_argument('--only', action='append', choices=cases(), help='this case; repeatable')
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS:
        sys.exit(f'run.py: needs {DESCRIPTORS} open files, and the limit is {hard}: ulimit -Hn')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    os.environ.pop('PYTHONASYNCIODEBUG', None)
    figures = medians(measure(options.only or list(cases()), options.quick))
    text = report.write(figures, cases())
    print(text)
    if options.quick or options.only:
        print('(not written to RESULTS.md'
              + ('; with so little work the verdicts say nothing)' if options.quick else ')'))
    else:
        RESULTS.write_text(text)
        print(f'written to {RESULTS}')


if __name__ == '__main__':
    main()
