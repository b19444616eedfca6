# SPDX-License-Identifier: MIT
"""What became of each request, and what the program held meanwhile."""

import statistics
import threading
import time


class Ledger:
    """Counts by kind of client: good, excused (a server that is meant to fail began the answer, and the
    client saw it break), lost (a living server could have answered) and wrong (another body)."""

    RESULTS = ("good", "excused", "lost", "wrong")
    EXAMPLES = 12

    def __init__(self):
        self._lock = threading.Lock()
        self.rows = {}
        self.examples = []
        self.started = time.monotonic()

    def add(self, kind, result, example=None):
        """One more of this kind ended so."""
        with self._lock:
            row = self.rows.setdefault(kind, dict.fromkeys(self.RESULTS, 0))
            row[result] += 1
            if result in ("lost", "wrong") and len(self.examples) < self.EXAMPLES:
                at = time.monotonic() - self.started
                self.examples.append(f"{at:.1f} s: {kind}: {result}: {example}")

    def total(self, result):
        with self._lock:
            return sum(row[result] for row in self.rows.values())

    def table(self):
        """Lines for people."""
        lines = [f"{'client':<12}" + "".join(f"{name:>10}" for name in self.RESULTS)]
        for kind, row in sorted(self.rows.items()):
            lines.append(f"{kind:<12}" + "".join(f"{row[name]:>10}" for name in self.RESULTS))
        lines.append(f"{'all':<12}" + "".join(f"{self.total(name):>10}" for name in self.RESULTS))
        return lines


class Samples:
    """Resident memory and descriptors of the program, twice a second."""

    def __init__(self, weir):
        self._weir = weir
        self._stop = threading.Event()
        self.points = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.5):
            if not self._weir.running():
                return
            self.points.append((time.monotonic(), self._weir.memory_kib(),
                                self._weir.descriptors()))

    def stop(self):
        self._stop.set()
        self._thread.join()

    def trend(self, column):
        """Mean after the warm-up (two fifths of the time), and growth along the fitted line."""
        warm = self.points[len(self.points) * 2 // 5:]
        if len(warm) < 4:
            raise AssertionError("too few samples: a longer run, please")
        times = [point[0] - warm[0][0] for point in warm]
        values = [point[column] for point in warm]
        slope = statistics.linear_regression(times, values).slope
        return statistics.mean(values), slope * times[-1]
