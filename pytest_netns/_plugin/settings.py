"""The options of the plugin: command line and ini, validated once, in one frozen object."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from .._arguments import MAX_SECONDS, check_timeout
from .._child import DEFAULT, MODES, check_mode
from .._errors import ChildModeError
from .._originals import Originals
from .keys import mode_key, originals_key, settings_key

CHILD_MODE = "netns_child_mode"  # a fixture and a marker, too
FACTORY = "netns_factory"  # the fixture through which all namespaces are made
CHILD_TIMEOUT = "netns_child_timeout"
THREAD_TIMEOUT = "netns_thread_timeout"
LEAKS = "netns_leaks"
LEAKS_CHOICES = ("error", "warn", "ignore")
DOCTOR = "netns_doctor"
STRICT = "netns_strict"
USERNS = "netns_userns"
USERNS_CHOICES = ("auto", "off", "resident", "process")
ISOLATE = "netns_isolate"  # a marker, too
ISOLATE_CHOICES = ("off", "test", "class", "module", "session", "worker")
CAPTURE = "netns_capture"
CAPTURE_CHOICES = ("off", "failed", "all", "headers")
ARTIFACTS = "netns_artifacts"


KEEP = "netns_keep"
KEEP_CHOICES = ("never", "failed")

STRICT_HELP = "fail a test, rather than skip it, where the machine lacks what it requires"
DOCTOR_HELP = "report what works on this machine, what does not, and how to mend it, as a table or as JSON; then exit"

OPTIONS = (
    (
        CHILD_MODE,
        DEFAULT,
        "MODE[,MODE...]",
        (
            "child mode of tests without the marker netns_child_mode: how the child that creates sockets in a "
            f"namespace is started; with several modes, each test runs once in each: {', '.join(MODES)}"
        ),
    ),
    (
        CHILD_TIMEOUT,
        "10",
        "SECONDS",
        "how long a child may take for one step before it is killed and the test fails",
    ),
    (
        THREAD_TIMEOUT,
        "5",
        "SECONDS",
        "how long a thread that used a namespace may go on after the test before the test fails",
    ),
    (
        LEAKS,
        LEAKS_CHOICES[0],
        "{error,warn,ignore}",
        (
            "what to do when a test that used a namespace leaks a file descriptor, a thread or a child process, or "
            "leaves its thread inside a namespace"
        ),
    ),
    (
        KEEP,
        KEEP_CHOICES[0],
        "{never,failed}",
        (
            "whether the namespaces of failed tests stay after the run, with the programs in them, to be entered by "
            "python -m pytest_netns shell"
        ),
    ),
    (
        USERNS,
        USERNS_CHOICES[0],
        "{auto,off,resident,process}",
        (
            "which process enters a user namespace so that no root is needed: auto (only without privileges: pytest "
            "itself with --netns-isolate, otherwise the resident child), off, resident, process"
        ),
    ),
    (
        ISOLATE,
        ISOLATE_CHOICES[0],
        "{off,test,class,module,session,worker}",
        (
            "run each test inside a network namespace of its own, or the tests of each class or module, of the "
            "session, or of each pytest-xdist worker together in one"
        ),
    ),
    (
        CAPTURE,
        CAPTURE_CHOICES[0],
        "{off,failed,all,headers}",
        (
            "record the frames of all namespaces, and write a pcapng file for each failed test, for all tests, or, "
            "without what applications have sent, for each failed test"
        ),
    ),
    (
        ARTIFACTS,
        "netns-artifacts",
        "DIR",
        "the folder for the files of tests, relative to the rootdir",
    ),
)
"""Those with a value and an ini twin: name, default, metavar and help. Tuples, since each run of pytest loads this."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netns", "network namespaces")
    for name, default, metavar, text in OPTIONS:
        flag = f"--{name.replace('_', '-')}"
        group.addoption(flag, metavar=metavar, help=f"{text} (default: {default})")
        parser.addini(name, default=default, help=f"{text} (same as {flag})")
    group.addoption("--netns-doctor", nargs="?", const="table", choices=("table", "json"), help=DOCTOR_HELP)
    group.addoption("--netns-strict", action="store_true", default=None, help=STRICT_HELP)
    parser.addini(STRICT, type="bool", default=False, help=f"{STRICT_HELP} (same as --netns-strict)")


