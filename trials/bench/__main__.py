"""Run every benchmark, print one table, and hold it against what is promised.

Light to import, and with nothing to do at import: under ``spawn`` and ``forkserver`` a child of either side prepares
the main module again, and neither is to pay for the benchmark's own imports.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import compileall

    from trials.bench.run import main

    compileall.compile_dir("pytest_netns", quiet=2)  # as an installer does it
    sys.exit(main(sys.argv[1:]))
