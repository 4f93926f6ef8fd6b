import shutil
import subprocess

import pytest

pytestmark = pytest.mark.netns_requires("mount")

NAMES = ("mgmtd", "zebra", "ospfd", "bgpd")
DAEMONS = {name: shutil.which(name, path="/usr/lib/frr:/usr/libexec/frr") for name in NAMES}
needs_frr = pytest.mark.skipif(DAEMONS["zebra"] is None, reason="there is no FRR; install frr")

RING = """
    r1, r2, r3, r4 [router routes=off]
    r1 -- r2 -- r3 -- r4 -- r1
    client -- r1
    r2 -- server
"""
ROUTERS = ["r1", "r2", "r3", "r4"]
DIRECT, AROUND = ["r1", "r2", "server"], ["r1", "r4", "r3", "r2", "server"]

# The daemons run as root, the only user that every user namespace has, and want root in their group. The folder of a
# router is /etc/frr to them, where their configuration is, and /run/frr, where they meet.
PREPARE = """
mount --bind group /etc/group
mount --bind . /etc/frr
mount -t tmpfs none /var/tmp
mount -t tmpfs none /run
mkdir /run/frr
mount --bind /etc/frr /run/frr
exec "$@"
"""


def start(router, folder, **configs):
    """Start daemons in a router, each of which has a configuration; the folder gets their sockets and logs."""
    folder.mkdir()
    (folder / "group").write_text("root:x:0:\nfrrvty:x:0:root\n")
    manager = [] if DAEMONS["mgmtd"] is None else ["mgmtd"]  # since FRR 9
    for name in [*manager, "zebra", *configs]:
        (folder / f"{name}.conf").write_text(configs.get(name, ""))
        command = [DAEMONS[name], "-u", "root", "-g", "root", "-P", "0", "--log", f"file:{name}.log"]
        router.popen(
            ["unshare", "--mount", "sh", "-ec", PREPARE, "sh", *command],
            cwd=folder,
            stderr=subprocess.PIPE,  # so that an error has what FRR says
            ready=(folder / f"{name}.vty").exists,
        )


OSPF = """
router ospf
 network 10.0.0.0/8 area 0
 timers throttle spf 0 50 500
 timers throttle lsa all 0
 timers lsa min-arrival 0
"""
OSPF_INTERFACE = """
interface {}
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
 ip ospf retransmit-interval 1
"""


@needs_frr
@pytest.mark.netns_topology(RING)
def test_ospf(netns_topology, tmp_path):
    net = netns_topology
    for name in ROUTERS:
        config = OSPF + "".join(map(OSPF_INTERFACE.format, net[name].interfaces))
        start(net[name], tmp_path / name, ospfd=config)
    client, server = net["client"], net["server"]
    client.wait_route(server.ip, DIRECT)
    net.partition({"r1"}, {"r2"})  # silence, which OSPF notices after its dead interval
    client.wait_route(server.ip, AROUND)
    client.reach(server.ip)
    net.heal()
    client.wait_route(server.ip, DIRECT)
    client.reach(server.ip)


def bgp(net, name):
    """Return the configuration of a router that has a number of its own, and those of its neighbours."""
    number = 65000 + ROUTERS.index(name)
    lines = [f"router bgp {number}", "no bgp ebgp-requires-policy", "timers bgp 1 4"]
    for interface in net[name].interfaces.values():
        if interface.peer.host.kind == "router":
            peer = interface.peer.addresses[0].ip
            lines.append(f"neighbor {peer} remote-as external")
            lines.append(f"neighbor {peer} timers connect 1")
            lines.append(f"neighbor {peer} advertisement-interval 0")
    return "\n".join([*lines, "redistribute connected", ""])


@needs_frr
@pytest.mark.netns_topology(RING)
def test_bgp(netns_topology, tmp_path):
    net = netns_topology
    for name in ROUTERS:
        start(net[name], tmp_path / name, bgpd=bgp(net, name))
    client, server, cable = net["client"], net["server"], net["r1"].interfaces["eth0"]
    client.wait_route(server.ip, DIRECT)
    cable.down()  # both ends lose their carrier, which BGP notices at once
    client.wait_route(server.ip, AROUND)
    client.reach(server.ip)
    cable.up()
    client.wait_route(server.ip, DIRECT)
    client.reach(server.ip)
