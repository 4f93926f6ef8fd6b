import os
import ssl
import subprocess
import threading

import pytest


@pytest.fixture
def certificate(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *(
                "-keyout",
                key,
                "-out",
                cert,
                "-days",
                "1",
                "-subj",
                "/CN=server",
                "-addext",
                "subjectAltName=DNS:server",
            ),
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


def test_tls(netns_topology, certificate):
    net = netns_topology
    net.link("client", "server")
    key, cert = certificate
    accepting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    accepting.load_cert_chain(cert, key)
    server = net["server"].create_server(("0.0.0.0", 443))

    def serve():
        connection, _ = server.accept()
        with accepting.wrap_socket(connection, server_side=True) as tls:
            assert tls.recv(1000).startswith(b"GET")
            tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 18\r\n\r\nthe secret of ours")

    thread = threading.Thread(target=serve)
    thread.start()
    with net["client"].create_connection(("server", 443)) as plain:
        context = ssl.create_default_context(cafile=cert)
        with context.wrap_socket(plain, server_hostname="server") as tls:
            tls.sendall(b"GET /secret HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := tls.recv(1000):
                answer += chunk
    thread.join()
    assert answer.endswith(b"the secret of ours")
    assert os.environ.get("ALL_IS_WELL"), "it fails on purpose"
