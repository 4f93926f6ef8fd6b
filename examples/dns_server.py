"""A DNS server for one zone, made with dnspython: an ordinary program that knows nothing of namespaces or tests.

Usage: python dns_server.py ZONEFILE
"""

from __future__ import annotations

import selectors
import socket
import sys
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import dns.zone

PORT = 53


def respond(query: dns.message.Message, zone: dns.zone.Zone) -> dns.message.Message:
    """Return the answer to a query of one question."""
    (question,) = query.question
    response = dns.message.make_response(query)
    if question.name not in zone.nodes:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif rrset := zone.get_rrset(question.name, question.rdtype):
        response.answer.append(rrset)
    return response


def serve(zone: dns.zone.Zone) -> None:
    """Answer queries that come by UDP, over IPv4 and IPv6, and say of each what it was."""
    with selectors.DefaultSelector() as selector:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, PORT))
            selector.register(sock, selectors.EVENT_READ)
        print(f"ready on port {PORT}", flush=True)
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                packet, client = key.fileobj.recvfrom(512)
                query = dns.message.from_wire(packet)
                (question,) = query.question
                kind = dns.rdatatype.to_text(question.rdtype)
                print(f"query for {kind} of {question.name} from {client[0]}", flush=True)
                key.fileobj.sendto(respond(query, zone).to_wire(), client)


if __name__ == "__main__":
    serve(dns.zone.from_text(Path(sys.argv[1]).read_text(), origin="example.", relativize=False))
