"""``--netns-capture``: a file for each failed test, in whichever way it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capture.conftest import Shark
from tests.support.helpers import eventually
from tests.support.suites import read_suite

SECTION = "netns capture"
FAILED = ["fails", "names", "names-a-b-c", "network", "setup", "teardown"]


def files(pytester: pytest.Pytester, folder: str = "netns-artifacts") -> dict[str, Path]:
    """Return the files, by the names of their tests; those of long names by the number of the attempt alone."""
    found = {}
    for path in sorted(pytester.path.glob(f"{folder}/*/*.pcapng")):
        match = re.fullmatch(r".*\.py-test_(.*)-[0-9a-f]{8}", path.parent.name)
        found[match[1] if match else path.parent.name] = path
    return found


def comments(path: Path) -> list[str]:
    done = subprocess.run(["capinfos", "-k", str(path)], check=True, capture_output=True, text=True)
    return [line.partition(":")[2].strip() for line in done.stdout.splitlines() if line.startswith("Capture comment:")]


def interfaces(path: Path) -> set[str]:
    done = subprocess.run(["capinfos", "-I", str(path)], check=True, capture_output=True, text=True)
    return set(re.findall(r"Name = (.*)", done.stdout))


@pytest.mark.slow
@pytest.mark.core
@pytest.mark.second_kernel
@pytest.mark.usefixtures("tshark")
def test_each_phase(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_phases=read_suite(__file__, "phases"))
    result = pytester.runpytest_subprocess("--netns-capture=failed", "--junitxml=report.xml")
    result.assert_outcomes(passed=3, failed=6, errors=2, xfailed=1)
    found = files(pytester)
    long = [name for name in found if name not in FAILED]
    assert set(found) == {*FAILED, *long}
    assert len(long) == 1
    assert all(path.name == "1.pcapng" and len(path.parent.name) < 120 for path in found.values())
    source = (pytester.path / "test_phases.py").read_text().splitlines()
    line = source.index("def test_fails(lab):") + 1
    assert comments(found["fails"]) == [
        "test_phases.py::test_fails",
        f"test_phases.py:{line}",
        f"failed in its call at {pytester.path}/test_phases.py:{line + 2}: AssertionError: in the call",
    ]
    assert comments(found["setup"])[2].startswith("failed in its setup at ")
    assert comments(found["teardown"])[2].startswith("failed in its teardown at ")
    assert interfaces(found["fails"]) == {"lab:lo"}
    assert interfaces(found["network"]) == {"client:eth0 -- router:eth0", "router:eth1 -- server:eth0"}
    text = result.stdout.str()
    assert text.count(SECTION) == 8
    for name in FAILED:
        assert re.search(rf"\d+ frames: {re.escape(str(found[name].relative_to(pytester.path)))}\n", text)
    assert "no frames were sent or received" in text
    report = ElementTree.parse(pytester.path / "report.xml")
    named = {one.get("value") for one in report.iter("property") if one.get("name") == "netns-capture"}
    assert named == {str(path.relative_to(pytester.path)) for path in found.values()}


@pytest.mark.slow
def test_frames_of_the_test_before_are_not_in_it(pytester: pytest.Pytester, tshark: Shark) -> None:
    pytester.makepyfile(test_phases=read_suite(__file__, "phases"))
    pytester.runpytest_subprocess("--netns-capture=failed", "-k", "passes or fails")
    assert len(tshark(files(pytester)["fails"], "frame.number")) == 2


@pytest.mark.slow
def test_names_of_hosts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_phases=read_suite(__file__, "phases"))
    pytester.runpytest_subprocess("--netns-capture=failed", "-k", "network")
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: apt-get install tshark")
    command = ["tshark", "-n", "-N", "d", "-r", str(files(pytester)["network"]), "-Y", "icmp"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    command.remove("-n")
    command[command.index("d")] = "n"
    named = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "192.0.2" in text or "10." in text
    assert "client" in named
    assert "server" in named


@pytest.mark.slow
@pytest.mark.usefixtures("tshark")
def test_all(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_phases=read_suite(__file__, "phases"))
    pytester.runpytest_subprocess(
        "--netns-capture=all", "--netns-artifacts=evidence", "-k", "passes or fails or silent"
    )
    assert set(files(pytester, "evidence")) == {"passes", "fails"}
    assert comments(files(pytester, "evidence")["passes"]) == ["test_phases.py::test_passes", "test_phases.py:26"]


def test_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os
        from pytest_netns._plugin.keys import session_key

        def test_off(netns, request):
            netns.reach("127.0.0.1")
            assert not request.config.stash[session_key].recorder.program.pids()
            assert "SSLKEYLOGFILE" not in os.environ
            assert 0
    """)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    assert SECTION not in result.stdout.str()
    assert not files(pytester)


