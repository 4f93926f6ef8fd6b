"""The loopback interface of isolated tests, for which it is the whole network."""

from __future__ import annotations

import socket
import textwrap

import pytest

from pytest_netns import NetNS
from tests.support.ordinary_user import Start, place, start

__all__ = ["place", "start"]  # fixtures

SUITE = """
    import asyncio, socket, struct
    import pytest

    IPV4, IPV6 = socket.AF_INET, socket.AF_INET6
    pytestmark = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")

    @pytest.mark.parametrize(("host", "family"), [
        ("127.0.0.1", IPV4), ("127.0.0.1", 0), ("localhost", IPV4), ("::1", IPV6), ("::1", 0), ("localhost", 0)
    ])
    def test_names_where_addresses_must_be_configured(host, family):
        found = socket.getaddrinfo(host, 80, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        assert {address[0] for *_, address in found} <= {"127.0.0.1", "::1"}

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_a_client_and_a_server_of_asyncio(host):
        async def main():
            server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 80)
            reader, writer = await asyncio.open_connection(host, 80)
            assert await reader.read() == b""
            writer.close()
            server.close()

        asyncio.run(main())

    def exchange(group, receive):
        family = IPV6 if ":" in group else IPV4
        with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
            receiver.settimeout(20)
            receiver.bind(("", 5353))
            receive(receiver)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.sendto(b"here", (group, 5353))
            data, (source, *_) = receiver.recvfrom(100)
        assert data == b"here"
        return source

    def test_multicast():
        group = socket.inet_aton("239.0.0.1") + socket.inet_aton("0.0.0.0")
        def join(sock):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        assert exchange("239.0.0.1", join) == "127.0.0.1"

    @pytest.mark.parametrize("address", ["ff02::1234", "ff15::1234"])
    def test_multicast_of_ipv6(address):
        group = socket.inet_pton(IPV6, address) + struct.pack("I", 0)
        def join(sock):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        assert exchange(address, join).startswith("fe80::1")

    @pytest.mark.parametrize("address", ["255.255.255.255", "127.255.255.255"])
    def test_broadcast(address):
        assert exchange(address, lambda sock: None) == "127.0.0.1"

    @pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
    def test_there_is_no_way_out(address):
        with pytest.raises(OSError, match="Network is unreachable"):
            socket.create_connection((address, 80))
"""
TESTS = 15


@pytest.mark.parametrize("isolate", ["test", "module", "worker"])
def test_isolated(pytester: pytest.Pytester, isolate: str) -> None:
    pytester.makepyfile(textwrap.dedent(SUITE))
    result = pytester.runpytest_subprocess("-p", "no:randomly", f"--netns-isolate={isolate}")
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


def test_multicast_of_ipv6_goes_by_another_link_that_there_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import socket, struct
        import pytest

        @pytest.mark.netns_isolate
        def test_it(netns):
            netns.run(["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"], check=True)
            for name in ("veth0", "veth1"):
                netns.run(["ip", "link", "set", name, "up"], check=True)
            route = netns.run(["ip", "-6", "route", "get", "ff02::1234"], capture_output=True, text=True).stdout
            assert " dev veth" in route
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
