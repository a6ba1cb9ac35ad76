"""Calls that the loop makes at their time: `asyncore.call_later` and `asyncore.call_every`."""

import heapq
import itertools
import sys
import time

from asyncore_rs._engine import engine as _engine

# The calls that are put off, by the identity of the map whose loop makes them; each `_Agenda`
# keeps its map alive as long as it holds a call.
_agendas = {}
_order = itertools.count()


class _Agenda:
    def __init__(self, map):
        self.map = map
        self.heap = []  # (time, order, timer), some of them out of date


class Timer:
    """A call that was put off."""

    def __init__(self, delay, every, target, args, kwargs, map):
        if delay < 0:
            raise ValueError('a call cannot be put off by %r seconds' % (delay,))
        self._delay = delay
        self._every = every
        self._call = target, args, kwargs
        self._map = map
        self._schedule(time.monotonic() + delay)

    def _schedule(self, when):
        self._when = when
        self._entry = when, next(_order), self
        agenda = _agendas.setdefault(id(self._map), None)
        if agenda is None:
            agenda = _agendas[id(self._map)] = _Agenda(self._map)
            _engine.timers_pending(len(_agendas))
        heapq.heappush(agenda.heap, self._entry)
        _tell_attachment(self._map)

    @property
    def cancelled(self):
        """Whether nothing will come of it any more: cancelled, or done."""
        return self._entry is None

    def cancel(self):
        """Takes the call back. Tells whether it was still to come."""
        pending, self._entry = self._entry is not None, None
        _drop_dead(self._map)
        _tell_attachment(self._map)
        return pending

    def reset(self, delay=None):
        """Puts the call off again: by `delay` seconds from now, or by as many as at first."""
        if delay is not None:
            if delay < 0:
                raise ValueError('a call cannot be put off by %r seconds' % (delay,))
            self._delay = delay
        self._entry = None
        self._schedule(time.monotonic() + self._delay)

    def _run(self, now):
        target, args, kwargs = self._call
        self._entry = None
        if self._every:
            # Not from when it was due: a loop that was held up does not make up for it.
            self._schedule(now + self._delay)
        target(*args, **kwargs)


def call_later(delay, target, *args, map=None, **kwargs):
    """Has the loop of `map` call `target` once, `delay` seconds from now.

    Returns a `Timer`, with `cancel()`, `reset()` and `cancelled`. `loop()` does not end as long
    as a call is put off for its map. An exception out of `target` is printed, and the loop goes
    on; ExitNow, KeyboardInterrupt and SystemExit leave it.
    """
    return Timer(delay, False, target, args, kwargs, _map_or_default(map))


def call_every(delay, target, *args, map=None, **kwargs):
    """As `call_later`, again and again, until the timer is cancelled."""
    if delay <= 0:
        raise ValueError('a call cannot be repeated every %r seconds' % (delay,))
    return Timer(delay, True, target, args, kwargs, _map_or_default(map))


def _map_or_default(map):
    from asyncore_rs import asyncore
    return asyncore.socket_map if map is None else map


def _tell_attachment(map):
    """Has an asyncio loop that runs the map look at its calls anew."""
    module = sys.modules.get('asyncore_rs.attachment')
    attachment = module and module.of(map)
    if attachment:
        attachment._changed()


def _drop_dead(map):
    """Forgets leading entries that will not be run; returns the agenda if any is left."""
    agenda = _agendas.get(id(map))
    if agenda is None:
        return None
    heap = agenda.heap
    while heap and heap[0][2]._entry is not heap[0]:
        heapq.heappop(heap)
    if heap:
        return agenda
    del _agendas[id(map)]
    _engine.timers_pending(len(_agendas))
    return None


def pending(map):
    """Whether a call is put off for the loop of `map`."""
    return bool(_agendas) and _drop_dead(map) is not None


def wait(map):
    """How many seconds are left until the first call is due; None if there is none."""
    agenda = _drop_dead(map)
    return None if agenda is None else max(0.0, agenda.heap[0][0] - time.monotonic())


def run_due(map):
    """Makes the calls that are due now; not those that they put off in turn."""
    from asyncore_rs.asyncore import _reraised_exceptions, compact_traceback
    now = time.monotonic()
    newest = next(_order)
    while True:
        agenda = _drop_dead(map)
        if agenda is None:
            return
        when, order, timer = agenda.heap[0]
        if when > now or order > newest:
            return
        heapq.heappop(agenda.heap)
        try:
            timer._run(now)
        except _reraised_exceptions:
            raise
        except:
            _, kind, value, trace = compact_traceback()
            print('error: uncaptured python exception in a call put off, %r (%s:%s %s)'
                  % (timer._call[0], kind, value, trace))
