"""Two hosts and a link, made and ended by munet: a program of its own, run by a Python that has munet.

It prints how long each round took, in seconds, a line each. A round may fail: on a busy machine, munet looks for the
child of a process that has none yet. Then there is no line for it.

    PYTHON munet_pair.py ROUNDS
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import sys
import tempfile
import time
from pathlib import Path

from munet.parser import async_build_topology

CONFIG = {
    "version": 1,
    "topology": {
        "nodes": [
            {"name": "left", "connections": [{"to": "right", "name": "eth0", "ip": "192.0.2.1/24"}]},
            {"name": "right", "connections": [{"to": "left", "name": "eth0", "ip": "192.0.2.2/24"}]},
        ],
    },
}


async def make_and_end(folder: Path) -> None:
    config = {**copy.deepcopy(CONFIG), "config_pathname": str(folder / "munet.yaml")}  # which it changes
    unet = await async_build_topology(config, rundir=str(folder / "run"), unshare_inline=False)
    try:
        await unet.run()
    finally:
        await unet.async_delete()


def main() -> None:
    logging.disable(logging.CRITICAL)
    for _ in range(int(sys.argv[1])):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            with contextlib.suppress(Exception):
                asyncio.run(make_and_end(Path(folder)))
                print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