@pytest.mark.slow
@pytest.mark.core
def test_tls_is_decrypted(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tshark: Shark) -> None:
    (pytester.path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(pytester.path / "tmp"))
    pytester.makepyfile(test_tls=read_suite(__file__, "tls"))
    result = pytester.runpytest_subprocess("--netns-capture=failed")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*it fails on purpose*"])
    path = files(pytester)["tls"]
    assert tshark(path, "http.request.uri", only="http.request") == ["/secret"]
    assert tshark(path, "http.file_data", only="http.response")[0].replace(":", "") in (
        b"the secret of ours".hex(),
        "the secret of ours",
    )
    assert not list(pytester.path.glob("tmp/*keys*"))


@pytest.mark.slow
def test_headers_have_no_payload_and_no_keys(pytester: pytest.Pytester, tshark: Shark) -> None:
    pytester.makepyfile(test_tls=read_suite(__file__, "tls"))
    pytester.runpytest_subprocess("--netns-capture=headers").assert_outcomes(failed=1)
    path = files(pytester)["tls"]
    content = path.read_bytes()
    assert b"CLIENT_" not in content
    assert not tshark(path, "tcp.payload", only="tcp.payload")
    assert any(int(line) for line in tshark(path, "tcp.len", only="tcp"))


def test_a_users_own_file_of_keys_is_used(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(pytester.path / "own"))
    pytester.makepyfile("""
        import os

        def test_keys(netns):
            assert os.environ["SSLKEYLOGFILE"].endswith("/own")
    """)
    pytester.runpytest_subprocess("--netns-capture=failed").assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.usefixtures("tshark")
def test_a_recorder_that_is_lost(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_losses=read_suite(__file__, "losses"))
    result = pytester.runpytest_subprocess("--netns-capture=failed", "--netns-child-timeout=10")
    result.assert_outcomes(passed=3, failed=3)
    found = files(pytester)
    assert set(found) == {"again", "recorded_anew"}
    assert interfaces(found["again"]) == {"lab:lo", "netns:lo"}
    text = result.stdout.str()
    assert text.count("the recorder ended, by signal 9 (Killed); what it had recorded until then is lost") >= 2
    assert "the recorder did not answer within 10 s and was killed" in text


@pytest.mark.slow
@pytest.mark.parametrize(("how", "comment"), [("kill", "ended in the middle"), ("abort", "ended in the middle")])
@pytest.mark.usefixtures("tshark")
def test_pytest_ends_in_the_middle(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str, comment: str
) -> None:
    monkeypatch.setenv("HOW", how)
    pytester.makepyfile(test_ends=read_suite(__file__, "ends"))
    pytester.runpytest_subprocess("--netns-capture=failed")
    eventually(lambda: "ends" in files(pytester) and files(pytester)["ends"].name == "1.pcapng", "the file")
    assert comment in comments(files(pytester)["ends"])[-1]
    assert interfaces(files(pytester)["ends"]) == {"netns:lo"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "exit"])
