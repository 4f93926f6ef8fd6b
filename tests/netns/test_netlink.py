"""pyroute2's objects: in every mode, under a running loop, and closed in each thread that used them."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio

from pytest_netns import NetNS, NetNSClosedError, NetNSOSError
from tests.support.helpers import descriptors

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

MODES = ["resident", "fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn"]


def names(ipr: Any) -> list[str]:
    return [link.get("ifname") for link in ipr.get_links()]


@pytest.mark.smoke
@pytest.mark.netns_child_mode(*MODES)
def test_every_object_in_every_mode(netns: NetNS) -> None:
    netns.ipr.link("add", ifname="br0", kind="bridge")
    assert names(netns.ipr) == ["lo", "br0"]
    with netns.iproute() as ipr:
        assert names(ipr) == ["lo", "br0"]

    async def dump() -> list[str]:
        async with netns.async_iproute() as ipr:
            return [link.get("ifname") async for link in await ipr.link("dump")]

    assert asyncio.run(dump()) == ["lo", "br0"]


@pytest.mark.smoke
@pytest.mark.asyncio
async def test_synchronous_objects_under_a_running_loop(netns: NetNS) -> None:
    task = asyncio.current_task()
    assert names(netns.ipr) == ["lo"]
    ipr = netns.iproute()
    ipr.bind()
    assert names(ipr) == ["lo"]
    ipr.close()
    assert asyncio.current_task() is task
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_an_asynchronous_object_left_open_under_a_running_loop(netns: NetNS) -> None:
    ipr = netns.async_iproute()
    assert [link.get("ifname") async for link in await ipr.link("dump")] == ["lo"]


def test_under_trio(netns: NetNS) -> None:
    async def main() -> list[str]:
        return names(netns.ipr)

    assert trio.run(main) == ["lo"]


def use(ipr: Any) -> None:
    assert names(ipr) == ["lo"]


def bind(ipr: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that binding in another thread may need a close there: it gets one
        ipr.bind()
    assert names(ipr) == ["lo"]


@pytest.mark.smoke
@pytest.mark.parametrize("act", [use, bind])
@pytest.mark.parametrize("get", [lambda ns: ns.ipr, lambda ns: ns.iproute()])
def test_a_thread_closes_what_it_used_as_it_ends(
    netns: NetNS, act: Callable[[Any], None], get: Callable[[NetNS], Any]
) -> None:
    act(get(netns))
    before = descriptors()
    ended = threading.Event()

    def body() -> None:
        act(get(netns))
        ended.set()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert ended.is_set()
    assert descriptors() == before


@pytest.mark.parametrize("act", [use, bind])
def test_one_threads_end_does_not_take_the_object_from_the_others(netns: NetNS, act: Callable[[Any], None]) -> None:
    ipr = netns.iproute()
    act(ipr)
    before = descriptors()
    for _ in range(3):
        thread = threading.Thread(target=act, args=(ipr,))
        thread.start()
        thread.join()
        assert descriptors() == before
        use(ipr)


def test_an_object_made_and_left_in_a_thread(netns: NetNS) -> None:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(netns.iproute()))
    thread.start()
    thread.join()
    use(made[0])  # a second thread of its own to pyroute2


def test_ipr_is_one_object_a_thread(netns: NetNS) -> None:
    assert netns.ipr is netns.ipr
    of_thread: list[object] = []
    thread = threading.Thread(target=lambda: of_thread.append(netns.ipr))
    thread.start()
    thread.join()
    assert of_thread[0] is not netns.ipr


def test_ipr_is_made_anew_after_it_was_closed(netns: NetNS) -> None:
    netns.ipr.close()
    use(netns.ipr)


def test_closing_the_namespace_closes_the_objects(make_netns: Callable[..., NetNS]) -> None:
    before = descriptors()
    ns = make_netns()
    ipr, other = ns.ipr, ns.iproute()
    bind(other)
    ns.close()
    assert descriptors() == before
    for closed in (ipr, other):
        with pytest.raises(OSError, match="Bad file descriptor"):
            names(closed)
    with pytest.raises(NetNSClosedError):
        _ = ns.ipr


def test_a_second_event_loop_is_an_error_at_once(netns: NetNS) -> None:
    async def get(ipr: Any) -> Any:
        return await ipr.link("get", index=1)

    ipr = netns.async_iproute()
    assert asyncio.run(get(ipr))
    with pytest.raises(NetNSOSError, match="this AsyncIPRoute belongs to another event loop"):
        asyncio.run(get(ipr))


def test_a_loop_that_was_closed_first_makes_no_noise(make_netns: Callable[..., NetNS]) -> None:
    async def leave(ns: NetNS) -> None:
        ipr = ns.async_iproute()
        await ipr.bind()
        await ipr.link("get", index=1)

    before = descriptors()
    ns = make_netns()
    asyncio.run(leave(ns))
    ns.close()
    gc.collect()  # an unclosed transport would complain here
    assert descriptors() == before


def test_a_task_that_was_cancelled_in_a_request_leaves_nothing(make_netns: Callable[..., NetNS]) -> None:
    async def main(ns: NetNS) -> None:
        async def listen() -> None:
            ipr = ns.async_iproute()
            await ipr.bind()
            started.set()
            async for _ in ipr.get():
                pass

        started = asyncio.Event()
        task = asyncio.create_task(listen())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = descriptors()
    ns = make_netns()
    asyncio.run(main(ns))
    ns.close()
    gc.collect()
    assert descriptors() == before


@pytest.mark.parametrize("option", ["fileno", "netns", "use_socket", "target"])
def test_options_that_are_ours(netns: NetNS, option: str) -> None:
    with pytest.raises(TypeError, match=f"'{option}' cannot be given: the object belongs to the namespace"):
        netns.iproute(**{option: None})


def test_options_that_are_pyroute2s(netns: NetNS) -> None:
    assert netns.iproute(rcvbuf=65536, ext_ack=True, strict_check=True).status["ext_ack"]


def test_events_reach_an_object_that_is_bound(netns: NetNS) -> None:
    ipr = netns.iproute()
    ipr.bind()
    netns.ipr.link("add", ifname="br0", kind="bridge")
    seen: list[str | None] = []
    while "br0" not in seen:  # next to the news of its addresses and so on
        seen += [message.get("ifname") for message in ipr.get()]


def test_nothing_is_kept_of_a_closed_object(netns_factory: Callable[..., NetNS]) -> None:
    ns = netns_factory()
    bind(ns.ipr)
    kept: list[weakref.ref[object]] = [weakref.ref(ns.ipr.asyncore.threads), weakref.ref(ns.ipr)]
    ns.close()
    del ns
    gc.collect()
    assert [ref() for ref in kept] == [None, None]
