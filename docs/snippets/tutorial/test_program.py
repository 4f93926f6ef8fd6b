import http.client
import subprocess
import sys


def test_program(netns, tmp_path):
    (tmp_path / "hello.txt").write_text("hello")
    server = netns.popen(
        [sys.executable, "-u", "-m", "http.server", "80"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "Serving HTTP" in server.stdout.readline()  # it is ready
    client = http.client.HTTPConnection("127.0.0.1", 80)
    client.sock = netns.create_connection(("127.0.0.1", 80), timeout=5)
    client.request("GET", "/hello.txt")
    assert client.getresponse().read() == b"hello"
