# The largest files below a directory, on its own volume only.
import heapq
import os
import sys

path, count = os.environ["PARAM_PATH"], int(os.environ["PARAM_COUNT"])
least = int(os.environ["PARAM_MIN_MIB"]) << 20
if not os.path.isdir(path):
    sys.exit(f"There is no directory {path}.")
volume = os.lstat(path).st_dev
found, unread = [], 0


def missed(_):
    global unread
    unread += 1


for where, directories, names in os.walk(path, onerror=missed):
    keep = []
    for d in directories:
        try:
            if os.lstat(os.path.join(where, d)).st_dev == volume:
                keep.append(d)
        except OSError:
            unread += 1
    directories[:] = keep
    for name in names:
        at = os.path.join(where, name)
        try:
            info = os.lstat(at)
        except OSError:
            continue  # gone meanwhile
        size = info.st_blocks * 512  # what it takes, holes left out
        if size < least or info.st_dev != volume:
            continue
        entry = (size, at)
        if len(found) < count:
            heapq.heappush(found, entry)
        else:
            heapq.heappushpop(found, entry)
for size, at in sorted(found, reverse=True):
    print(f"{size / (1 << 20):10.1f} MiB  {at}")
if not found:
    print(f"No file below {path} takes {least >> 20} MiB or more.")
if unread:
    print(f"{unread} directories could not be read.")
