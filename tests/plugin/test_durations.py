"""--netns-durations."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow

ROW = re.compile(r"^ +(\d+\.\d{3}) s  (.*?)  +(\S+)  +(\S+)$", re.MULTILINE)
SUITE = """
    import subprocess, time
    import pytest
    from pytest_netns import listening, output

    SERVER = "import socket; s = socket.create_server(('127.0.0.1', 80)); s.accept()"
    DEAF = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"

    def test_many(make_netns):
        for number in range(3):
            make_netns("same")

    def test_network(netns_topology):
        netns_topology.line("client", "router", "server")
        netns_topology.wait_ready()

    def test_server(netns, monkeypatch):
        netns.popen(["python3", "-c", SERVER], ready=listening(80, address="127.0.0.1"))
        monkeypatch.setattr(time, "monotonic", lambda: 0.0)

    @pytest.mark.netns_child_mode("fork")
    def test_fork(netns):
        netns.socket()

    def test_grace(netns):
        netns.popen(["sh", "-c", DEAF], stdout=subprocess.PIPE, ready=output("deaf"))
        time.sleep(0.5)
"""


@pytest.mark.parametrize("options", [(), ("-n2",)])
def test_what_takes_time(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    if options:
        pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--netns-durations=0", *options)
    result.assert_outcomes(passed=5)
    rows = [(float(seconds), *rest) for seconds, *rest in ROW.findall(result.stdout.str())]
    assert rows == sorted(rows, key=lambda row: -row[0])
    assert "same" in {where for _, what, where, test in rows if test.endswith("::test_many") and "making" in what}
    found = {what: (seconds, where, test.rpartition("::")[2]) for seconds, what, where, test in rows}
    assert found["making the links of a network of 3 nodes"][1:] == ("client", "test_network")
    assert found["waiting until a network of 3 nodes is ready"][1:] == ("client", "test_network")
    (program,) = (what for what in found if what.startswith("until `python3 -c "))
    assert found[program][1:] == ("netns", "test_server")
    assert "starting a child of the mode fork" in found
    grace = [seconds for seconds, what, _, test in rows if what == "ending programs" and test.endswith("::test_grace")]
    assert grace[0] >= 2  # seconds between SIGTERM and SIGKILL
    assert any(what.startswith("starting the resident child") for what in found)
    result.stdout.re_match_lines([rf".* slowest {len(rows)} of {len(rows)} durations of namespaces .*"])


def test_a_few(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test(netns_pair): pass")
    result = pytester.runpytest_subprocess("--netns-durations=2")
    result.stdout.re_match_lines([r".* slowest 2 of [3-9] durations of namespaces .*", "all of them together: "])
    assert len(ROW.findall(result.stdout.str())) == 2


def test_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from pytest_netns._handle import NOTHING
        def test(netns):
            assert netns._handle.measured("anything") is NOTHING
    """)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert "durations" not in result.stdout.str().partition("collected")[2]


def test_below_zero(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--netns-durations=-1")
    result.stderr.fnmatch_lines(["*--netns-durations: -1 is below 0; 0 shows all"])
