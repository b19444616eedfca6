# SPDX-License-Identifier: MIT
"""Nobody waits for a log: whatever a log's target does, requests are answered, reloads, SIGUSR1 and the end
come, and what was dropped is counted and told. What cannot be opened is refused, and nothing is half done."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.load import Load
from weirtest.wait import Stopwatch, wait_for
from weirtest.weir import run_weir

from test_metrics import metrics_listener, scrape

# A log that takes nothing delays the end by a second, the program's own by one more.
STOP_SECONDS = 12


class Stuck:
    """A log's target that takes nothing: its `path`, or the descriptor (`output`) that stands for it."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.path = str(folder / f"{kind}.log")
        self.output = None
        self.reader = self.writer = None
        if kind == "device":
            self.path = "/dev/full"
        elif kind == "standard":
            self.path = None
            self.reader, self.writer = os.pipe()
            self._fill()
            self.output = self.writer
        elif kind == "socket":
            self.path = None
            self._ends = socket.socketpair()
            self.reader, self.writer = (end.detach() for end in self._ends)
            self._fill()
            self.output = self.writer
        else:
            os.mkfifo(self.path)
        if kind == "reader_stands":
            self.reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
            self.writer = os.open(self.path, os.O_WRONLY)
            self._fill()

    def _fill(self):
        """Until it takes no more; those who write into it block, as ever."""
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"." * 100)
        os.set_blocking(self.writer, True)

    def close(self):
        for end in (self.reader, self.writer):
            if end is not None:
                os.close(end)


