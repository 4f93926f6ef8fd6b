import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

go_on = threading.Event()
globals_of_the_tests = []


class App:
    pool = sock = None


@pytest.fixture(scope="session")
def app():
    app = App()
    yield app
    if app.pool:
        app.pool.terminate()
        app.pool.join()
    if app.sock:
        app.sock.close()


@pytest.fixture(scope="module")
def url():
    pool = ThreadPool(1)
    globals_of_the_tests.append(pool)
    yield "http://127.0.0.1"
    pool.terminate()
    pool.join()


@pytest.fixture(scope="module")
def submit():
    with ThreadPoolExecutor() as pool:
        yield pool.submit
        go_on.set()


@pytest.fixture(scope="session")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    go_on.set()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_a_pool_made_late(netns, app):
    app.pool = ThreadPool(1)
    app.pool.apply(os.getpid)


def test_a_pool_in_a_local_variable_of_the_fixture(netns, url):
    pool = globals_of_the_tests.pop()
    pool._processes += 1
    pool._repopulate_pool()


def test_a_busy_executor(netns, submit):
    submit(go_on.wait)


def test_a_busy_loop(netns, loop):
    loop.run_in_executor(None, go_on.wait)


def test_a_connection(netns, app):
    app.sock = socket.socket()


def test_another_connection(netns, app):
    app.sock.close()
    other = socket.socket()
    app.sock = socket.socket()
    other.close()


def test_asked_for(request):
    request.getfixturevalue("app")
    request.getfixturevalue("netns")
    request.getfixturevalue("submit")(go_on.wait)
