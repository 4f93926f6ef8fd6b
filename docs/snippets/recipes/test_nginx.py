import http.client
import shutil
import subprocess

import pytest

from pytest_netns import listening

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
CONFIG = """
daemon off;
master_process off;
user root;  # who may be the only user
pid nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 192.0.2.1:80;
        location / { return 200 hello; }
    }
}
"""


@pytest.mark.skipif(NGINX is None, reason="there is no nginx; install the package nginx")
def test_nginx(netns_pair, tmp_path):
    left, right = netns_pair
    (tmp_path / "nginx.conf").write_text(CONFIG)
    left.popen(
        [NGINX, "-p", tmp_path, "-c", "nginx.conf", "-e", "stderr"],
        stderr=subprocess.PIPE,  # so that an error has what nginx says
        ready=listening(80, address="192.0.2.1"),
    )
    connection = http.client.HTTPConnection("192.0.2.1")
    connection.sock = right.create_connection(("192.0.2.1", 80), timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    connection.close()
