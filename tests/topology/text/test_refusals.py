"""The text form of networks: what is refused, where, and what the error says is valid."""

from __future__ import annotations

import pytest

from pytest_netns import TopologyError
from pytest_netns._topology.text.reading import parse
from pytest_netns._topology.text.words import FAULTS, QUANTITIES
from tests.topology.test_errors import carets_of

REFUSED = [
    # text, what is underlined, the message, a part of the hint
    ("a -- b [frobnicate]", "frobnicate", "'frobnicate' is no setting of a link", "a link takes networks such as"),
    ("a -- b [acces=10]", "acces=10", "'acces=10' is no setting of a link", "did you mean 'access'?"),
    ("sw [swtich]", "swtich", "'swtich' is no setting of a node", "did you mean 'switch'?"),
    ("r [Router]", "Router", "'Router' is no setting of a node", "did you mean 'router'?"),
    ("sw [switch, mtu=1400]", "switch,", "'switch,' is no setting of a node", "did you mean 'switch'?"),
    ("a -- b [mtu = 1400]", "mtu", "'mtu' is half a setting", "key=value, without blanks around '='"),
    ("a -- b [mtu=]", "mtu=", "'mtu=' is half a setting", "key=value"),
    ("a -- b [=3]", "=3", "'=3' is half a setting", "key=value"),
    ("a -- b [10mss]", "10mss", "'mss' in '10mss' is no unit", "did you mean 'ms'?"),
    ("a -- b [1500]", "1500", "'1500' is a number without a unit or a key", "mtu="),
    ("a -- b [delay=10kg]", "delay=10kg", "'10kg' is no delay", "a number, in us, ms, s, min, such as delay=10us"),
    ("a -- b [burst=1s]", "burst=1s", "'1s' is no burst", "it is a number, such as burst=10"),
    ("a -- b [mtu=big]", "mtu=big", "'big' is no number", "mtu= takes a whole number"),
    ("a -- b [mtu=67]", "mtu=67", "an MTU of 67 bytes cannot be", "from 68 to 65535 bytes"),
    ("a -- b [mtu=99999999999]", "mtu=99999999999", "'99999999999' is too large", "smaller"),
    ("a [ipv6=no]", "ipv6=no", "'no' is neither on nor off", "write ipv6=on or ipv6=off"),
    ("a -- b [router]", "router", "'router' is a kind of a node, and", "such as: r1 [router]"),
    ("a -- b [ipv6=off]", "ipv6=off", "ipv6= is a setting of a node", "such as: web [mtu=1400]"),
    ("a -- b [net.ipv4.x=1]", "net.ipv4.x=1", "net.ipv4.x is a setting of a node", "a line of their own"),
    ("a [access=10]", "access=10", "access= is a setting of a link", "a -- b [access=10]"),
    ("a [10ms]", "10ms", "'10ms' is the delay of a link, and not of a node", "a node takes host"),
    ("a [delay=1s]", "delay=1s", "'1s' is the delay of a link, and not of a node", "a node takes host"),
    # sysctls
    ("a [ipv4.tcp_x=1]", "ipv4.tcp_x=1", "'ipv4.tcp_x' is no sysctl of a network namespace", "begin with 'net.'"),
    ('a [net.x="1]', '"', "a quotation mark has no partner", "ends in the same line"),
    ('a [net.x=a"b"]', 'net.x=a"b"', "'a\"b\"' has a quotation mark or a backslash inside", "quote it"),
    # NATs
    ("n [nat kind=symetric]", "kind=symetric", "'symetric' is no kind of a NAT", "did you mean 'symmetric'?"),
    ("n [kind=none]", "kind=none", "kind= is a setting of a NAT, which n is not", "write n [nat ...]"),
    ("n [router outside=eth0]", "outside=eth0", "outside= is a setting of a NAT, which n is not", "n [nat ...]"),
    ("n [nat outside=a/b]", "outside=a/b", "'a/b' cannot be the name of an interface", "at most 15"),
    # addresses
    ("a -- b [192.0.2.5/24]", "192.0.2.5/24", "'192.0.2.5/24' has host bits set", "the network 192.0.2.0/24?"),
    ("a -- b [2001:db8::5/64]", "2001:db8::5/64", "'2001:db8::5/64' has host bits set", "2001:db8::/64?"),
    ("a -- b [192.0.2.5]", "192.0.2.5", "'192.0.2.5' is an address, and a link takes a network", "192.0.2.0/24"),
    ("a -- b [2001:db8::5]", "2001:db8::5", "'2001:db8::5' is an address, and a link takes", "2001:db8::/64"),
    ("a [192.0.2.5/24]", "192.0.2.5/24", "'192.0.2.5/24' has a prefix", "its link has the network: [192.0.2.0/24]"),
    ("a -- b [192.0.2.0/33]", "192.0.2.0/33", "'192.0.2.0/33' is no address and no network", "a link takes networks"),
    ("a [192.0.2.256]", "192.0.2.256", "'192.0.2.256' is no address and no network", "a node takes"),
    ("a [127.0.0.1]", "127.0.0.1", "127.0.0.1 cannot be the address of a node: it is a loopback", "192.0.2.0/24"),
    ("a [::]", "::", ":: cannot be the address of a node: it is the unspecified address", "2001:db8::/32"),
    ("a [fe80::1%eth0]", "fe80::1%eth0", "'fe80::1%eth0' has a zone", "leave out '%'"),
    ("a -- b [fe80::%eth0/64]", "fe80::%eth0/64", "'fe80::%eth0/64' has a zone", "leave out '%'"),
    ("a -- b [224.0.0.0/4]", "224.0.0.0/4", "224.0.0.0/4 cannot be the network of a link", "10.0.0.0/8"),
    # contradictions
    ("a [router]\na [host]", "host", "'host' contradicts 'router' in line 1", "a node is of one kind"),
    ("a [router host]", "host", "'host' contradicts 'router'", "a node is of one kind"),
    ("a [mtu=1400 mtu=1500]", "mtu=1500", "'mtu=1500' contradicts 'mtu=1400'", "one value only"),
    ("a [net.x=1]\na [net/x=2]", "net/x=2", "'net/x=2' contradicts 'net.x=1' in line 1", "one value only"),
    ("a -- b [access=1 trunk=2]", "trunk=2", "'trunk=2' contradicts 'access=1'", "without tags (access=), or"),
    ("a -- b [10.0.0.0/8 192.0.2.0/24]", "192.0.2.0/24", "'192.0.2.0/24' contradicts '10.0.0.0/8'", "each family"),
    # VLANs
    ("a -- b [access=0]", "access=0", "0 cannot be the number of a VLAN", "1 to 4094"),
    ("a -- b [trunk=10,4095]", "trunk=10,4095", "4095 cannot be the number of a VLAN", "1 to 4094"),
    ("a -- b [trunk=10,,20]", "trunk=10,,20", "'' is no number", "trunk= takes a whole number"),
    ("a -- b [trunk=10,10]", "trunk=10,10", "'10,10' has the same VLAN twice", "once"),
    # names
    ("a -- -b", "-b", "'-b' cannot be the name of a node", "at most 63 letters, digits, '-', '_' and '.'"),
    ("1.2.3.4 -- b", "1.2.3.4", "'1.2.3.4' cannot be the name of a node", "begins with a letter"),
    ("a..b", "a..b", "'a..b' cannot be the name of a node", "no two '-' or '.' in a row"),
    ("über -- b", "über", "'über' cannot be the name of a node", "letters"),
    ("a -- " + "b" * 64, "b" * 64, f"'{'b' * 64}' cannot be the name of a node: it has 64 characters", "at most 63"),
    ("localhost -- b", "localhost", "'localhost' cannot be the name of a node", "choose another name"),
    ("Web -- a\nweb -- a", "web", "'web' and 'Web' differ in capitals only", "write it the same"),
    ("a:e123456789012345 -- b", "a:e123456789012345", "'e123456789012345' cannot be the name of an interface", "15"),
    ("a:b/c -- d", "a:b/c", "'b/c' cannot be the name of an interface", "at most 15 letters"),
    ("a:b:c -- d", "a:b:c", "'b:c' cannot be the name of an interface", "at most 15 letters"),
    ("a: -- d", "a:", "'' cannot be the name of an interface", "at most 15 letters"),
    ("a:lo -- d", "a:lo", "'lo' cannot be the name of an interface: it is reserved", "choose another name"),
    # links
    ("a -- a", "a", "a link from a to itself", "a link has two nodes"),
    ("{a b} -- {b c}", "b", "a link from b to itself", "a link has two nodes"),
    ("a:x -- b\na:x -- c", "a:x", "two links have the interface x of a", "interfaces of its own"),
    ("a -- b:x -- c", "b:x", "two links have the interface x of b", "a node between two links"),
    ("a--b", "--", "'--' has no blanks around it", "as in: client -- server"),
    ("a --b", "--", "'--' has no blanks around it", "put blanks around '--'"),
    ("a -- [mtu=1400]-- b", "--", "'--' has no blanks around it", "put blanks around '--'"),
    ("a -> b", "->", "'->' is no link", "a link is written '--'"),
    ("a — b", "—", "'—' is no link", "a link is written '--'"),
    ("a -- ", "", "the end of the line where a name belongs", "expected a name"),
    ("-- b", "--", "'--' where a name belongs", "expected a name"),
    ("a -- -- b", "--", "'--' where a name belongs", "expected a name"),
    ("[mtu=1400]", "[", "'[' where a name belongs", "expected a name"),
    ("a b", "b", "'b' is one too many", "expected '--'"),
    ("a -- b c", "c", "'c' is one too many", "expected '--'"),
    ("a [host] b", "b", "'b' is one too many", "the end of the line"),
    ("a -- [mtu=1400] b", "[", "the settings of a link stand between two '--'", "write: a -- [mtu=1400] -- b"),
    ("a -- b [mtu=1400] -- c", "--", "settings stand before '--'", "those at the end of a line belong to all"),
    # brackets and groups
    ("a -- {b c", "{", "'{' is not closed in its line", "expected '}'"),
    ("a -- b [mtu=1400", "[", "'[' is not closed in its line", "expected ']'"),
    ("a -- b [mtu=1400 # ]", "[", "'[' is not closed in its line", "expected ']'"),
    ("a -- b ]", "]", "']' closes nothing", "settings stand in brackets"),
    ("a -- {b]", "]", "']' closes nothing", "groups in braces"),
    ("a -- {b [c", "[", "'[' inside of '{'", "expected '}' before it"),
    ("a -- b [{]", "{", "'{' inside of '['", "expected ']' before it"),
    ("a -- {b {c}}", "{", "a group inside a group", "one pair of braces"),
    ("a -- {}", "{}", "a group of nobody", "{a b c}"),
    ("a -- {b, c}", ",", "a comma in a group", "blanks between them"),
    ("a -- {b -- c}", "--", "'--' where a name belongs", "expected a name"),
    ("a -- {b b}", "b", "b is in the group twice", "name it once"),
    ("{a b} [router]", "{a b}", "a group without a link", "a, b [router]"),
    ("a, b, a [router]", "a", "a is in the list twice", "name it once"),
    ("a:eth0 [router]", "a:eth0", "an interface without a link", "write the name alone: a"),
    ("a, b -- c", "--", "a list of names has no links", "write a group instead: {a b}"),
    ("a -- b []", "[", "brackets without settings", "leave them out"),
    ("a,", "", "the end of the line where a name belongs", "expected a name"),
    ("# nothing\n", "#", "the network has no nodes", "expected a line such as: client -- server"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "underlined", "message", "hint"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(text: str, underlined: str, message: str, hint: str) -> None:
    with pytest.raises(TopologyError) as info:
        parse(text)
    error = info.value
    assert error.message.startswith(message)
    assert carets_of(error) == underlined or (not underlined and not carets_of(error).strip())
    assert hint in str(error)


def test_the_place_is_that_in_the_text() -> None:
    with pytest.raises(TopologyError) as info:
        parse("# the first\nweb -- db\n  db -- [mtu=1]  -- web")
    assert (info.value.line, info.value.column) == (3, 10)


FAULTY = [
    *(f"10{unit}" for unit in QUANTITIES),
    *(f"{fault.key}=2.5{unit}" for fault in FAULTS for unit in fault.units or ("",)),
    *("10MBIT", ".5%", "wire"),
]


@pytest.mark.parametrize("word", FAULTY)
def test_faults_come_later(word: str) -> None:
    with pytest.raises(TopologyError) as info:
        parse(f"a -- b [{word}]")
    assert "links with faults come with a later release; until then, a link takes networks" in str(info.value)
    assert carets_of(info.value) == word
