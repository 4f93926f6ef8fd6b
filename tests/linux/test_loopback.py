"""The loopback interface of isolated tests, for which it is the whole network."""

from __future__ import annotations

import socket
import textwrap

import pytest

from pytest_netns import NetNS
from tests.support.ordinary_user import Start, place, start
from tests.support.suites import read_suite

__all__ = ["place", "start"]  # fixtures

SUITE = read_suite(__file__, "loopback")
TESTS = 15


@pytest.mark.parametrize("isolate", ["test", "module", "worker"])
def test_isolated(pytester: pytest.Pytester, isolate: str) -> None:
    pytester.makepyfile(textwrap.dedent(SUITE))
    result = pytester.runpytest_subprocess(f"--netns-isolate={isolate}")
    result.assert_outcomes(passed=TESTS)


@pytest.mark.parametrize("options", [("--netns-isolate=test",), ("--netns-userns=process",)])
def test_in_a_user_namespace(start: Start, options: tuple[str, ...]) -> None:
    out, _ = start(SUITE, *options).communicate()
    assert f" {TESTS} passed in" in out.splitlines()[-1], out


def test_what_is_no_python_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import socket, pytest
        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".txt":
                return File.from_parent(parent, path=file_path)
        class File(pytest.File):
            def collect(self):
                yield Item.from_parent(self, name="it")
        class Item(pytest.Item):
            def runtest(self):
                socket.getaddrinfo("127.0.0.1", 80, flags=socket.AI_ADDRCONFIG)
    """)
    pytester.makefile(".txt", case="")
    pytester.runpytest_subprocess("--netns-isolate=test").assert_outcomes(passed=1)


def test_without_ipv6(pytester: pytest.Pytester) -> None:
    """As of a kernel that was started with ipv6.disable_ipv6=1: the rest is there all the same."""
    pytester.makepyfile("""
        from pytest_netns._linux import syscalls, loopback

        def test_it(netns):
            with netns.enter():
                with open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w") as file:
                    file.write("1")
                loopback.complete()
            addresses = netns.run(["ip", "-br", "addr"], capture_output=True, text=True, check=True).stdout
            assert addresses.split() == ["lo", "UNKNOWN", "127.0.0.1/8", "127.0.0.2/32"]
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_plain_namespace_is_as_the_kernel_makes_it(netns: NetNS) -> None:
    assert [(message.get_attr("IFA_ADDRESS"), message["prefixlen"]) for message in netns.ipr.get_addr()] == [
        ("127.0.0.1", 8),
        ("::1", 128),
    ]
    group = socket.inet_aton("239.0.0.1") + socket.inet_aton("0.0.0.0")
    with pytest.raises(OSError, match="No such device"):
        netns.socket(type=socket.SOCK_DGRAM).setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)


@pytest.mark.slow
def test_multicast_of_ipv6_goes_by_another_link_that_there_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import time
        import pytest

        @pytest.mark.netns_isolate
        def test_it(netns):
            netns.run(["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"], check=True)
            for name in ("veth0", "veth1"):
                netns.run(["ip", "link", "set", name, "up"], check=True)
            get = ["ip", "-6", "route", "get", "ff02::1234"]
            deadline = time.monotonic() + 20  # the kernel takes note of the carrier later
            while " dev veth" not in (route := netns.run(get, capture_output=True, text=True).stdout):
                assert time.monotonic() < deadline, route
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
