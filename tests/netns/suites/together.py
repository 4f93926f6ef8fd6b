import subprocess
import sys
from pathlib import Path

from pytest_netns._netns import inhabitants

inhabitants.TERM_TIMEOUT = 60
PROGRAM = Path(__file__).with_name("solidary.txt").read_text()
started = []


def start(ns, folder, number):
    folder.mkdir(exist_ok=True)
    process = ns.popen([sys.executable, "-c", PROGRAM, str(folder), "3", str(number)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    started.append(process)


def test_make_netns(make_netns, tmp_path):
    for number in range(3):
        start(make_netns(), tmp_path, number)


def test_they_ended_together():
    assert [process.returncode for process in started] == [7, 7, 7]
    started.clear()


def test_a_network(netns_topology, tmp_path):
    netns_topology.line("h0", "h1", "h2")
    for number in range(3):
        start(netns_topology[f"h{number}"], tmp_path, number)


def test_its_hosts_ended_together():
    assert [process.returncode for process in started] == [7, 7, 7]
