"""The fixtures, the marker and what they change in a run."""

from __future__ import annotations

import os

import pytest

from pytest_netns import NetNS

MODES = ["resident", "fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn"]


@pytest.mark.smoke
@pytest.mark.netns_child_mode(*MODES)
def test_a_socket_in_every_mode(netns: NetNS, netns_child_mode: str) -> None:
    assert netns.child_mode == netns_child_mode
    with netns.create_server(("127.0.0.1", 80)), netns.create_connection(("127.0.0.1", 80)) as client:
        assert client.getpeername() == ("127.0.0.1", 80)


def test_netns_is_a_namespace_of_its_own_with_loopback_up(netns: NetNS) -> None:
    assert netns.inode != os.stat("/proc/thread-self/ns/net").st_ino
    assert [link.get("ifname") for link in netns.ipr.get_links()] == ["lo"]
    assert {address.get("address") for address in netns.ipr.get_addr()} == {"127.0.0.1", "::1"}


def test_fixtures_share_the_tests_namespaces_only_by_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        seen = []

        def test_one(netns, make_netns):
            other = make_netns()
            assert len({netns.inode, other.inode}) == 2
            seen.extend([netns, other])

        def test_two(netns):
            assert all(ns.closed for ns in seen)
    """)
    pytester.runpytest().assert_outcomes(passed=2)


def test_the_factory_of_the_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        kept = []

        @pytest.fixture(scope="module")
        def lab(netns_factory):
            kept.append(netns_factory("left open", sysctl={"net.ipv4.ip_forward": 1}))
            with netns_factory("lab", child_mode="fork") as ns:
                yield ns

        @pytest.mark.parametrize("number", range(2))
        def test_one(lab, number):
            assert not kept[0].closed
            assert kept[0].sysctl["net.ipv4.ip_forward"] == "1"
            assert lab.child_mode == "fork"
            assert kept[0].child_mode == "resident"

        @pytest.mark.netns_child_mode("mp")
        def test_mode_of_the_test(lab):
            assert lab.child_mode == "fork"
            assert kept[0].child_mode == "mp"
    """)
    pytester.makeconftest("""
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(session):
            from test_the_factory_of_the_session import kept
            assert kept[0].closed
            print("closed at the end")
    """)
    result = pytester.runpytest("-s")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*closed at the end*"])


OPTIONS = """
    import pytest

    @pytest.mark.parametrize("options, error", [
        (dict(child_mode="thread"), "'thread' is not a child mode; valid are: resident, fork, mp, mp:fork, "
            "mp:forkserver, mp:spawn"),
        (dict(name="a/b"), "'a/b' cannot be a name under /run/netns: it is not a single file name"),
        (dict(name=".."), "'..' cannot be a name under /run/netns: it is not a single file name"),
        (dict(child_timeout=0), "child_timeout is a number of seconds above 0 and up to 1000000, not 0"),
        (dict(sysctl={"kernel.hostname": "x"}), "'kernel.hostname' is no sysctl of a network namespace; valid ones "
            "begin with 'net.', see sysctl -N net"),
    ])
    def test_wrong(make_netns, options, error):
        with pytest.raises(ValueError) as raised:
            make_netns(**options)
        assert str(raised.value) == error
"""


def test_wrong_options_of_the_factories(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OPTIONS)
    pytester.runpytest().assert_outcomes(passed=5)


@pytest.mark.parametrize("mode", ["frok", 5, None])
@pytest.mark.parametrize("indirect", [True, False])
def test_a_wrong_mode_among_parameters_is_an_error_at_collection(
    pytester: pytest.Pytester, mode: object, indirect: bool
) -> None:
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.parametrize("netns_child_mode", ["fork", {mode!r}], indirect={indirect})
        def test_x(netns): pass
    """)
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    valid = "resident, fork, mp, mp:fork, mp:forkserver, mp:spawn"
    result.stderr.fnmatch_lines(
        [f"ERROR: *::test_x[[]{mode}[]]: netns_child_mode: {mode!r} is not a child mode; valid are: {valid}"]
    )


def test_ids_next_to_other_parametrisations(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("x", [1, 2])
        @pytest.mark.netns_child_mode("fork", "mp:spawn")
        class TestClass:
            def test_x(self, netns_child_mode, x): pass

        @pytest.mark.netns_child_mode("fork")
        def test_one(netns): pass

        @pytest.mark.parametrize("netns_child_mode", ["mp"], indirect=True)
        def test_by_hand(netns): pass

        def test_plain(netns): pass
        def test_other(): pass
    """)
    result = pytester.runpytest("--collect-only", "-q")
    ids = [line.split("::", 1)[1] for line in result.outlines if "::" in line]
    assert ids == [
        *[f"TestClass::test_x[{mode}-{x}]" for mode in ("fork", "mp:spawn") for x in (1, 2)],
        "test_one[fork]",
        "test_by_hand[mp]",
        "test_plain",
        "test_other",
    ]
    result = pytester.runpytest("--collect-only", "-q", "--netns-child-mode=mp,resident")
    ids = [line.split("::", 1)[1] for line in result.outlines if "::" in line]
    assert ids[-4:] == ["test_by_hand[mp]", "test_plain[mp]", "test_plain[resident]", "test_other"]


