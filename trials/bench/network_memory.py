"""What the hosts of a network hold in memory.

``python -m trials.bench.network_memory HOSTS`` measures it: a process of its own, since what other networks have left
in the heap would be used again.
"""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys

from pytest_netns._netns.factory import Session

from .peers import resident_memory


def measure(hosts: int) -> tuple[float, float]:
    """Return what pytest and the resident child hold for the hosts of a star, in kB."""
    command = [sys.executable, "-m", "trials.bench.network_memory", str(hosts)]
    memory, of_child = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return memory, of_child


def main(hosts: int) -> None:
    from .networks import ours, star

    with contextlib.closing(Session()) as session:
        with ours(session, star(2)):
            pass
        pid = session.modes.resident.pid
        assert pid is not None
        gc.collect()
        before, of_child = resident_memory(), resident_memory(pid)
        with ours(session, star(hosts)):
            gc.collect()
            json.dump([(resident_memory() - before) * 1024, (resident_memory(pid) - of_child) * 1024], sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
