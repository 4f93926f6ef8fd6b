import socket


def test_one_datagram(netns_pair):
    left, right = netns_pair
    receiver = right.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("192.0.2.2", 5000))
    sender = left.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with right.capture("eth0") as capture:
        sender.sendto(b"hello", ("192.0.2.2", 5000))
        assert receiver.recv(100) == b"hello"
    (frame,) = [frame for frame in capture.frames if frame.data.endswith(b"hello")]
    assert not frame.is_outgoing
    assert frame.length == 14 + 20 + 8 + 5  # Ethernet, IP, UDP, and what was sent


def test_file(netns_pair, tmp_path):
    with netns_pair.left.capture() as capture:
        netns_pair.left.reach("192.0.2.2")
    capture.write(tmp_path / "echo.pcapng")