STATE = """
    import multiprocessing
    import pyroute2
    import pytest

    BEFORE = ("fork", {before!r})

    def state():
        return pyroute2.config.child_process_mode, multiprocessing.get_start_method(allow_none=True)

    def check(mode, fails):
        kind, _, method = mode.partition(":")
        assert state() == (BEFORE if kind == "resident" else (kind, method or BEFORE[1]))
        if kind != "resident":
            multiprocessing.get_context()  # fixes the start method
            pyroute2.config.child_process_mode = "nonsense"
        assert not fails, "on purpose"

    @pytest.mark.netns_child_mode("resident", "fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn")
    @pytest.mark.parametrize("fails", [False, True])
    class TestState:
        def test_alone(self, request, fails):
            check(request.node.callspec.params["netns_child_mode"], fails)

        def test_with_a_namespace(self, netns, fails):
            check(netns.child_mode, fails)
"""


@pytest.mark.parametrize("before", [None, "spawn"])
def test_pyroute2_and_the_start_method_match_and_are_restored(pytester: pytest.Pytester, before: str | None) -> None:
    pytester.makepyfile(STATE.format(before=before))
    pytester.makeconftest(f"""
        import multiprocessing
        import pytest

        multiprocessing.set_start_method({before!r}, force=True)

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_teardown(item):
            result = yield
            assert item.module.state() == item.module.BEFORE
            return result
    """)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=12, failed=12)
    assert result.stdout.str().count("AssertionError: on purpose") >= 12


@pytest.mark.parametrize(
    ("marker", "error"),
    [
        ('"fok"', "'fok' is not a child mode; valid are: resident, fork, mp, mp:fork, mp:forkserver, mp:spawn"),
        ("", "there is no child mode given; valid are: resident, fork, mp, mp:fork, mp:forkserver, mp:spawn"),
        ("3", "3 is not a child mode; valid are: resident, fork, mp, mp:fork, mp:forkserver, mp:spawn"),
        ('"mp", "mp"', "the child mode 'mp' is given twice"),
        ('mode="mp"', "the marker takes modes only, not mode="),
    ],
)
def test_wrong_markers_name_the_test_and_the_valid_modes(pytester: pytest.Pytester, marker: str, error: str) -> None:
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.netns_child_mode({marker})
        def test_x(): pass
    """)
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    name = "test_wrong_markers_name_the_test_and_the_valid_modes.py"
    assert f"{name}::test_x: @pytest.mark.netns_child_mode: {error}" in result.outlines


def test_a_marker_on_a_unittest_method_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import unittest
        import pytest

        class TestCase(unittest.TestCase):
            @pytest.mark.netns_child_mode("fork")
            def test_x(self): pass
    """)
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *::TestCase::test_x: *cannot do with a method of unittest.TestCase*"])


def test_a_run_without_namespaces_starts_no_child_and_loads_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os, sys
        from pathlib import Path

        def test_x(netns_child_mode, netns_factory, make_netns):
            children = Path("/proc/thread-self/children").read_text()
            assert children == ""
            assert "pyroute2" not in sys.modules
    """)
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_what_fails_in_the_namespace_is_reported_once_and_the_rest_closed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def broken(make_netns):
            ns, other = make_netns("broken"), make_netns("other")
            ns._on_close(lambda: 1 / 0)
            yield other

        def test_x(broken): pass
        def test_y(netns): pass
    """)
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])


def test_the_report_of_a_failure_ends_in_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_x(netns):
            netns.socket(99)
    """)
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(
        [
            ">       netns.socket(99)",
            "E       *NetNSUnsupportedError: [[]Errno 97[]] namespace 'netns': cannot create the socket: EAF*",
            "test_the_report_of_a_failure_ends_in_the_test.py:2: NetNSUnsupportedError",
        ]
    )
    assert "pytest_netns/child" not in result.stdout.str()
