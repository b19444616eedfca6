# SPDX-License-Identifier: MIT
"""The program under test: one process of `weir`, its configuration, its log, its signals."""

import contextlib
import json
import os
import pathlib
import re
import resource
import signal as signals
import subprocess
import time

from .client import Client
from .ports import free_port
from .wait import DEADLINE, wait_for

SANITIZER_EXIT = 99

READY = r"weir: ready"
RELOADED = r"reload done"
RELOAD_FAILED = r"reload refused"


def program():
    """The binary; the run's environment names it."""
    path = os.environ.get("WEIR_BIN")
    assert path, "WEIR_BIN names no program: run these tests by tests/run --suite e2e"
    return path


def module_dir():
    """Where the build's modules are."""
    return os.environ.get("WEIR_MODULE_DIR") or \
        str(pathlib.Path(program()).resolve().parent / "modules" / "built")


def shim(name):
    """A library of the tests that is loaded before all others."""
    return pathlib.Path(program()).resolve().parent / "tests" / "e2e" / f"{name}_shim.so"


class Weir:
    """A weir that runs (or is to run) on a configuration in a folder of its own."""

    def __init__(self, folder, workers=2, access_log=True):
        self.folder = pathlib.Path(folder)
        self.workers = workers
        self.with_access_log = access_log
        self.state = self.folder / "state"
        self.state.mkdir(exist_ok=True)
        self.log_path = self.folder / "weir.log"
        self.access_path = self.folder / "access.log"
        self.conf_path = self.folder / "weir.conf"
        self.ports = {}
        self.process = None
        self.stopped = False
        self.exit_code = None

    # -- configuration --

    def port(self, name="main"):
        """The port that stands for @NAME@."""
        if name not in self.ports:
            self.ports[name] = free_port()
        return self.ports[name]

    def expand(self, text):
        """Puts ports where @NAME@ stands."""
        return re.sub(r"@([a-z0-9_]+)@", lambda match: str(self.port(match.group(1))), text)

    def configure(self, text, head=True, shutdown_timeout="10s"):
        """Writes the configuration; `head` puts what every test needs before it."""
        start = ""
        if head:
            start = (f'workers = {self.workers}\nstate_dir = "{self.state}"\n'
                     f'module_dir = "{module_dir()}"\nshutdown_timeout = {shutdown_timeout}\n')
            if self.with_access_log:
                start += f'module "access_log" {{ path = "{self.access_path}"  format = json }}\n'
        self.conf_path.write_text(start + self.expand(text), encoding="utf-8")

    # -- the process --

    def start(self, environment=None, files=None, wait=True, preload=None, stdout=None,
              stderr=None):
        """Starts it and waits until it is ready. `files` limits the number of descriptors; its output goes
        to its log, or to the files that are given."""
        env = dict(os.environ)
        env.update(environment or {})
        if preload:
            env["LD_PRELOAD"] = str(preload)

        self.stopped = False

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        mark = len(self.log())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [program(), "-c", str(self.conf_path)], stdin=subprocess.DEVNULL,
                stdout=stdout or log, stderr=stderr or log, env=env, cwd=self.folder, preexec_fn=limit if files else None)
        if wait:
            self.wait_log(READY, mark)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        """Sends a signal to this process alone."""
        self.process.send_signal(number)

    def _states(self):
        """Of its threads, a letter each (proc(5))."""
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield task.read_text(encoding="ascii").rpartition(") ")[2][0]

    @contextlib.contextmanager
    def standing_still(self):
        """What happens meanwhile, it finds all at once. The kernel stops one thread after the other."""
        self.signal(signals.SIGSTOP)
        wait_for(lambda: set(self._states()) == {"T"}, "all threads to stand still")
        try:
            yield
        finally:
            self.signal(signals.SIGCONT)

    def wait_exit(self, seconds=DEADLINE):
        """Waits for its end and returns its exit code."""
        try:
            self.exit_code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"weir did not end within {seconds:.0f} s") from None
        self.stopped = True
        self.assert_no_report()
        return self.exit_code

    def stop(self, number=signals.SIGTERM):
        """Ends it in the way that a service manager does; it has to go well."""
        if self.running():
            self.signal(number)
        code = self.wait_exit()
        assert code == 0, f"weir ended with {code}"

    def kill(self):
        """Ends it in any case, for the end of a test that failed already."""
        if self.running():
            self.process.kill()
            self.process.wait()
        self.stopped = True

    def assert_no_report(self):
        """No sanitizer had anything to say."""
        assert self.process.returncode != SANITIZER_EXIT, f"sanitizer report:\n{self.log()}"
        text = self.log()
        assert "runtime error: " not in text and "AddressSanitizer" not in text, text

    def reload(self, text=None, good=True):
        """SIGHUP, on a new configuration or the same; waits for the log to tell how it went."""
        if text is not None:
            self.configure(text)
        mark = len(self.log())
        self.signal(signals.SIGHUP)
        match = self.wait_log(f"{RELOADED}|{RELOAD_FAILED}", mark)
        done = re.search(RELOADED, match.group(0)) is not None
        assert done == good, f"the reload {'was refused' if good else 'went through'}:\n" \
            f"{self.log()[mark:]}"
        return self.log()[mark:]

    # -- logs --

    def _writes(self):
        """A thread that writes a log is at it."""
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                name, _, rest = task.read_text(encoding="ascii").partition("(")[2].rpartition(") ")
                if name == "weir-log" and rest[0] != "S":
                    return True
        return False

    def log(self):
        """The program's own log so far: all that was logged before what the caller has seen of it."""
        if self.running():
            end = time.monotonic() + 1
            while self._writes() and time.monotonic() < end:
                time.sleep(0.001)
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        return ""

    def wait_log(self, pattern, start=0, seconds=DEADLINE):
        """Waits for a line that matches, behind `start`; returns the match."""
        expression = re.compile(pattern)

        def found():
            match = expression.search(self.log(), start)
            if match is None and not self.running():
                match = expression.search(self.log(), start)
                assert match, f"weir ended ({self.process.returncode}); no {pattern!r} in its " \
                    f"log:\n{self.log()[start:]}"
            return match

        return wait_for(found, f"{pattern!r} in weir's log", seconds)

    def access(self, count=None, match=None):
        """Entries of the access log; with `count` waits until there are so many (that match)."""

        def read():
            with contextlib.suppress(FileNotFoundError):
                text = self.access_path.read_text(encoding="utf-8")
                lines = text[:text.rfind("\n") + 1].splitlines()
                entries = [json.loads(line) for line in lines]
                return [entry for entry in entries if match is None or match(entry)]
            return []

        if count is not None:
            wait_for(lambda: len(read()) >= count, f"{count} entries in the access log")
        return read()

    def wait_unretried(self, count):
        """Under load: waits for so many requests in a row that needed no second try. A server that goes out
        still has those that were on their way to it, and each worker hears of it at its own next turn."""

        def settled():
            last = self.access()[-count:]
            return len(last) == count and not any(entry["retries"] for entry in last)

        wait_for(settled, f"{count} requests without a retry")

    # -- clients --

    def address(self, name="main"):
        return ("127.0.0.1", self.port(name))

    def client(self, name="main", **how):
        """A raw client on a listener."""
        return Client(self.address(name), **how)

    def get(self, target="/", headers=(), name="main", **how):
        """One request on a connection of its own."""
        with self.client(name) as client:
            return client.get(target, headers, **how)

    # -- what the kernel knows --

    def memory_kib(self):
        """Resident memory."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def descriptors(self):
        """Number of open descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def mappings(self):
        """What is mapped into its memory, modules too."""
        return pathlib.Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")

    def cpu_seconds(self):
        """Processor time used so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii") \
            .rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_weir(*arguments, cwd=None, environment=None, seconds=DEADLINE):
    """Runs weir to its end; for what does not serve."""
    env = dict(os.environ)
    env.update(environment or {})
    done = subprocess.run([program(), *map(str, arguments)], cwd=cwd, env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                          check=False)
    assert done.returncode != SANITIZER_EXIT, f"sanitizer report:\n{done.stderr}"
    assert "runtime error: " not in done.stderr, done.stderr
    return done
