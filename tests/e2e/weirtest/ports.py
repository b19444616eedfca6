# SPDX-License-Identifier: MIT
"""Ports that nobody else uses: below the kernel's ephemeral range, each held by a lock file, so that
parallel runs do not meet."""

import fcntl
import os
import pathlib
import random
import socket
import tempfile

_FIRST, _LAST = 20000, 32000
_held = {}


def _locked(port):
    folder = pathlib.Path(tempfile.gettempdir()) / f"weir-test-ports.{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = open(folder / str(port), "w", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _bindable(port):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_port():
    """A port of the loopback addresses that stays ours until this process ends."""
    for _ in range(2000):
        port = random.randrange(_FIRST, _LAST)
        if port in _held:
            continue
        handle = _locked(port)
        if handle is None:
            continue
        if _bindable(port):
            _held[port] = handle
            return port
        handle.close()
    raise RuntimeError("no free port found")