class Settings(NamedTuple):
    """What the user has chosen for a run. Not a dataclass, which takes half a millisecond of each run to be made."""

    child_modes: tuple[str, ...]
    child_timeout: float
    thread_timeout: float
    leaks: str
    userns: str = USERNS_CHOICES[0]
    strict: bool = False
    isolate: str = ISOLATE_CHOICES[0]
    keep: str = KEEP_CHOICES[0]
    capture: str = CAPTURE_CHOICES[0]
    artifacts: str = "netns-artifacts"

    @classmethod
    def from_config(cls, config: pytest.Config, *, early: bool = False) -> Settings:
        """Read the options; the command line wins over the ini file.

        :param early: the command line is read as far as it is known before the conftest files.
        :raises pytest.UsageError: a value is wrong; the text says where it stands and what is valid.
        """
        given = vars(config.known_args_namespace if early else config.option)
        return cls(
            child_modes=_parse_modes(*_value(config, given, CHILD_MODE)),
            child_timeout=_parse_seconds(*_value(config, given, CHILD_TIMEOUT)),
            thread_timeout=_parse_seconds(*_value(config, given, THREAD_TIMEOUT)),
            leaks=_parse_choice(*_value(config, given, LEAKS), valid=LEAKS_CHOICES),
            strict=_is_strict(config, given),
            userns=_parse_choice(*_value(config, given, USERNS), valid=USERNS_CHOICES),
            isolate=_parse_choice(*_value(config, given, ISOLATE), valid=ISOLATE_CHOICES),
            keep=_parse_choice(*_value(config, given, KEEP), valid=KEEP_CHOICES),
            capture=_parse_choice(*_value(config, given, CAPTURE), valid=CAPTURE_CHOICES),
            artifacts=_parse_folder(*_value(config, given, ARTIFACTS)),
        )


def _is_strict(config: pytest.Config, given: dict[str, Any]) -> bool:
    if given[STRICT]:
        return True
    try:
        return bool(config.getini(STRICT))
    except (ValueError, pytest.UsageError) as error:  # the latter since pytest 9
        raise pytest.UsageError(f"{_where(config, given, STRICT)}: {error}; valid are: true, false") from None


def _value(config: pytest.Config, given: dict[str, Any], name: str) -> tuple[str, str]:
    """Return where a value stands, and the value."""
    return _where(config, given, name), str(config.getini(name) if given[name] is None else given[name])


def _where(config: pytest.Config, given: dict[str, Any], name: str) -> str:
    if given[name] is not None:
        return f"--{name.replace('_', '-')}"
    if any(override.startswith(f"{name}=") for override in given["override_ini"] or ()):
        return f"-o {name}"
    return f"{name} in {config.inipath or 'the ini file'}"


def _parse_modes(where: str, text: str) -> tuple[str, ...]:
    try:
        return parse_modes(mode.strip() for mode in text.split(","))
    except ChildModeError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def parse_modes(modes: Any) -> tuple[str, ...]:
    """Return modes as a tuple.

    :raises ChildModeError: one of them is none, or occurs twice, or there are none.
    """
    checked = tuple(check_mode(mode) for mode in modes)
    if not checked:
        raise ChildModeError(f"there is no child mode given; valid are: {', '.join(MODES)}")
    for mode in checked:
        if checked.count(mode) > 1:
            raise ChildModeError(f"the child mode {mode!r} is given twice")
    return checked


def _parse_choice(where: str, text: str, *, valid: tuple[str, ...]) -> str:
    if text not in valid:
        raise pytest.UsageError(f"{where}: {text!r} is not valid; valid are: {', '.join(valid)}")
    return text


def _parse_folder(where: str, text: str) -> str:
    if not text.strip() or "\0" in text:
        raise pytest.UsageError(f"{where}: {text!r} is no folder; give a path such as netns-artifacts")
    return text


def _parse_seconds(where: str, text: str) -> float:
    try:
        return check_timeout(float(text))
    except ValueError:
        raise pytest.UsageError(
            f"{where}: {text!r} is not a number of seconds above 0 and up to {MAX_SECONDS}, such as 10 or 0.5"
        ) from None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[settings_key] = settings = Settings.from_config(config)
    config.stash[mode_key] = settings.child_modes[0]
    config.stash[originals_key] = Originals()
