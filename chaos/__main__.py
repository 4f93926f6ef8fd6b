"""Run it: ``python -m chaos``; a round again: ``python -m chaos --seed S --round N``."""

from __future__ import annotations

import argparse
import collections
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from .round import DOUBLE, KINDS, Missed, Round


def play(seed: int, number: int, kind: str | None) -> tuple[str, list[str] | None]:
    """Play a round; return what it was and what is wrong, ``None`` if it missed."""
    made = Round(seed, number, kind)
    try:
        return str(made), made.play()
    except Missed:
        return str(made), None
    except TimeoutError as error:
        return str(made), [str(error)]


def play_all(options: argparse.Namespace, kind: str | None) -> Iterator[tuple[int, str, list[str] | None]]:
    numbers = range(options.rounds) if options.round is None else [options.round]
    with ThreadPoolExecutor(options.at_once) as pool:
        results = [(number, pool.submit(play, options.seed, number, kind)) for number in numbers]
        for number, result in results:
            yield number, *result.result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=sys.modules["chaos"].__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--round", type=int, help="play this one again")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--kill", choices=[*KINDS, DOUBLE], help="what to kill; by default it is drawn for each round")
    options = parser.parse_args()
    print(f"--seed={options.seed}", flush=True)
    counts: collections.Counter[str] = collections.Counter()
    for number, what, wrong in play_all(options, options.kill):
        counts[
            "missed" if wrong is None else "wrong" if wrong else what.partition(" in workers")[0].partition(" alone")[0]
        ] += 1
        if wrong:
            replay = f"python -m chaos --seed {options.seed} --round {number}"
            print(f"round {number} ({what}), again with: {replay}", *wrong, sep="\n  ", flush=True)
    print(", ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    return int(bool(counts["wrong"]) or not counts.total() - counts["missed"])


if __name__ == "__main__":
    raise SystemExit(main())
