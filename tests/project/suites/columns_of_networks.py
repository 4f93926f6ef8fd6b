import socket
import sys

import pytest

LINE = "client -- router -- server"
STAR = "sw [switch]\nsw -- {a b c}"
HOUSEHOLD = "gateway [nat]\nphone -- gateway -- server"


def python(host, program, *args):
    host.run([sys.executable, "-c", program, *args], check=True)


@pytest.mark.parametrize("text", [LINE, STAR, "r1 -- r2 -- r3 -- r1\nr1 -- a\nr2 -- b"])
def test_0(netns_topology, text):
    """hosts, routers and switches; `reset`, `partition`, `replug`, `crash`"""
    net = netns_topology
    net.add(text)
    names = list(net)
    one, other = (net[name] for name in (names[-2], names[-1]))
    for address, family in ((other.ip, socket.AF_INET), (other.ip6, socket.AF_INET6)):
        other.create_server((address, 80), family=family)
        one.create_connection((address, 80), timeout=20)
    net.partition({one.label}, {other.label})
    net.heal()
    net.reset()
    if text == LINE:
        net["client"].replug("eth0", "server")
    other.crash()


@pytest.mark.netns_topology(HOUSEHOLD)
def test_1(netns_topology):
    """NATs, `nft`, and the connections that the kernel tracks"""
    phone, gateway, server = (netns_topology[name] for name in ("phone", "gateway", "server"))
    listening = server.create_server((server.ip, 80))
    phone.create_connection((server.ip, 80), timeout=20)
    connection, address = listening.accept()
    connection.close()
    assert address[0] == str(gateway.outside.addresses[0].ip)
    gateway.rebind(address=True)
    gateway.forget()
    server.nft("table ip t { chain c { type filter hook input priority 0; tcp dport 80 drop; }; }")
    netns_topology.reset()


@pytest.mark.netns_topology(LINE)
def test_2(netns_topology):
    """the names of hosts, for commands"""
    python(netns_topology["client"], "import socket, sys; socket.getaddrinfo(sys.argv[1], 80)", "server")


@pytest.mark.netns_topology(LINE)
def test_3(netns_topology):
    """sysctls of a network namespace, such as `net.ipv4.tcp_congestion_control` or `net.core.somaxconn`"""
    client = netns_topology["client"]
    for key in ("net.ipv4.conf.eth0.rp_filter", "net.ipv6.conf.eth0.hop_limit", "net.ipv4.tcp_rmem"):
        client.sysctl[key] = client.sysctl[key]
    client.sysctl["net.ipv4.tcp_congestion_control"] = "reno"
    client.sysctl["net.core.somaxconn"] = 7


@pytest.mark.netns_topology(HOUSEHOLD)
def test_4(netns_topology):
    """`net.netfilter.nf_conntrack_max` of a NAT"""
    netns_topology["gateway"].sysctl["net.netfilter.nf_conntrack_max"] = 7


@pytest.mark.netns_topology(LINE)
def test_5(netns_topology):
    """commands with ports below 1024, packet sockets (tcpdump), raw sockets (ping)"""
    program = (
        "import socket; socket.create_server(('', 53)); socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300); "
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)"
    )
    python(netns_topology["client"], program)


@pytest.mark.netns_topology(LINE)
def test_6(netns_topology):
    """commands that change links, addresses, routes, neighbours, qdiscs"""
    client = netns_topology["client"]
    for command in (
        "ip link add br7 type bridge",
        "ip addr add 192.0.2.1/24 dev eth0",
        "ip route add 198.51.100.0/24 dev eth0",
        "ip neigh add 198.51.100.1 lladdr 02:00:00:00:01:00 dev eth0",
        "tc qdisc add dev eth0 root tbf rate 1mbit burst 10k latency 10ms",
    ):
        client.run(command.split(), check=True)


@pytest.mark.netns_topology(LINE)
def test_7(netns_topology):
    """commands that mount (tmpfs, bind mounts), in a mount namespace of their own"""
    script = "mount -t tmpfs none /mnt && mount --bind /mnt /opt"
    netns_topology["client"].run(["unshare", "--mount", "sh", "-c", script], check=True)


@pytest.mark.netns_topology(LINE)
def test_8(netns_topology):
    """programs that drop privileges (sshd, dnsmasq, FRR), without lent users"""
    python(netns_topology["client"], "import os; os.setgroups([1]); os.setgid(1); os.setuid(1)")


@pytest.mark.netns_topology(LINE)
def test_9(netns_topology):
    """programs that change to another root directory (sshd)"""
    python(netns_topology["client"], "import os; os.chroot('/usr')")


@pytest.mark.netns_topology(LINE)
def test_10(netns_topology):
    """code of the test inside a host: `enter()`, `thread()`"""
    server = netns_topology["server"]
    server.create_server((server.ip, 80))
    with netns_topology["client"].enter():
        socket.create_connection(("server", 80), timeout=20).close()
