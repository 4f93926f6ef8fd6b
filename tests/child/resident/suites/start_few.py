import os
import resource

from pytest_netns import NetNSError
from pytest_netns._netns.factory import Session

session = Session()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))
held = []
while True:
    try:
        held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break


def state():
    return {number for number in range(64) if os.path.lexists(f"/proc/self/fd/{number}")}


failed = 0
for free in range(1, 12):
    os.close(held.pop())
    before = state()
    try:
        session.namespace().close()
    except NetNSError:
        failed += 1
        assert state() == before, (free, state() - before)
        assert session.modes.resident.pid is None or session.modes.resident.descriptors() <= before
print(failed >= 3)
