# SPDX-License-Identifier: MIT
"""Modules that hang or crash: the program says so, leaves a record, and ends, to be started anew."""

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
from weirtest.weirctl import weirctl
from weirtest.wait import DEADLINE, SANITIZED, pass_time, wait_for

STALLED = 70
IN = {"module": "balance_dies", "hook": "pick", "place": "pool web balance 1"}


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    built = pathlib.Path(weir_program.module_dir())
    dies = built.parent.parent / "tests" / "modules" / "built" / "balance_dies.so"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), dies]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


@pytest.fixture
def start(make_weir, http_server, tmp_path):
    """A weir of two workers whose pool `web` dies so while the file is there."""
    def begin(how, options="", at="pick", **settings):
        text = (options + "\n" + conf.listener() + conf.listener(name="calm") + admin.listener() +
                conf.modules() + 'module "balance_dies" {}\n' + conf.routes(web='"/"', calm='"/calm"') +
                f'pool "web" {{\n balance "dies" {{ how = {how} at = {at} file = "{tmp_path}/die" }}\n'
                f' server "a" {{ url = "{http_server("a").url}" }}\n}}\n' +
                conf.pool("calm", {"b": http_server("calm")}))
        weir = make_weir(workers=2)
        weir.configure(text, **settings)
        return weir.start()
    return begin


def hit(weir):
    """A request that lets the file's death happen, and waits for nothing."""
    client = weir.client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


def record(weir):
    return json.loads((weir.state / "crash.json").read_text())


@pytest.mark.parametrize("how", ["sleeps", "loops"])
def test_a_worker_that_hangs(start, tmp_path, how):
    """It is told while the control plane goes on; then the program ends by itself, with a record."""
    weir = start(how, "stall_limit = 3s")
    assert weir.get("/").text == "a"
    browser = admin.browser(weir)
    (tmp_path / "die").touch()
    with hit(weir):
        weir.wait_log(r"worker \d has not come back for 1\.\d s")
        status = browser.get("/api/v1/status").json
        assert status["health"] == "degraded"
        (hanging,) = status["hanging"]
        assert hanging["calls"] == [IN] and 1000 <= hanging["for_ms"] < 10000
        told = weirctl("--url", "http://127.0.0.1:%d" % weir.address("admin")[1], "--token-file",
                       weir.state / "admin.token", "status").stdout
        assert re.search(r"hanging +worker \d for \d\.\d s, in module balance_dies, hook pick \(pool web balance 1\)",
                         told), told
        assert weir.wait_exit() == STALLED
    weir.wait_log(r"stall_limit is over: worker \d has not come back for 3\.\d s")
    left = record(weir)
    assert left["kind"] == "stall" and left["thread"] in ("weir-0", "weir-1")
    assert 3000 <= left["for_ms"] < 10000 and left["calls"] == [IN]
    (tmp_path / "die").unlink()
    weir.start()
    assert weir.get("/").text == "a"


def test_a_machine_that_stood_still(start):
    """Time in which nobody ran is nobody's fault."""
    weir = start("sleeps", "stall_limit = 500ms")
    with weir.standing_still():
        pass_time(1.5)
    assert weir.get("/").text == "a"
    weir.stop()


def test_no_limit(start, tmp_path):
    """SIGTERM ends it in its time, and names who does not let it."""
    weir = start("sleeps", "stall_limit = 0", )
    (tmp_path / "die").touch()
    with hit(weir):
        weir.wait_log(r"worker \d has not come back")
        weir.signal(signal.SIGINT)
        assert weir.wait_exit() == STALLED
    weir.wait_log(r"the time to stop is over: worker \d has not come back")


@pytest.mark.skipif(SANITIZED, reason="sanitizers report threads that nobody has joined")
def test_a_worker_whose_thread_is_gone(start, tmp_path):
    """Nobody sleeps or works there, and nobody comes back."""
    weir = start("leaves", "stall_limit = 2s")
    (tmp_path / "die").touch()
    with hit(weir):
        assert weir.wait_exit() == STALLED
    assert record(weir)["kind"] == "stall" and record(weir)["calls"] == [IN]


