import http.client
import subprocess
import sys


def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", timeout=5)
    connection.request("GET", path)
    try:
        return connection.getresponse().read()
    finally:
        connection.close()


def test_program(netns, tmp_path):
    (tmp_path / "hello.txt").write_text("hello")
    server = netns.popen(
        [sys.executable, "-u", "-m", "http.server", "80"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "Serving HTTP" in server.stdout.readline()  # it is ready
    assert netns.call(get, "/hello.txt") == b"hello"
