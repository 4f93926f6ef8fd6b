"""``python -m pytest_netns``: the namespaces that there are, a shell in one, the end of those that were kept."""

import sys

from ._console.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