# ---- the control thread ----

@pytest.mark.parametrize("number, within", [(signal.SIGTERM, "3s"), (signal.SIGINT, "1h")])
def test_a_control_thread_that_hangs_does_not_keep_it_from_ending(start, tmp_path, number, within):
    """Clients are served meanwhile; it is told, and who is asked to end the program gets it."""
    weir = start("sleeps", "stall_limit = 0", at="conf_create", shutdown_timeout=within)
    (tmp_path / "die").touch()
    weir.signal(signal.SIGHUP)
    weir.wait_log(r"the control thread has not come back for [5-9].* s; it calls .*\"hook\":\"conf_create\"")
    assert weir.get("/").text == "a"
    weir.signal(number)
    assert weir.wait_exit() == STALLED
    weir.wait_log("the time to stop is over: the control thread has not come back")
    left = record(weir)
    assert (left["kind"], left["thread"]) == ("stall", "weir")
    assert left["calls"] == [{"module": "balance_dies", "hook": "conf_create", "place": ""}]


def test_a_control_thread_that_hangs_ends_by_itself(start, tmp_path):
    """Later than a worker, as nobody waits for it but operators; and who starts it anew finds the file as it was."""
    weir = start("loops", "stall_limit = 500ms", at="conf_create")
    (tmp_path / "die").touch()
    weir.signal(signal.SIGHUP)
    assert weir.wait_exit() == STALLED
    weir.wait_log(r"stall_limit is over: the control thread has not come back for 1[0-9]\.")
    assert record(weir)["calls"][0]["hook"] == "conf_create"
    (tmp_path / "die").unlink()
    weir.start()
    assert weir.get("/").text == "a"


