# SPDX-License-Identifier: MIT
"""Child processes pinned to cores, and what the kernel counts for them."""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class BenchError(Exception):
    """Something without which no number can be had; its text is for the person at the terminal."""


def free_ports(count):
    """Ports on 127.0.0.1 that nothing listens on just now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Child:
    """A program of the benchmark: on its cores, in a group of its own, ended with `run`."""

    def __init__(self, name, command, cpus, log, env=None):
        self.name = name
        self.log = pathlib.Path(log)

        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            os.sched_setaffinity(0, cpus)

        with open(self.log, "wb") as output:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=prepare,
                env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self.popen.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def complaint(self, what):
        tail = "\n".join("    " + line for line in self.output().splitlines()[-8:])
        return BenchError(f"{self.name}: {what}" + (f"; it said:\n{tail}" if tail else ""))

    def require_alive(self):
        if self.popen.poll() is not None:
            raise self.complaint(f"ended by itself with status {self.popen.returncode}")

    def wait(self, seconds):
        """Waits for a program that ends by itself, and returns what it printed."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.complaint(f"did not end within {seconds:.0f} s") from None
        if status != 0:
            raise self.complaint(f"ended with status {status}")
        return self.output()

    def stop(self):
        """SIGTERM, and SIGKILL for what of its group is left after three seconds."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()

    def family(self):
        """This process and its descendants."""
        children = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    stat = pathlib.Path(entry.path, "stat").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
        found = [self.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_ns(self):
        """Time on a core, all threads and processes: first field of each thread's schedstat."""
        total = 0
        for pid in self.family():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def memory_bytes(self):
        """Proportional set size of the family; resident size where that may not be read."""
        total = 0
        for pid in self.family():
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines()
                             if line.startswith("Pss:"))
            except PermissionError:
                pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
                total += pages * os.sysconf("SC_PAGE_SIZE")
        return total

    def settled_memory_bytes(self):
        """Memory once two looks in a row agree, or after three seconds."""
        last = self.memory_bytes()
        for _ in range(15):
            time.sleep(0.2)
            now = self.memory_bytes()
            if now == last:
                break
            last = now
        return last


def wait_for_line(child, text, seconds=10):
    """Waits until the child has printed a line with `text`, and returns that line."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in child.output().splitlines(keepends=True):
            if text in line and line.endswith("\n"):
                return line.strip()
        child.require_alive()
        time.sleep(0.01)
    raise child.complaint(f"did not say '{text}' within {seconds} s")
