"""Tests that fail for a reason of the network; the docstring of each is the first line of what their reports say."""

import socket
import sys

import pytest

LINE = pytest.mark.netns_topology("client -- r1 -- server")
TIMEOUT = 0.4  # seconds in which nothing comes that could


def wait_in_vain(sock):
    sock.settimeout(TIMEOUT)
    sock.recv(100)


def listen(net, address=None, **options):
    return net["server"].create_server((address or net["server"].ip, 80), **options)


def send_from_a_program(ns, address):
    code = f"""if 1:
        import socket
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.settimeout({TIMEOUT})
        sock.sendto(b"hello", ({address!r}, 53))
        sock.recv(100)
    """
    ns.run([sys.executable, "-c", code], check=True)


def connect(net, timeout=TIMEOUT):
    return net["client"].create_connection((net["server"].ip, 80), timeout=timeout)


def connected(net):
    return connect(net, timeout=60)


@LINE
def test_a_server_that_is_silent(netns_topology):
    """client -> server: the server at 'server' has read all 5 bytes that came over *, and has sent nothing *"""
    listening, client = listen(netns_topology), connected(netns_topology)
    server, _ = listening.accept()
    client.sendall(b"hello")
    assert server.recv(100)
    wait_in_vain(client)


@LINE
def test_a_server_that_does_not_read(netns_topology):
    """client -> server: 5 bytes came to tcp 10.0.2.2:80 at 'server', and nobody has read them *"""
    listening, client = listen(netns_topology), connected(netns_topology)
    server, _ = listening.accept()
    client.sendall(b"hello")
    wait_in_vain(client)
    server.close()


@LINE
def test_nobody_accepts(netns_topology):
    """client -> server: nobody at 'server' has accepted the connection to 10.0.2.2:80; it waits in the accept queue \
*"""
    listening = listen(netns_topology)
    wait_in_vain(connected(netns_topology))
    listening.close()


@LINE
def test_neither_end_begins(netns_topology):
    """client -> server: * is connected, and neither end has sent a byte *"""
    listening, client = listen(netns_topology), connected(netns_topology)
    server, _ = listening.accept()
    wait_in_vain(client)
    server.close()


@LINE
def test_no_route_back(netns_topology):
    """client -> r1 -> server: * arrives; the answer from 10.0.2.2 to 10.0.1.1 gets as far as 'server', which has no \
route to 10.0.1.1"""
    netns_topology["server"].run(["ip", "route", "del", "default"], check=True)
    listening = listen(netns_topology)
    connect(netns_topology)
    listening.close()


@LINE
def test_no_route_at_a_router(netns_topology):
    """client -> r1 -> server: what goes to TCP port 80 of 10.0.2.2 gets as far as 'r1', which has no route to \
10.0.2.2"""
    netns_topology["r1"].run(["ip", "route", "del", "10.0.2.0/24"], check=True)
    connect(netns_topology)


@pytest.mark.netns_topology("client -- r1 -- r2 -- server")
def test_routes_in_a_circle(netns_topology):
    """client -> r1 -> r2 -> server: * gets as far as 'r2', routes lead back to 'r1': a loop"""
    net = netns_topology
    net["r2"].ipr.route(
        "add", dst=f"{net['server'].ip}/32", gateway=net["r1"].interfaces["eth1"].addresses[0].ip.exploded
    )
    net["client"].create_connection((net["server"].ip, 80), timeout=TIMEOUT)