class Manager:
    """Hears what systemd would (sd_notify(3)); it watches over those that have the environment."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.settimeout(DEADLINE)
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000000"}

    def hear(self):
        return self.sock.recv(1000).decode()

    def hear_all(self):
        """What has been said until now, line by line."""
        lines = []
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                lines += self.hear().splitlines()
        self.sock.settimeout(DEADLINE)
        return lines


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path / "notify")
    yield made
    made.sock.close()


def test_the_watchdog_of_systemd_is_fed(start, manager):
    """As long as the control thread turns, and only where systemd asks for it."""
    weir = start("sleeps")
    weir.stop()
    weir.start(environment={"NOTIFY_SOCKET": manager.environment["NOTIFY_SOCKET"]})
    weir.stop()
    heard = manager.hear_all()
    if not heard:
        pytest.skip("built without libsystemd")
    assert {"READY=1", "STOPPING=1"} <= set(heard) and "WATCHDOG=1" not in heard
    weir.start(environment=manager.environment)
    heard = [manager.hear() for _ in range(5)]
    assert "READY=1" in heard[0] and heard[1:] == ["WATCHDOG=1"] * 4


def test_the_watchdog_of_systemd_is_not_fed_while_the_control_thread_hangs(start, tmp_path, manager):
    weir = start("sleeps", "stall_limit = 0", at="conf_create", shutdown_timeout="1s")
    weir.stop()
    weir.start(environment=manager.environment)
    (tmp_path / "die").touch()
    weir.signal(signal.SIGHUP)
    wait_for((tmp_path / "die.now").exists, "the module to hang")
    if not manager.hear_all():
        pytest.skip("built without libsystemd")
    weir.wait_log("the control thread has not come back for [5-9]")
    assert manager.hear_all() == []
    weir.signal(signal.SIGINT) # systemd sends SIGABRT, of which sanitizers make a report
    assert weir.wait_exit() == STALLED


def test_all_threads_hang_in_a_reload(start, tmp_path):
    """Nobody is served, and who watches over the workers hangs as well."""
    weir = start("sleeps", "stall_limit = 2s", at="create")
    text = weir.conf_path.read_text()
    weir.conf_path.write_text(text.replace('module "balance_dies" {}', 'module "balance_dies" { strikes = 7 }'))
    (tmp_path / "die").touch()
    weir.signal(signal.SIGHUP)
    assert weir.wait_exit() == STALLED
    weir.wait_log(r"stall_limit is over: worker \d has not come back for [2-9]\.")
    assert record(weir)["calls"] == [{"module": "balance_dies", "hook": "create", "place": "pool web balance 1"}]
    assert record(weir)["thread"] in ("weir-0", "weir-1")


def test_a_module_that_hangs_at_the_end(start, tmp_path):
    """The loops have ended, and what watches over workers with them."""
    weir = start("sleeps", "stall_limit = 0", at="conf_free", shutdown_timeout="1s")
    (tmp_path / "die").touch()
    weir.signal(signal.SIGTERM)
    assert weir.wait_exit() == STALLED
    weir.wait_log("the time to stop is over: the control thread has not come back")
    assert record(weir)["calls"][0]["hook"] == "conf_free"


def hang_at_the_start(start, tmp_path):
    weir = start("sleeps", at="conf_create")
    weir.stop()
    (tmp_path / "die").touch()
    weir.start(wait=False)
    wait_for((tmp_path / "die.now").exists, "the module to hang")
    return weir


def test_a_start_that_hangs_ends_by_sigterm(start, tmp_path):
    """And the next one knows who it was."""
    weir = hang_at_the_start(start, tmp_path)
    weir.signal(signal.SIGTERM)
    assert weir.wait_exit() == STALLED
    assert record(weir)["kind"] == "stall" and record(weir)["thread"] == "weir"
    assert record(weir)["calls"][0]["hook"] == "conf_create"
    (tmp_path / "die").unlink()
    weir.start()
    weir.wait_log("the run before ended by .*, of module balance_dies, thread weir")
    assert weir.get("/").text == "a"


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN], ids=["as_usual", "ignored"])
def test_a_start_that_hangs_ends_by_sigint(start, tmp_path, inherited):
    """Also where a shell has started it in the background."""
    before = signal.signal(signal.SIGINT, inherited)
    try:
        weir = hang_at_the_start(start, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    weir.signal(signal.SIGINT)
    assert weir.wait_exit() == -signal.SIGINT


@pytest.mark.skipif(SANITIZED, reason="sanitizers report faults themselves")
def test_a_start_that_hangs_names_who_when_it_is_aborted(start, tmp_path):
    """As systemd does it when the time to start is over."""
    weir = hang_at_the_start(start, tmp_path)
    weir.signal(signal.SIGABRT)
    assert weir.wait_exit() == -signal.SIGABRT
    assert record(weir)["signal"] == "SIGABRT" and record(weir)["calls"][0]["hook"] == "conf_create"


# ---- crashes ----

CRASHES = {"crashes": signal.SIGSEGV, "aborts": signal.SIGABRT, "overflows": signal.SIGSEGV, "traps": signal.SIGTRAP,
           "exits": signal.SIGABRT}


@pytest.mark.skipif(SANITIZED, reason="sanitizers report faults themselves")
@pytest.mark.parametrize("how", CRASHES)
def test_a_module_that_crashes(start, tmp_path, how):
    weir = start(how)
    (tmp_path / "die").touch()
    with hit(weir):
        assert weir.wait_exit() == -CRASHES[how]
    left = record(weir)
    assert left["kind"] == "signal" and left["signal"] == CRASHES[how].name
    assert left["thread"] in ("weir-0", "weir-1") and left["calls"] == [IN]
    assert any(place.startswith("balance_dies.so+0x") for place in left["stack"])
    if how == "crashes":
        file, _, offset = left["at"].partition("+")
        assert file == "balance_dies.so" and left["address"] == "0x0"
        path = pathlib.Path(os.environ["WEIR_MODULE_DIR"]) / file
        told = subprocess.run(["addr2line", "-f", "-e", path, offset], text=True, capture_output=True,
                              check=True).stdout
        assert told.splitlines()[0] in ("die", "pick"), told
    weir.wait_log(f"weir: ended by {CRASHES[how].name}, .*recorded in {weir.state}/crash.json")
