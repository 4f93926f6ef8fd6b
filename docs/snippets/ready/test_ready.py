import subprocess
import sys
import threading

from pytest_netns import inherited, listening, notified, output

HTTP = [sys.executable, "-m", "http.server", "80"]


def test_a_port(netns):
    server = netns.popen(HTTP, stderr=subprocess.DEVNULL, ready=listening(80))
    assert netns.create_connection(("127.0.0.1", 80))
    assert server.poll() is None


def test_a_line_of_output(netns):
    server = netns.popen(
        [sys.executable, "-u", *HTTP[1:]],
        stdout=subprocess.PIPE,
        text=True,
        ready=output("Serving HTTP on .* port 80"),
    )
    assert server.stdout.readline().startswith("Serving HTTP")  # it is still there to be read


SERVICE = """
import os, socket, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    sock.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
    sock.send(b"READY=1")
time.sleep(1000)
"""


def test_a_service_of_systemd(netns):
    netns.popen([sys.executable, "-c", SERVICE], ready=notified())


def test_a_descriptor(netns):
    script = "bash -c 'echo ready >&$READY_FD; exec sleep 1000'"
    netns.popen(script, shell=True, ready=inherited())


def test_anything_else(netns, tmp_path):
    script = ["sh", "-c", 'touch "$0/done"; exec sleep 1000', tmp_path]
    netns.popen(script, ready=(tmp_path / "done").exists, ready_timeout=5)


def test_a_server_of_the_test(netns):
    server = netns.socket()
    server.bind(("127.0.0.1", 80))
    thread = threading.Thread(target=server.listen)
    thread.start()
    netns.wait_listening(80, timeout=5)
    thread.join()
