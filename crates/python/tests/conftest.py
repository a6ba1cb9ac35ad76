"""What the tests share: the modules under test, real sockets, and passes of the loop.

    pytest crates/python/tests             our modules
    pytest crates/python/tests --stdlib    the standard library's, before Python 3.12

With --stdlib a test marked `mended` must fail, since it shows a fault of the standard library's
modules; one marked `added` is skipped; all others must pass. That is how we know that they
describe what programs were written for.

The environment variable ASYNCORE_RS_ENGINE selects the engine under our modules. On the one in
Python, tests marked `compiled` are skipped: they show what a kept set saves.
"""

import contextlib
import importlib.util
import os
import socket
import sys
import time
import warnings

import pytest

DEADLINE = 10.0


def pytest_addoption(parser):
    parser.addoption('--stdlib', action='store_true',
                     help="test the standard library's modules (before Python 3.12)")


def pytest_configure(config):
    config.addinivalue_line('markers', 'mended: a fault of the standard library, mended here')
    config.addinivalue_line('markers', 'added: not in the standard library')
    config.addinivalue_line('markers', 'compiled: of the compiled engine only')
    if config.getoption('--stdlib'):
        config.addinivalue_line('filterwarnings', 'ignore:The (asyncore|asynchat|smtpd) module')
    elif sys.version_info < (3, 12):
        import asyncore_rs
        asyncore_rs.install()


def pytest_report_header(config):
    if not config.getoption('--stdlib'):
        import asyncore_rs
        return 'engine: ' + asyncore_rs.engine


def pytest_collection_modifyitems(config, items):
    if not config.getoption('--stdlib'):
        import asyncore_rs
        for item in items if asyncore_rs.engine == 'python' else ():
            if item.get_closest_marker('compiled'):
                item.add_marker(pytest.mark.skip(reason='of the compiled engine only'))
        return
    for item in items:
        if item.get_closest_marker('added'):
            item.add_marker(pytest.mark.skip(reason='not in the standard library'))
        elif item.get_closest_marker('mended'):
            item.add_marker(pytest.mark.xfail(strict=True, reason='a known fault'))


@pytest.fixture
def stdlib(request):
    return request.config.getoption('--stdlib')


@pytest.fixture
def standard(stdlib, monkeypatch):
    """standard(*names): modules of the standard library, beside ours, to compare with."""
    if sys.version_info >= (3, 12):
        pytest.skip('Python has no such modules to compare with')
    if stdlib:
        pytest.skip('the modules under test are the same')

    def load(*names):
        directory = os.path.dirname(socket.__file__)
        modules = []
        for name in names:
            path = os.path.join(directory, f'{name}.py')
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                spec.loader.exec_module(module)
            # Those that follow import this one.
            monkeypatch.setitem(sys.modules, name, module)
            modules.append(module)
        return modules
    return load


@pytest.fixture(autouse=True)
def empty_map():
    """No channel stays in the module's own map."""
    import asyncore
    assert not asyncore.socket_map, 'left by an earlier test'
    yield
    asyncore.close_all(ignore_all=True)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def pair(stack):
    """Makes two connected TCP sockets: pair() -> (blocking near end, blocking far end)."""
    def make():
        with socket.create_server(('127.0.0.1', 0)) as listener:
            near = stack.enter_context(socket.create_connection(listener.getsockname()))
            far = stack.enter_context(listener.accept()[0])
        for end in (near, far):
            end.settimeout(DEADLINE)
        return near, far
    return make


def select_pass(timeout=0.0, map=None):
    import asyncore
    asyncore.poll(timeout, map)


def poll_pass(timeout=0.0, map=None):
    import asyncore
    asyncore.poll2(timeout, map)


def epoll_pass(timeout=0.0, map=None):
    import asyncore
    asyncore.loop(timeout, map=map, count=1, poller='epoll')


@pytest.fixture(params=[
    pytest.param((select_pass, None), id='select'),
    pytest.param((poll_pass, None), id='poll'),
    pytest.param((epoll_pass, None), id='epoll', marks=pytest.mark.added),
    pytest.param((select_pass, 0), id='kept select', marks=pytest.mark.added),
    pytest.param((poll_pass, 0), id='kept poll', marks=pytest.mark.added),
])
def one_pass(request, monkeypatch):
    """One pass of the loop, in each of the ways to make one: one_pass(timeout=0.0, map=None).

    For the last two, a map of any size is large: it has a set that is kept from pass to pass.
    """
    import asyncore
    function, threshold = request.param
    monkeypatch.setattr(asyncore, 'watch_threshold', threshold, raising=False)
    return function


@pytest.fixture(params=['select', 'poll', 'epoll', 'kept select', 'kept poll'])
def any_pass(request, monkeypatch):
    """One pass, in every way there is: on a fresh poll, and on a kept set of any size."""
    import asyncore
    monkeypatch.setattr(asyncore, 'watch_threshold',
                        0 if request.param.startswith('kept') else None)
    if request.param == 'epoll':
        return epoll_pass
    return asyncore.poll if request.param.endswith('select') else asyncore.poll2


@pytest.fixture
def socketpair(stack):
    return lambda: [stack.enter_context(end) for end in socket.socketpair()]


@pytest.fixture
def until():
    """Makes passes until a condition holds: until(condition, one_pass, map=None)."""
    def until(condition, one_pass, map=None):
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, 'this never came about'
            one_pass(0.05, map)
    return until


@pytest.fixture
def readable_now():
    """Waits until the system reports a socket readable, so that the next pass finds it so."""
    import select

    def wait(*sockets):
        for sock in sockets:
            assert select.select([sock], [], [], DEADLINE)[0], 'nothing arrived'
    return wait


@pytest.fixture
def pass_with_input(one_pass, readable_now):
    """Makes a pass in which there is a byte to read: pass_with_input(near, far, map)."""
    def run(near, far, map):
        far.sendall(b'x')
        readable_now(near)
        one_pass(map=map)
    return run


@pytest.fixture
def cpu_time():
    """CPU seconds of this process while a block runs: with cpu_time() as used: ...; used()."""
    @contextlib.contextmanager
    def measure():
        start = time.process_time()
        yield lambda: time.process_time() - start
    return measure


@pytest.fixture
def open_files():
    """The number of descriptors that this process has open."""
    return lambda: len(os.listdir('/proc/self/fd'))
