# SPDX-License-Identifier: MIT
"""Waiting for conditions, never for time to pass."""

import os
import time

SANITIZED = bool(os.environ.get("WEIR_SANITIZE"))

# Whatever honestly happens, happens within this; a sanitizer, or a loaded machine, is slow.
DEADLINE = 60.0 if SANITIZED else 20.0

_POLL_SECONDS = 0.004


def wait_for(condition, what, seconds=DEADLINE):
    """Polls until `condition()` is true, and returns what it returned; `what` says what is missed."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(_POLL_SECONDS)


class Stopwatch:
    """Says how long something took."""

    def __enter__(self):
        self.started = time.monotonic()
        self.seconds = None
        return self

    def running(self):
        """Seconds since the start."""
        return time.monotonic() - self.started

    def __exit__(self, *unused):
        self.seconds = time.monotonic() - self.started


def pass_time(seconds):
    """Lets time pass, where a slow peer is what is tested. That more of it passes must do no harm."""
    time.sleep(seconds)
