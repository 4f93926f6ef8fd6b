"""TLS handshakes that break off; the docstring of each test is the first line of what its report says."""

import contextlib
import ssl
import subprocess
import threading

import pytest

LINE = pytest.mark.netns_topology("client -- r1 -- server")


@pytest.fixture
def certificate(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=server"]
    command += ["-addext", "subjectAltName=DNS:server"]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


def handshake(net, certificate, client_context, **versions):
    """Let a client and a server shake hands, as far as they get."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(certificate[1], certificate[0])
    for name, value in versions.items():
        setattr(accepting, name, value)
    listening = net["server"].create_server((net["server"].ip, 443))

    def serve():
        connection, _ = listening.accept()
        with connection:
            with contextlib.suppress(OSError):  # it is the client's error that the test fails by
                accepting.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with net["client"].create_connection((net["server"].ip, 443), timeout=30) as plain:
            client_context.wrap_socket(plain, server_hostname="server").close()
    finally:
        thread.join()


@LINE
def test_a_certificate_that_is_not_trusted(netns_topology, certificate):
    """client -> server: 'client' broke the TLS handshake off by the alert: unknown CA"""
    handshake(netns_topology, certificate, ssl.create_default_context())


@LINE
def test_no_common_version(netns_topology, certificate):
    """client -> server: 'server' broke the TLS handshake off by the alert: protocol version"""
    context = ssl.create_default_context(cafile=certificate[1])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    handshake(netns_topology, certificate, context, maximum_version=ssl.TLSVersion.TLSv1_2)


@LINE
def test_an_older_version_and_an_alert_in_clear(netns_topology, certificate):
    """client -> server: 'client' broke the TLS handshake off by the alert: unknown CA"""
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    handshake(netns_topology, certificate, context)


@LINE
def test_no_server_of_tls(netns_topology):
    """client -> server: 'server' broke the TLS handshake off by FIN, after the ClientHello"""
    listening = netns_topology["server"].create_server((netns_topology["server"].ip, 443))

    def serve():
        connection, _ = listening.accept()
        with connection:
            connection.recv(10000)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with netns_topology["client"].create_connection((netns_topology["server"].ip, 443), timeout=30) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="server").close()
    finally:
        thread.join()


@LINE
def test_a_handshake_that_succeeds_is_no_cause(netns_topology, certificate):
    handshake(netns_topology, certificate, ssl.create_default_context(cafile=certificate[1]))
    raise ConnectionError("of another kind")