@pytest.mark.usefixtures("tshark")
def test_the_run_is_interrupted(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setenv("HOW", how)
    pytester.makepyfile(test_ends=read_suite(__file__, "ends"))
    result = pytester.runpytest_subprocess("--netns-capture=failed")
    path = files(pytester)["ends"].relative_to(pytester.path)
    result.stdout.fnmatch_lines([f"netns capture of test_ends.py::test_ends: 2 frames: {path}"])


@pytest.mark.slow
@pytest.mark.usefixtures("tshark")
def test_a_worker_that_crashes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xdist")
    monkeypatch.setenv("HOW", "kill")
    pytester.makepyfile(test_ends=read_suite(__file__, "ends"))
    result = pytester.runpytest_subprocess("--netns-capture=failed", "-n2")
    eventually(lambda: "ends" in files(pytester) and files(pytester)["ends"].name == "1.pcapng", "the file")
    path = files(pytester)["ends"].relative_to(pytester.path)
    result.stdout.fnmatch_lines([f"*what was recorded until then: {path}*"])


@pytest.mark.slow
@pytest.mark.usefixtures("tshark")
def test_in_parallel(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(test_phases=read_suite(__file__, "phases"))
    result = pytester.runpytest_subprocess("--netns-capture=failed", "-n2")
    result.assert_outcomes(passed=3, failed=6, errors=2, xfailed=1)
    assert len(files(pytester)) == 7


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of a file system that is full."""
    if os.geteuid():
        pytest.skip("to mount a file system takes root")
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "full", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


SENDS = """
    import socket

    def test_sends(netns):
        sock = netns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 7))
        for _ in range(20):
            sock.sendto(bytes(1000), ("127.0.0.1", 7))
        raise AssertionError("of its own")
"""


def test_a_full_disk(pytester: pytest.Pytester, full_disk: Path) -> None:
    pytester.makepyfile(SENDS)
    result = pytester.runpytest_subprocess("--netns-capture=failed", f"--netns-artifacts={full_disk}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: of its own",
            f"*{SECTION}*",
            "*the recorder: cannot write *: ENOSPC (No space left on device)*",
        ]
    )
    assert not [path for path in full_disk.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_made(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SENDS)
    (pytester.path / "netns-artifacts").write_text("a file")
    result = pytester.runpytest_subprocess("--netns-capture=failed")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{SECTION}*", "*the recorder: cannot write *"])


def test_without_descriptors(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os, resource

        def test_exhausted(make_netns):
            make_netns("first")
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            fds = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            try:
                while True:
                    fds.append(os.open("/", os.O_RDONLY))
            except OSError:
                os.close(fds.pop())  # one is left: enough for a namespace, and not to record it
            try:
                make_netns("second")
            finally:
                for fd in fds:
                    os.close(fd)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            make_netns("third").reach("127.0.0.1")
    """)
    result = pytester.runpytest_subprocess("--netns-capture=failed")
    result.assert_outcomes(passed=1, warnings=1)


RERUNS = """
    import pytest
    from _pytest.runner import runtestprotocol

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):  # as pytest-rerunfailures does it
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for attempt in range(3):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            if attempt == 2 or not any(report.failed for report in reports):
                break
            item._initrequest()
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        return True
"""


@pytest.mark.usefixtures("tshark")
def test_each_attempt_has_its_own_file(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(RERUNS)
    pytester.makepyfile("""
        attempts = []

        def test_flaky(netns):
            attempts.append(1)
            for _ in attempts:
                netns.reach("127.0.0.1")
            assert len(attempts) == 4
    """)
    pytester.runpytest_subprocess("--netns-capture=failed").assert_outcomes(failed=1)
    found = sorted(pytester.path.glob("netns-artifacts/*/*"))
    assert [path.name for path in found] == [f"{number}.{kind}" for number in (1, 2, 3) for kind in ("html", "pcapng")]
    assert comments(found[5])[0] == "test_each_attempt_has_its_own_file.py::test_flaky, attempt 3"
