"""Isolated tests that share a namespace with the others of their class, module or session, and with wider fixtures."""

from __future__ import annotations

import textwrap

import pytest

from tests.isolation.test_isolation import HEAD, run
from tests.support.suites import ASYNCIO, read_suite

INSIDE = {
    "class": {"class", "setup_class", "test_one", "test_two"},
    "module": {"class", "setup_class", "test_one", "test_two", "module", "setup_module"},
    "session": {"class", "setup_class", "test_one", "test_two", "module", "setup_module", "package", "session"},
}


@pytest.mark.slow
@pytest.mark.parametrize("by", ["option", "marker"])
@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_fixtures_up_to_the_scope_are_inside(pytester: pytest.Pytester, scope: str, by: str) -> None:
    suite = f"""
        {f"pytestmark = pytest.mark.netns_isolate(scope={scope!r})" if by == "marker" else ""}
        FOUND = {{}}

        def fixture(scope):
            @pytest.fixture(scope=scope, name=f"of_{{scope}}", autouse=True)
            def place_of_it(request):
                if scope not in FOUND:
                    FOUND[scope] = place()
                at = place()
                yield at
                assert place() == at, scope
            return place_of_it

        of_session, of_package, of_module, of_class = map(fixture, ("session", "package", "module", "class"))

        def setup_module():
            FOUND["setup_module"] = place()

        def teardown_module():
            assert FOUND["setup_module"] == place()

        class TestOne:
            @classmethod
            def setup_class(cls):
                FOUND["setup_class"] = place()

            @classmethod
            def teardown_class(cls):
                assert FOUND["setup_class"] == place()

            def test_one(self):
                FOUND["test_one"] = place()

            def test_two(self, netns):
                FOUND["test_two"] = place()
                assert place() == netns.inode

        def test_what_is_inside():
            inside = {{name for name, at in FOUND.items() if at != HOME}}
            assert inside == {INSIDE[scope]}
            assert len({{FOUND[name] for name in inside}}) == 1
            assert place() != HOME
            assert (place() == FOUND["test_two"]) == {scope != "class"}
    """
    options = (f"--netns-isolate={scope}",) if by == "option" else ()
    run(pytester, suite, *options).assert_outcomes(passed=3)


@pytest.mark.slow
def test_a_server_of_a_wider_fixture_is_reached(pytester: pytest.Pytester) -> None:
    """As pytest-httpserver's, whose server is of session scope and runs in a thread."""
    suite = """
        import http.server, urllib.request

        @pytest.fixture(scope="module")
        def server():
            with http.server.HTTPServer(("127.0.0.1", 8080), http.server.SimpleHTTPRequestHandler) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                yield
                server.shutdown()
                thread.join()

        @pytest.mark.parametrize("n", range(3))
        def test_it(server, n):
            assert urllib.request.urlopen("http://127.0.0.1:8080/").status == 200
    """
    pytester.makepyfile(test_second="from test_first import *")
    for isolate in ("module", "session"):
        pytester.makepyfile(test_first=HEAD + textwrap.dedent(suite))
        pytester.runpytest_subprocess(f"--netns-isolate={isolate}").assert_outcomes(passed=6)


@pytest.mark.slow
@pytest.mark.parametrize("dist", ["loadscope", "loadfile", "load"])
def test_in_parallel(pytester: pytest.Pytester, dist: str) -> None:
    """Each worker has a namespace of its own for a scope, whether its tests are kept together or not."""
    pytest.importorskip("xdist")
    suite = """
        import time

        @pytest.fixture(scope="module")
        def server():
            with socket.create_server(("127.0.0.1", 4711)):
                yield

        @pytest.mark.parametrize("n", range(6))
        def test_it(server, n):
            socket.create_connection(("127.0.0.1", 4711)).close()
            time.sleep(0.05)
    """
    pytester.makepyfile(
        test_second=HEAD + textwrap.dedent(suite),
        test_third=HEAD + textwrap.dedent(suite),
    )
    run(pytester, suite, "-n3", f"--dist={dist}", "--netns-isolate=module").assert_outcomes(passed=18)


@pytest.mark.slow
def test_unittest(pytester: pytest.Pytester) -> None:
    suite = read_suite(__file__, "unittest_scopes")
    run(pytester, suite, "--netns-isolate=class").assert_outcomes(passed=4)


@pytest.mark.slow
def test_a_fixture_with_parameters_is_torn_down_where_it_was_set_up(pytester: pytest.Pytester) -> None:
    """That comes in the set-up of the first test that has the next parameter, which may be inside already."""
    suite = read_suite(__file__, "fixture_with_parameters")
    for scope in ("test", "class", "module"):
        mode = f"import pytest\nIS_OPTION, mark = False, pytest.mark.netns_isolate(scope={scope!r})"
        pytester.makepyfile(mode=mode)
        run(pytester, suite).assert_outcomes(passed=12)
        pytester.makepyfile(mode="IS_OPTION, mark = True, lambda test: test")
        result = run(pytester, suite, f"--netns-isolate={scope}")
        result.assert_outcomes(passed=12)


@pytest.mark.slow
def test_scopes_side_by_side(pytester: pytest.Pytester) -> None:
    """The nearest marker wins, and others may be in between those that share a namespace."""
    suite = read_suite(__file__, "scopes_side_by_side")
    run(pytester, suite).assert_outcomes(passed=6)


@pytest.mark.slow
def test_a_loop_of_a_wider_scope(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    suite = read_suite(__file__, "loop_of_a_wider_scope")
    run(pytester, suite, "--netns-isolate=module", *ASYNCIO).assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_leak_check_goes_by_test(pytester: pytest.Pytester) -> None:
    """What a fixture of the scope opens is its own; what a test opens is to be closed by the test, if it is marked."""
    suite = """
        kept = []

        @pytest.fixture(scope="module", autouse=True)
        def wide():
            with socket.create_server(("127.0.0.1", 80)):
                yield

        {marker}
        class TestIt:
            def test_clean(self):
                socket.create_connection(("127.0.0.1", 80)).close()

            def test_leaves(self):
                kept.append(socket.socket())

            def test_clean_again(self):
                pass
    """
    result = run(pytester, suite.format(marker="@pytest.mark.netns_isolate(scope='module')"))
    result.assert_outcomes(passed=3, errors=2)  # the namespace that it keeps is told of at the end of the module
    result.stdout.fnmatch_lines(["*ERROR at teardown of TestIt.test_leaves*", "*descriptor * is open: socket:*"])
    run(pytester, suite.format(marker=""), "--netns-isolate=module").assert_outcomes(passed=3, errors=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [("'worker'", "'worker'"), ("scope='worker'", "scope='worker'"), ("'class'", "'class'"), ("names=1", "names=1")],
)
def test_a_wrong_marker(pytester: pytest.Pytester, arguments: str, shown: str) -> None:
    result = run(pytester, f"@pytest.mark.netns_isolate({arguments})\ndef test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        f"::test: @pytest.mark.netns_isolate({shown}) is wrong; it takes scope=, which is one of 'test', 'class', "
        "'module', 'session'"
    ) in result.stderr.str()