@pytest.fixture
def make_stuck(tmp_path):
    made = []

    def make(kind):
        made.append(Stuck(kind, tmp_path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def answers(weir, target="/"):
    """A response of 200; before the sockets are there, nobody answers."""
    try:
        return weir.get(target).status == 200
    except (ConnectionError, TimeoutError):
        return False


KINDS = ["standard", "socket", "no_reader", "reader_stands", "device"]


@pytest.mark.parametrize("which", ["own", "access"])
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_waits(make_weir, http_server, make_stuck, which, kind):
    """Start, requests, reload, SIGUSR1, the end: with a log that takes nothing from the beginning."""
    web = http_server("a", keep=False)
    stuck = make_stuck(kind)
    weir = make_weir(access_log=False)
    head = "log_level = debug\n"
    if which == "own":
        head += f'log_target = "{stuck.path or "stderr"}"\n'
    else:
        head += f'module "access_log" {{ path = "{stuck.path or "-"}" }}\n'
    text = conf.one_pool({"a": web})
    weir.configure(head + text)
    outputs = {"stderr" if which == "own" else "stdout": stuck.output}
    weir.start(wait=False, **outputs)
    wait_for(lambda: answers(weir), "the first answer")
    with Load(weir.client, threads=4) as load:
        load.wait_requests(300)
        weir.configure(head + conf.listener(name="more") + text)
        weir.signal(signal.SIGHUP)
        wait_for(lambda: _connects(weir, "more"), "the reload")
        load.wait_requests(100)
        weir.signal(signal.SIGUSR1)
        load.wait_requests(100)
    load.assert_clean()
    with Stopwatch() as watch:
        weir.signal(signal.SIGTERM)
        assert weir.wait_exit() == 0
    assert watch.seconds < STOP_SECONDS
    if stuck.writer is not None:
        assert os.get_blocking(stuck.writer), "others that write there block, as they did"


def _connects(weir, name):
    try:
        weir.client(name).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_logs_stand_at_the_end(make_weir, http_server, make_stuck, number):
    own, access = make_stuck("no_reader"), make_stuck("reader_stands")
    weir = make_weir(access_log=False)
    weir.configure(f'log_target = "{own.path}"\nmodule "access_log" {{ path = "{access.path}" }}\n' +
                   conf.one_pool({"a": http_server("a")}))
    weir.start(wait=False)
    wait_for(lambda: answers(weir), "the first answer")
    with Stopwatch() as watch:
        weir.signal(number)
        assert weir.wait_exit() == 0
    assert watch.seconds < STOP_SECONDS


def test_a_start_that_fails_ends(make_weir, make_stuck):
    """Nobody reads why."""
    weir = make_weir()
    weir.configure("nonsense\n" * 100)
    weir.start(wait=False, stderr=make_stuck("standard").output)
    assert weir.wait_exit() == 1


# ---- what is dropped is told ----

def whole_lines(text):
    """Of what was read so far the lines that are there whole; the next one may be on its way."""
    return text[:text.rindex(b"\n") + 1].splitlines()


def read_all(fd, enough):
    """What comes from a pipe until `enough(text)`."""
    text = b""
    os.set_blocking(fd, False)

    def more():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            text += os.read(fd, 1 << 20)
        return enough(text)

    wait_for(more, "the log's lines")
    return text


def test_a_reader_that_comes_back(make_weir, http_server, tmp_path):
    """Lines wait; what is too much is dropped, whole, and counted in metrics, status and the log."""
    fifo = tmp_path / "access.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    weir = make_weir(access_log=False)
    text = (metrics_listener() + admin.listener() + 'module "store_sqlite" {}\n' +
            conf.one_pool({"a": http_server("a", keep=False)}))
    weir.configure(f'module "access_log" {{ path = "{fifo}"  format = json }}\n' + text)
    weir.start()
    requests, dropped = 0, 0
    with weir.client() as client:
        while dropped < 100:
            for _ in range(100):
                assert client.get(f"/{requests}?" + "x" * 4000).status == 200
                requests += 1
            dropped = scrape(weir)[("weir_log_dropped_lines_total", "")]
            assert requests < 6000, "nothing is dropped"
    weir.wait_log(r"warning log: [^\n]*access.fifo takes nothing \(its reader")
    browser = admin.browser(weir)
    logs = {log["log"]: log for log in browser.get("/api/v1/status").json["logs"]}
    # The lines of the two that ask may be dropped as well.
    known = logs[str(fifo)]["dropped"]
    assert logs[str(fifo)]["stuck"] and dropped <= known <= dropped + 1
    assert logs[str(fifo)]["waiting"] > 1 << 20
    assert not logs["stderr"]["stuck"]

    text = read_all(reader, lambda text: text.count(b"\n") >= requests - known)
    seen = [json.loads(line) for line in whole_lines(text)]
    told = weir.wait_log(r"access.fifo takes lines again, after [0-9.]+ s; (\d+) were dropped")
    assert known <= int(told.group(1)) <= known + 1
    numbers = [int(entry["target"][1:].partition("?")[0]) for entry in seen
               if entry["target"] != "/metrics" and not entry["target"].startswith("/api")]
    assert numbers == sorted(numbers) and numbers[:500] == list(range(500))
    with weir.client() as client:
        assert client.get("/last").status == 200
    read_all(reader, lambda text: b"/last" in text)
    os.close(reader)
    # The next reader gets what comes while there was none.
    assert weir.get("/nobody").status == 200
    reader = os.open(fifo, os.O_RDONLY)
    read_all(reader, lambda text: b"/nobody" in text)
    os.close(reader)


def test_a_reload_leaves_a_stuck_log(make_weir, http_server, make_stuck):
    """What waited for the old one is in the new one."""
    stuck = make_stuck("no_reader")
    text = conf.one_pool({"a": http_server("a")})
    weir = make_weir()
    weir.configure(f'log_target = "{stuck.path}"\n' + text)
    weir.start(wait=False)
    wait_for(lambda: answers(weir), "the first answer")
    weir.configure(text)
    weir.signal(signal.SIGHUP)
    weir.wait_log(weir_program.READY)
    weir.wait_log(weir_program.RELOADED)


def test_rotation_of_a_full_log(make_weir, http_server, tmp_path):
    """The link leads to a full device, then to a file: SIGUSR1 takes the file, and what waited is there."""
    path = tmp_path / "link"
    path.symlink_to("/dev/full")
    weir = make_weir(access_log=False)
    weir.configure(f'module "access_log" {{ path = "{path}"  format = json }}\n' +
                   conf.one_pool({"a": http_server("a")}))
    weir.start()
    for i in range(5):
        assert weir.get(f"/{i}").status == 200
    weir.wait_log(r"link takes nothing \(No space left")
    path.unlink()
    weir.signal(signal.SIGUSR1)
    wait_for(lambda: path.exists() and path.read_text(encoding="utf-8").count("\n") == 5,
             "the lines that waited")
    weir.wait_log("takes lines again, after [0-9.]+ s; 0 were dropped")


def test_standard_error_that_has_gone(make_weir, http_server):
    """Its reader has gone; nothing takes its place, and the end is not delayed."""
    reader, writer = os.pipe()
    weir = make_weir()
    weir.configure(conf.one_pool({"a": http_server("a")}))
    weir.start(wait=False, stderr=writer)
    os.close(writer)
    wait_for(lambda: answers(weir), "the first answer")
    os.close(reader)
    weir.signal(signal.SIGUSR2)
    assert weir.get("/").status == 200
    weir.stop()


def test_standard_error_that_is_closed(make_weir, http_server):
    """`2>&-`: the log does not end up in the socket that gets its number."""
    weir = make_weir()
    weir.configure("log_level = debug\n" + conf.one_pool({"a": http_server("a")}))
    command = [weir_program.program(), "-c", str(weir.conf_path)]
    weir.process = subprocess.Popen(command, cwd=weir.folder, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, close_fds=True,
                                    preexec_fn=lambda: os.close(2))
    wait_for(lambda: answers(weir), "the first answer")
    assert os.readlink(f"/proc/{weir.pid}/fd/2") == "/dev/null"
    weir.stop()


def test_an_unread_pipe_while_it_runs(make_weir, http_server):
    """As a supervisor that stops reading: hundreds of lines more than a pipe takes."""
    reader, writer = os.pipe()
    weir = make_weir(access_log=False)
    weir.configure('module "access_log" {}\n' + conf.one_pool({"a": http_server("a", keep=False)}))
    weir.start(wait=False, stdout=writer, stderr=writer)
    os.close(writer)
    wait_for(lambda: answers(weir), "the first answer")
    with Load(weir.client, threads=4) as load:
        load.wait_requests(2000)
    load.assert_clean()
    lines = read_all(reader, lambda text: text.count(b'"GET / HTTP') >= load.requests)
    for line in whole_lines(lines):
        assert re.match(rb'127.0.0.1 - - \[|20\d\d-', line), line
    os.close(reader)
    weir.stop()


# ---- what cannot be opened is refused, everywhere and for the same reason ----

def bad_targets(folder):
    """Paths that no log can be at, and a word of the reason."""
    (folder / "file").write_text("", encoding="ascii")
    path = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    return {"folder that is not there": (folder / "no" / "log", "No such file or directory"),
            "folder": (folder, "Is a directory"),
            "socket": (path, "is a socket"),
            "below a file": (folder / "file" / "log", "Not a directory")}


CASES = ["folder that is not there", "folder", "socket", "below a file"]


@pytest.mark.parametrize("which", ["log_target", "access_log"])
@pytest.mark.parametrize("case", CASES)
def test_refused_everywhere(make_weir, http_server, tmp_path, which, case):
    """weir -t, the check of the control plane, start and reload say one thing."""
    path, why = bad_targets(tmp_path)[case]
    text = (conf.one_pool({"a": http_server("a")}) + admin.listener() + 'module "store_sqlite" {}\n')
    line = f'log_target = "{path}"\nlog_level = debug\n' if which == "log_target" else \
        f'module "access_log" {{ path = "{path}" }}\nlog_level = debug\n'
    weir = make_weir(access_log=which == "log_target")
    weir.configure(line + text)
    number = weir.conf_path.read_text(encoding="utf-8").splitlines().index(line.splitlines()[0]) + 1
    message = re.compile(rf"weir.conf:{number}: [^\n]*{re.escape(str(path))}[^\n]*{why}")

    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1 and message.search(done.stderr), done.stderr
    done = run_weir("-c", weir.conf_path)
    assert done.returncode == 1 and message.search(done.stderr), done.stderr
    weir.configure(text)
    weir.start()
    weir.configure(line + text)
    browser = admin.browser(weir)
    told = weir.reload(good=False)
    assert message.search(told), told
    checked = browser.post("/api/v1/config/check")
    assert message.search("\n".join(checked.json["mistakes"]))
    refused = browser.post("/api/v1/config/reload")
    assert refused.status == 422 and message.search(refused.json["detail"])
    assert " debug " not in weir.log(), "the level is as it was"
    assert not (tmp_path / "no").exists()
    weir.reload(text)


def test_checking_makes_no_file(make_weir, http_server, tmp_path):
    own, access, fifo = (tmp_path / name for name in ("own.log", "access.log", "fifo"))
    os.mkfifo(fifo)
    kept = tmp_path / "kept.log"
    kept.write_text("old\n", encoding="ascii")
    weir = make_weir(access_log=False)
    text = conf.one_pool({"a": http_server("a")})
    for where, path in ((own, access), (kept, fifo), (fifo, kept)):
        weir.configure(f'log_target = "{where}"\nmodule "access_log" {{ path = "{path}" }}\n' + text)
        done = run_weir("-t", "-c", weir.conf_path)
        assert done.returncode == 0 and "configuration OK" in done.stdout, done.stderr
    assert not own.exists() and not access.exists()
    assert kept.read_text(encoding="ascii") == "old\n"


def test_a_refused_reload_changes_nothing(make_weir, http_server, tmp_path, monkeypatch):
    """A module that fails on the workers, after all was checked and opened: target and level stay."""
    built = pathlib.Path(weir_program.module_dir())
    for path in [*built.glob("*.so"),
                 built.parent.parent / "tests" / "modules" / "built" / "balance_fails.so"]:
        os.symlink(path, tmp_path / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(tmp_path))
    web = http_server("a")
    other = tmp_path / "other.log"
    weir = make_weir()
    text = conf.one_pool({"a": web}, extra='module "balance_fails" {}\n')
    weir.configure(text)
    weir.start()
    weir.configure(f'log_target = "{other}"\nlog_level = debug\n' + text.replace(
        'balance "round_robin" {}', 'balance "fails" { at = create }'))
    weir.signal(signal.SIGHUP)
    weir.wait_log("the configuration is not taken over")
    assert weir.get("/").status == 200
    assert " debug " not in weir.log()
    assert "not taken over" not in (other.read_text(encoding="utf-8") if other.exists() else "")
    # And one that is taken over: all of it, at once.
    weir.configure(f'log_target = "{other}"\nlog_level = debug\n' + text)
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "reload done" in other.read_text(encoding="utf-8"), "the new log")


def test_a_log_of_this_process_is_not_asked_for_again(make_weir, http_server, tmp_path):
    """Reloads go on with the file that is open, moved or not, and open it anew only where it was moved."""
    own = tmp_path / "own.log"
    weir = make_weir()
    text = f'log_target = "{own}"\n' + conf.one_pool({"a": http_server("a")})
    weir.configure(text)
    weir.start(wait=False)
    wait_for(lambda: own.exists() and "weir: ready" in own.read_text(encoding="utf-8"), "the log")
    before = weir.descriptors()
    for count in range(1, 4):
        weir.signal(signal.SIGHUP)
        wait_for(lambda: own.read_text(encoding="utf-8").count("reload done") == count, "a reload")
    moved = own.rename(tmp_path / "own.log.1")
    weir.signal(signal.SIGHUP)
    wait_for(lambda: own.exists() and "reload done" in own.read_text(encoding="utf-8"),
             "the new file")
    assert moved.read_text(encoding="utf-8").count("reload done") == 3
    assert weir.descriptors() <= before


def test_no_line_is_lost_or_out_of_order(start_weir, http_server):
    """Clients of several workers: each line once, those of a connection in its order, those at the end too."""
    weir = start_weir(conf.one_pool({"a": http_server("a", keep=False)}), workers=3)
    counts = {}

    def exchange(client):
        number = counts[client] = counts.get(client, -1) + 1
        response = client.get(f"/{number}?{id(client)}")
        assert response.status == 200
        return response

    with Load(weir.client, exchange, threads=8) as load:
        load.wait_requests(3000)
    load.assert_clean()
    weir.stop()
    seen = {}
    for entry in weir.access():
        number, _, client = entry["target"][1:].partition("?")
        seen.setdefault(client, []).append(int(number))
    assert {client: list(range(len(numbers))) for client, numbers in seen.items()} == seen
    assert sum(map(len, seen.values())) == load.requests
