import json
import os
import resource
import sys

sys.path.append(sys.argv[1])
from pytest_netns._netns.factory import Session
from tests.test_causes import ACTS

session = Session()
found = []
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for spare in range(20):
    ns = session.namespace("lab")
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 30, hard))
    try:
        while True:
            fillers.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for _ in range(spare):
        os.close(fillers.pop())
    try:
        ACTS[sys.argv[2]](ns)
        worked = True
    except OSError as error:
        found.append(str(error))
        worked = False
    for fd in fillers:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if worked:
        break
print(json.dumps([worked, found]))
os._exit(0)
