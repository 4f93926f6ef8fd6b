"""The commands of ``python -m pytest_netns``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .._errors import NetNSError
from . import sessions

FAILED = 1
CANNOT_RUN, NOT_FOUND = 126, 127  # as a shell returns them
EPILOG = "pytest --netns-keep=failed keeps the namespaces of failed tests; each NAME is one that `list` shows."


def main(args: Sequence[str]) -> int:
    """Run a command; return its exit status."""
    given = make_parser().parse_args(args)
    try:
        status: int = given.run(given)
        sys.stdout.flush()
        return status
    except NetNSError as error:
        return _fail(str(error))
    except ConnectionError:
        return _fail("the session has ended meanwhile")
    except BrokenPipeError:  # who reads what is printed has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _fail(text: str) -> int:
    print(f"pytest_netns: {text}", file=sys.stderr)
    return FAILED


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_netns",
        description="Look into the network namespaces of test sessions: those that run, and those that were kept.",
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    listing = commands.add_parser(
        "list",
        help="list the namespaces of your sessions",
        description="List the namespaces of your sessions: the name, what it is called in the test, its age, the test, "
        "and the processes in it.",
    )
    listing.set_defaults(run=_list)

    shell = commands.add_parser(
        "shell",
        help="start a shell, or a command, in a namespace",
        description="Start your shell ($SHELL, or sh) in a namespace, or a command: shell NAME -- ip addr. The exit "
        "status is that of the shell, 1 if there is no such namespace.",
    )
    shell.add_argument("name", metavar="NAME", help="the name, the label (if only one has it) or the inode")
    shell.add_argument("command", metavar="command", nargs=argparse.REMAINDER, help="what to run, instead of a shell")
    shell.set_defaults(run=_shell)

    end = commands.add_parser(
        "end",
        help="end namespaces that were kept",
        description="Kill what runs in namespaces that were kept, shells too, and let them go.",
    )
    end.add_argument("names", metavar="NAME", nargs="*", help="as of shell")
    end.add_argument("--all", action="store_true", help="all that were kept")
    end.set_defaults(run=_end, parser=end)

    doctor = commands.add_parser("doctor", help="report what works on this machine, as pytest --netns-doctor")
    doctor.add_argument("form", choices=("table", "json"), nargs="?", default="table", help="by default a table")
    doctor.set_defaults(run=_doctor)
    return parser


def _list(_: argparse.Namespace) -> int:
    found = sessions.find()
    if not found:
        print("no session of yours has a namespace")
        return 0
    inside = sessions.processes(found)
    rows = [("NAME", "LABEL", "AGE", "STATE", "TEST")]
    rows += [(one.name, one.label, _age(one.age), "kept" if one.is_kept else "in use", one.test) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row, one in zip(rows, [None, *found], strict=True):
        print("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
        for process in [] if one is None else inside[one]:
            print(f"  {process}")
    return 0


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _shell(given: argparse.Namespace) -> int:
    from .._netns.shell import interactive

    found = sessions.choose(given.name)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    env = dict(os.environ)
    if not command:
        print(f"a shell in {found}; leave it by exit", file=sys.stderr)
        command, env = interactive(found.label, [])
    try:
        sessions.enter(found)
    except (PermissionError, FileNotFoundError) as error:
        return _fail(f"cannot enter {found}: {error.strerror}")
    try:
        os.execvpe(command[0], command, env)
    except OSError as error:
        _fail(f"cannot run {command[0]!r}: {error.strerror}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN


def _end(given: argparse.Namespace) -> int:
    if given.all == bool(given.names):
        given.parser.error("give the names, or --all")
    meant = [one for one in sessions.find() if one.is_kept] if given.all else map(sessions.choose, given.names)
    status = 0
    for one in list(meant):
        try:
            sessions.end(one)
            print(f"ended {one}")
        except NetNSError as error:
            status = _fail(f"cannot end {one}: {error}")
    return status


def _doctor(given: argparse.Namespace) -> int:
    from .._doctor.showing import diagnose

    return diagnose(given.form)