@LINE
def test_a_router_that_does_not_forward(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', which does not forward (net.ipv4.ip_forward = 0)"""
    netns_topology["r1"].sysctl["net.ipv4.ip_forward"] = 0
    connect(netns_topology)


@LINE
def test_an_interface_that_is_down(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', which has no route to 10.0.2.2, since its eth1 is down"""
    netns_topology["r1"].interfaces["eth1"].down()
    connect(netns_topology)


@LINE
def test_an_interface_without_carrier(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', whose eth1 has no carrier: eth0 of 'server' is down"""
    netns_topology["server"].interfaces["eth0"].down()
    connect(netns_topology)


@LINE
def test_an_address_that_is_lost(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', where 10.0.2.2 does not answer ARP on eth1 (*): 'server' has \
lost \
that address"""
    netns_topology["server"].ipr.flush_addr(label="eth0")
    connect(netns_topology)


@LINE
def test_an_address_of_nobody(netns_topology):
    """client: what goes to UDP port 53 of 10.0.1.77 gets as far as 'client', where 10.0.1.77 does not answer ARP on \
eth0 (*): no host of the network has 10.0.1.77"""
    with netns_topology["client"].socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", ("10.0.1.77", 53))
        wait_in_vain(sock)


@LINE
def test_a_firewall(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', which drops it by its rule `tcp dport 80 drop` (table inet f, \
chain passing)"""
    netns_topology["r1"].nft("""
        table inet f {
            chain passing {
                type filter hook forward priority 0;
                ct state established accept
                udp dport 80 accept
                tcp dport 80 drop
            }
        }""")
    listening = listen(netns_topology)
    connect(netns_topology)
    listening.close()


@LINE
def test_a_policy(netns_topology):
    """client -> r1 -> server: * gets as far as 'server', which drops it by the policy of table inet f, chain come"""
    netns_topology["server"].nft("""
        table inet f {
            chain come {
                type filter hook input priority 0; policy drop;
                tcp dport 443 accept
            }
        }""")
    connect(netns_topology)


@LINE
def test_a_firewall_on_the_path_back(netns_topology):
    """client -> r1 -> server: * arrives; the answer * gets as far as 'r1', which drops it by its rule `tcp sport 80 \
drop` *"""
    netns_topology["r1"].nft("""
        table inet f {
            chain passing {
                type filter hook forward priority 0;
                tcp sport 80 drop
            }
        }""")
    listening = listen(netns_topology)
    connect(netns_topology)
    listening.close()


@LINE
def test_a_rule_that_counts(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', which drops it by its rule `udp dport 53 drop` (table inet f, \
chain passing, 1 packet so far)"""
    netns_topology["r1"].nft("""
        table inet f {
            chain passing {
                type filter hook forward priority 0;
                udp dport 53 counter drop
            }
        }""")
    with netns_topology["client"].socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", (netns_topology["server"].ip, 53))
        wait_in_vain(sock)


@pytest.mark.netns_topology("""
client -- nat -- server
nat [nat]
""")
def test_a_route_is_not_missing_that_a_nat_makes_needless(netns_topology):
    """client -> nat -> server: nobody at 'server' listens on TCP port 80 of 10.0.2.2"""
    connect(netns_topology)


@pytest.mark.netns_topology("""
client -- nat -- r1 -- server
nat [nat]
""")
def test_no_route_back_to_a_nat(netns_topology):
    """client -> nat -> r1 -> server: * arrives; the answer from 10.0.3.2 to 10.0.2.1 gets as far as 'server', which \
has no route to 10.0.2.1"""
    netns_topology["server"].run(["ip", "route", "del", "default"], check=True)
    listening = listen(netns_topology)
    connect(netns_topology)
    listening.close()


@LINE
def test_rules_that_ask_for_what_is_not_known(netns_topology):
    """the network knows of nothing that stopped a packet"""
    router = netns_topology["r1"]
    router.run(["ip", "rule", "add", "fwmark", "7", "lookup", "99"], check=True)
    router.nft("""
        table inet f {
            set blocked { type inet_service; elements = { 80 }; }
            chain passing {
                type filter hook forward priority 0;
                tcp dport @blocked drop
            }
        }""")
    connect(netns_topology)


@LINE
def test_a_connection_that_is_refused(netns_topology):
    """client -> r1 -> server: nobody at 'server' listens on TCP port 80 of 10.0.2.2; TCP ports there: 10.0.2.2:8080 \
*"""
    listening = netns_topology["server"].create_server((netns_topology["server"].ip, 8080))
    connect(netns_topology)
    listening.close()


@LINE
def test_one_that_listens_on_loopback_only(netns_topology):
    """client -> r1 -> server: nobody at 'server' listens on TCP port 80 of 10.0.2.2; its socket there is bound to \
another address: 127.0.0.1:80 *"""
    listening = listen(netns_topology, "127.0.0.1")
    connect(netns_topology)
    listening.close()


@LINE
def test_one_that_listens_at_another_host(netns_topology):
    """client -> r1 -> server: nobody at 'server' listens on *; at 'r1' somebody does: 0.0.0.0:80 *"""
    listening = netns_topology["r1"].create_server(("0.0.0.0", 80))
    connect(netns_topology)
    listening.close()


@LINE
def test_a_full_accept_queue(netns_topology):
    """client -> r1 -> server: the accept queue of 10.0.2.2:80 [[]this process] at 'server' is full: 2 wait and its \
backlog \
is 1, and * not fit in"""
    listening = listen(netns_topology, backlog=1)
    clients = [connect(netns_topology) for _ in range(5)]
    assert listening, clients


@LINE
def test_udp_that_nobody_answers(netns_topology):
    """client -> r1 -> server: nobody at 'server' has a socket bound to UDP port 53 of 10.0.2.2"""
    with netns_topology["client"].socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", (netns_topology["server"].ip, 53))
        wait_in_vain(sock)


@LINE
def test_udp_to_an_address_that_is_not_bound(netns_topology):
    """client -> r1 -> server: nobody at 'server' has a socket bound to UDP port 53 of 10.0.2.2; its socket there is \
bound \
to another address: 127.0.0.1:53 *"""
    server, sock = (netns_topology[name].socket(type=socket.SOCK_DGRAM) for name in ("server", "client"))
    server.bind(("127.0.0.1", 53))
    sock.connect((netns_topology["server"].ip, 53))
    sock.send(b"hello")
    with pytest.raises(ConnectionRefusedError):  # from the ICMP message
        wait_in_vain(sock)
    sock.recv(100)


@LINE
def test_udp_that_nobody_reads(netns_topology):
    """datagrams of * came to udp 10.0.2.2:53 at 'server', and nobody has read them *"""
    server = netns_topology["server"].socket(type=socket.SOCK_DGRAM)
    server.bind((netns_topology["server"].ip, 53))
    with netns_topology["client"].socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", (netns_topology["server"].ip, 53))
        wait_in_vain(sock)


@LINE
def test_udp_faster_than_it_is_read(netns_topology):
    """'server' lost * datagrams, since the receive buffer of a UDP socket was full: 10.0.2.2:53 [[]this process]"""
    server = netns_topology["server"].socket(type=socket.SOCK_DGRAM)
    server.bind((netns_topology["server"].ip, 53))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    with netns_topology["client"].socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(50):
            sock.sendto(bytes(1000), (netns_topology["server"].ip, 53))
    server.setblocking(False)
    while True:
        try:
            server.recv(2000)
        except BlockingIOError:
            raise TimeoutError("the others") from None


@LINE
def test_a_spoofed_source(netns_topology):
    """'r1' dropped 1 packet: it would answer that source by another interface, or not at all (reverse path \
filter)"""
    client = netns_topology["client"]
    client.reach(netns_topology["server"].ip)
    netns_topology["r1"].sysctl["net.ipv4.conf.all.rp_filter"] = 1
    client.ipr.addr("add", index=1, address="203.0.113.9", prefixlen=32)
    with client.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("203.0.113.9", 0))
        sock.sendto(b"hello", (netns_topology["server"].ip, 53))
        wait_in_vain(sock)


@LINE
def test_a_spoofed_source_of_a_connection(netns_topology):
    """client -> r1 -> server: * gets as far as 'r1', which dropped * packet* from 203.0.113.9 by eth0: it \
would answer *"""
    client = netns_topology["client"]
    client.reach(netns_topology["server"].ip)
    netns_topology["r1"].sysctl["net.ipv4.conf.all.rp_filter"] = 1
    client.ipr.addr("add", index=1, address="203.0.113.9", prefixlen=32)
    sock = client.socket()
    sock.bind(("203.0.113.9", 0))
    sock.settimeout(TIMEOUT)
    sock.connect((netns_topology["server"].ip, 80))


@LINE
def test_an_mtu_black_hole(netns_topology):
    """* packet* did not fit into the MTU of a link of 'r1' (eth1: 1300 bytes) and must not be fragmented; what 'r1' \
says \
of it, its rule `icmp type 3 drop` drops"""
    router = netns_topology["r1"]
    router.ipr.link("set", index=router.interfaces["eth1"].index, mtu=1300)
    router.nft("""
        table ip f {
            chain sent {
                type filter hook output priority 0;
                icmp type destination-unreachable drop
            }
        }""")
    listening, client = listen(netns_topology), connected(netns_topology)
    server, _ = listening.accept()
    client.settimeout(TIMEOUT)  # its buffer may not hold all of it
    client.sendall(bytes(100_000))
    wait_in_vain(server)


@LINE
def test_a_ttl_that_runs_out(netns_topology):
    """the TTL of 1 packet ran out at 'r1'"""
    with netns_topology["client"].socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        sock.sendto(b"hello", (netns_topology["server"].ip, 53))
        wait_in_vain(sock)


@LINE
def test_a_host_that_is_no_router(netns_topology):
    """'server' got 1 packet for other addresses, and does not forward (net.ipv4.ip_forward = 0)"""
    netns_topology["r1"].ipr.route("add", dst="198.51.100.0/24", gateway=netns_topology["server"].ip)
    send_from_a_program(netns_topology["client"], "198.51.100.1")


@LINE
def test_a_program_that_sends_where_a_rule_drops(netns_topology):
    """'r1' dropped 1 packet by its rule `udp dport 53 drop` (table inet f, chain passing)"""
    netns_topology["r1"].nft("""
        table inet f {
            chain passing {
                type filter hook forward priority 0;
                udp dport 53 counter drop
            }
        }""")
    send_from_a_program(netns_topology["client"], netns_topology["server"].ip)


@LINE
def test_a_program_that_sends_to_nobody(netns_topology):
    """1 datagram came to 'server' for a UDP port to which no socket is bound"""
    send_from_a_program(netns_topology["client"], netns_topology["server"].ip)


@LINE
def test_a_program_without_a_route(netns_topology):
    """'r1' had no route for 1 packet that came to be forwarded"""
    send_from_a_program(netns_topology["client"], "198.51.100.1")


@LINE
def test_a_socket_closed_with_data_in_it(netns_topology):
    """'server' closed 1 connection with data in it that nobody had read: a reset"""
    listening, client = listen(netns_topology), connected(netns_topology)
    client.sendall(b"hello")
    server, _ = listening.accept()
    assert server.recv(100, socket.MSG_PEEK)
    server.close()
    wait_in_vain(client)


def test_a_plain_namespace(netns):
    """nobody at 'netns' listens on TCP port 80 of 127.0.0.1"""
    netns.create_connection(("127.0.0.1", 80))


def test_an_assertion_of_reach(netns_pair):
    """right -> left: what goes to 192.0.2.1 gets as far as 'right', whose eth0 has no carrier: eth0 of 'left' is \
down"""
    netns_pair.left.interfaces["eth0"].down()
    netns_pair.right.reach("192.0.2.1", timeout=TIMEOUT)


def test_a_program_of_the_test(netns_pair):
    """'left', where 192.0.2.9 does not answer ARP on eth0 (*): no host of the network has 192.0.2.9"""
    code = f"import socket; socket.create_connection(('192.0.2.9', 80), timeout={TIMEOUT})"
    netns_pair.left.run([sys.executable, "-c", code], check=True)


def test_ipv6(netns_pair):
    """left -> right: nobody at 'right' listens on TCP port 80 of 2001:db8::2; its socket there is \
bound to another address: 192.0.2.2:80 *"""
    listening = netns_pair.right.create_server((netns_pair.right.ip, 80))
    netns_pair.left.create_connection((netns_pair.right.ip6, 80))
    listening.close()
