"""Run it: ``python -m trials.chaos``; a round again: ``python -m trials.chaos --seed S --round N``."""

from __future__ import annotations

import argparse
import collections
import random
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from .evidence import CAPTURES
from .round import USERNS, Round
from .run import Missed
from .strikes import DOUBLE, all_kinds, possible_kinds


def play(options: argparse.Namespace, number: int) -> tuple[Round, list[str] | None]:
    """Play a round; return it and what is wrong, ``None`` if it missed."""
    made = Round(options.seed, number, options.kind, options.userns, options.capture)
    try:
        return made, made.play(options.within)
    except Missed:
        return made, None
    except TimeoutError as error:
        return made, [str(error)]


def play_all(options: argparse.Namespace) -> Iterator[tuple[int, Round, list[str] | None]]:
    numbers = range(options.rounds) if options.round is None else [options.round]
    with ThreadPoolExecutor(options.at_once) as pool:
        results = [(number, pool.submit(play, options, number)) for number in numbers]
        for number, result in results:
            yield number, *result.result()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trials.chaos", description=sys.modules["trials.chaos"].__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--round", type=int, help="play this one again")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--kind", choices=all_kinds(), help="what happens; by default it is drawn for each round")
    parser.add_argument("--userns", choices=USERNS, help="as --netns-userns; by default it is drawn, but root has none")
    parser.add_argument("--within", type=float, default=2.0, help="seconds after which nothing may be left")
    parser.add_argument("--capture", choices=CAPTURES, help="as --netns-capture; by default it is drawn")
    options = parser.parse_args()
    if options.kind not in (None, DOUBLE, *possible_kinds()):
        parser.error(f"--kind={options.kind} takes an ordinary user")
    return options


def main() -> int:
    options = parse()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell; the runs would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"--seed={options.seed}", flush=True)
    counts: collections.Counter[str] = collections.Counter()
    for number, made, wrong in play_all(options):
        counts["missed" if wrong is None else "wrong" if wrong else made.kind] += 1
        if wrong:
            given = [
                f"--{name}={value!r}" for name in ("kind", "userns", "capture") if (value := getattr(options, name))
            ]
            replay = " ".join(["python -m trials.chaos", f"--seed {options.seed} --round {number}", *given])
            print(f"round {number} ({made}), again with: {replay}", *wrong, sep="\n  ", flush=True)
    print(", ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    return int(bool(counts["wrong"]) or not counts.total() - counts["missed"])


if __name__ == "__main__":
    raise SystemExit(main())
