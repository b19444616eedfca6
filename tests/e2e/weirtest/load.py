# SPDX-License-Identifier: MIT
"""Steady load from a few keep-alive clients, each request of which is judged."""

import threading
import time

from . import wire
from .wait import DEADLINE, wait_for


class Load:
    """Threads that send requests one after the other until stop().

    `client()` makes a connection. `exchange(client)` sends a request, reads its response and returns it,
    or raises; by default GET / that must be answered by 200. A response with `Connection: close` is
    legal, and counted in `closed`. `tolerant`: a connection that ends between two responses, or is
    refused, is no failure (a server that shuts down); a cut response always is one.
    """

    def __init__(self, client, exchange=None, threads=4, tolerant=False):
        self._client = client
        self._exchange = exchange or self._get
        self._tolerant = tolerant
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.requests = 0
        self.closed = 0
        self.refused = 0
        self.failures = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _get(client):
        response = client.get("/")
        assert response.status == 200, f"status {response.status}: {response.body[:100]!r}"
        return response

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def wait_requests(self, more):
        """Until so many more requests have been answered."""
        target = self.requests + more
        wait_for(lambda: self.requests >= target or self.failures, f"{more} more requests")

    def stop(self):
        """Ends the load once the running requests are answered."""
        self._stop.set()
        self.join()

    def join(self):
        """Waits for the threads to end."""
        end = time.monotonic() + DEADLINE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
            assert not thread.is_alive(), "a client of the load hangs"

    def assert_clean(self):
        """Not one request has failed."""
        assert not self.failures, f"{len(self.failures)} of {self.requests} requests failed, " \
            f"the first: {self.failures[0]}"
        assert self.requests > 0

    def _fail(self, error):
        with self._lock:
            self.failures.append(f"{type(error).__name__}: {error}")

    def _run(self):
        while not self._stop.is_set():
            try:
                client = self._client()
            except OSError as error:
                if not self._tolerant:
                    self._fail(error)
                with self._lock:
                    self.refused += 1
                return
            with client:
                if not self._serve(client):
                    return

    def _serve(self, client):
        """Requests on one connection; false: the load is over for this thread."""
        while not self._stop.is_set():
            before = client.received
            try:
                response = self._exchange(client)
            except (wire.Cut, ConnectionError) as error:
                if self._tolerant and client.received == before:
                    with self._lock:
                        self.closed += 1
                    return True
                self._fail(error)
                return False
            except Exception as error:  # pylint: disable=broad-except
                self._fail(error)
                return False
            with self._lock:
                self.requests += 1
            if response.closes:
                with self._lock:
                    self.closed += 1
                return True
        return True
