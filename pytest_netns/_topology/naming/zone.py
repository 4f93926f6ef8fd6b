"""What a DNS server for tests knows, and how it answers; by dnspython, which is optional."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from ..._errors import is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LONGEST_TTL = 2**31 - 1  # seconds: RFC 2181, 8
MOST_ALIASES = 8


class Known:
    """What is known of a name: its records by their type, or an error, or silence."""

    def __init__(self) -> None:
        self.records: dict[int, dns.rrset.RRset | None] = {}
        self.code = dns.rcode.NOERROR
        self.is_silent = False


class Zone:
    """The names that a server knows something of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[dns.name.Name, Known] = {}

    def answer(self, name: str, type: str, data: Sequence[str], ttl: int) -> None:
        """Answer questions for a name and a type."""
        owner = _name(name)
        if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= LONGEST_TTL:
            raise ValueError(f"ttl is a number of seconds from 0 to {LONGEST_TTL}, not {ttl!r}")
        try:
            kind = dns.rdatatype.from_text(type)
        except (dns.exception.DNSException, ValueError, AttributeError):
            raise ValueError(f"{type!r} is no type of a DNS record; one is A, AAAA, CNAME, MX, TXT or SRV") from None
        try:
            records = dns.rrset.from_text(owner, ttl, "IN", kind, *data) if data else None
        except (dns.exception.DNSException, ValueError, AttributeError) as error:
            text = f"{data!r} are no records of type {type}, as a zone file has them: {error}"
            raise ValueError(text) from None
        with self._lock:
            known = self._known.get(owner)
            if known is None or known.is_silent or known.code != dns.rcode.NOERROR:
                known = self._known[owner] = Known()
            known.records[kind] = records

    def error(self, name: str, code: str) -> None:
        """Answer questions for a name with an error."""
        owner, known = _name(name), Known()
        try:
            known.code = dns.rcode.from_text(code)
        except (dns.exception.DNSException, ValueError, AttributeError):
            raise ValueError(f"{code!r} is no error of DNS; one is SERVFAIL, REFUSED, NXDOMAIN or FORMERR") from None
        with self._lock:
            self._known[owner] = known

    def silent(self, name: str) -> None:
        """Do not answer questions for a name."""
        owner, known = _name(name), Known()
        known.is_silent = True
        with self._lock:
            self._known[owner] = known

    def question(self, message: bytes) -> tuple[str, str] | None:
        """Return the name and the type that a message asks for."""
        query = _query(message)
        if query is None or not query.question:
            return None
        asked = query.question[0]
        return asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)

    def respond(self, message: bytes, size: int | None) -> bytes | None:
        """Return the answer to a message, or ``None`` for silence.

        :param size: the bytes that it may have, unless who asks can take more; ``None`` for no limit.
        """
        query = _query(message)
        if query is None:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if not self._fill(query, response):
            return None
        most = 65535 if size is None else max(size, query.payload if query.edns >= 0 else 0)
        try:
            return response.to_wire(max_size=most, want_shuffle=False)  # the same on every run
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC  # who asks tries TCP then: RFC 1035, 4.2.1
            return response.to_wire(max_size=most)

    def _fill(self, query: dns.message.Message, response: dns.message.Message) -> bool:
        """Put what is known into a response; return whether it is to be sent."""
        if len(query.question) != 1 or query.opcode() != 0:
            response.set_rcode(dns.rcode.NOTIMP)
            return True
        name, kind = query.question[0].name, query.question[0].rdtype
        with self._lock:
            for _ in range(MOST_ALIASES):
                known = self._known.get(name)
                if known is None:
                    # Who follows an alias to where this server knows nothing is to ask on by himself.
                    if not response.answer:
                        response.set_rcode(dns.rcode.NXDOMAIN)
                    return True
                if known.is_silent:
                    return False
                response.set_rcode(known.code)
                types = known.records if kind == dns.rdatatype.ANY else (kind,)
                found = [records for one in types if (records := known.records.get(one)) is not None]
                response.answer += found
                alias = known.records.get(dns.rdatatype.CNAME)
                if found or alias is None:
                    return True
                response.answer.append(alias)
                name = alias[0].target
        return True


def _name(text: str) -> dns.name.Name:
    try:
        if not isinstance(text, str):
            raise ValueError("it is no str")
        return dns.name.from_text(text)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{text!r} is no name of DNS, such as 'www.example': {error}") from None


def _query(message: bytes) -> dns.message.Message | None:
    """Return a message that is a question, or ``None``: what is none gets no answer."""
    try:
        query = dns.message.from_wire(message)
    except (dns.exception.DNSException, ValueError):
        return None
    return None if query.flags & dns.flags.QR else query
