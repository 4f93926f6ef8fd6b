import subprocess
import sys


def test_run(netns_pair):
    _, right = netns_pair
    shown = right.run(
        ["ip", "-brief", "-4", "address", "show", "eth0"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "192.0.2.2/24" in shown.stdout


SERVER = """
import socket
with socket.create_server(("192.0.2.1", 80)) as server:
    print("ready", flush=True)
    connection, address = server.accept()
    with connection:
        connection.sendall(b"hello")
        print("served", address[0], flush=True)
"""


def test_popen(netns_pair):
    left, right = netns_pair
    server = left.popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    client = right.create_connection(("192.0.2.1", 80), timeout=5)
    assert client.recv(100) == b"hello"
    assert server.stdout.readline() == "served 192.0.2.2\n"
    assert server.wait(timeout=5) == 0


def test_output_to_a_file(netns, tmp_path):
    with open(tmp_path / "log", "w+") as log:
        program = netns.popen(["ip", "-oneline", "link"], stdout=log, stderr=subprocess.STDOUT)
        assert program.wait(timeout=5) == 0
        log.seek(0)
        assert ": lo:" in log.read()
