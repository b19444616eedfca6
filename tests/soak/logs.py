# SPDX-License-Identifier: MIT
"""Logs that stand, and a disk that is full, for good traffic to go on beside."""

import contextlib
import os
import random
import resource
import threading

FULL_SECONDS = 1.5


class Logs:
    """Targets for Weir's log and the access log, one after the other: files, FIFOs without a reader or with
    one that stands, a full device. `access` is the file that is whole at the end."""

    def __init__(self, folder, access):
        self._access = access
        self._alone = str(folder / "alone.fifo")
        self._stands = str(folder / "stands.fifo")
        self._turn = 0
        for path in (self._alone, self._stands):
            os.mkfifo(path)
        self._reader = os.open(self._stands, os.O_RDONLY | os.O_NONBLOCK)

    def close(self):
        os.close(self._reader)

    def targets(self, last=False):
        """What the configuration says of logs next: the program's and the access log's, and a name."""
        own = ("stderr", self._alone, "/dev/full", self._stands)
        access = (self._access, self._stands, self._access, "/dev/full", self._alone)
        turn = 0 if last else self._turn
        self._turn += 1
        self._read()
        target, path = own[turn % len(own)], access[turn % len(access)]
        return (f'log_target = "{target}"\nmodule "access_log" {{ path = "{path}"  format = json }}\n')

    def _read(self):
        """The reader that stands takes something, sometimes."""
        if random.random() < 0.3:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, random.choice((100, 5000, 1 << 20)))


class Disk:
    """All files of the program stop growing for a while, as on a full disk; `is_full` says that they may
    have."""

    def __init__(self, pid):
        self._pid = pid
        self._sizes = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        self._lock = threading.Lock()
        self._seen = 0

    def fill(self, stop):
        """Until `stop`, at most for some time."""
        with self._lock:
            self._seen += 1
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (4096, self._sizes[1]))
        stop.wait(FULL_SECONDS)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._sizes)
        stop.wait(FULL_SECONDS)
        with self._lock:
            self._seen += 1

    def moment(self):
        """To be asked before and after something: the disk may have been full unless it is the same even
        number."""
        with self._lock:
            return self._seen
