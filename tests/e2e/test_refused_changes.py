# SPDX-License-Identifier: MIT
"""Changes of which nothing can come: what they would need cannot be made, the store fails, the program
stops. Each is answered once, nothing of it stays, and the next one finds all as it was."""

import contextlib
import os
import pathlib
import resource
import signal
import socket
import threading

import pytest

from weirtest import admin, weir as weir_program
from weirtest.wait import wait_for
from weirtest.wire import Cut

SERVERS = "/api/v1/pools/web/servers"
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """The build's modules, and the one that trips, in one folder."""
    built = pathlib.Path(weir_program.module_dir())
    tests = built.parent.parent / "tests" / "modules" / "built"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), tests / "trip.so"]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def text(servers, extra="", **how):
    return (admin.one_pool(servers, **how) +
            'module "store_sqlite" {}\n' + extra)


def trip(file, at):
    return f'module "trip" {{ file = "{file}"  at = {at} }}\n'


def state(root):
    """What changes change, without what passes by itself."""
    servers = [(s["id"], s["url"], s["weight"], s["state"], s["leaving"], s["drift"])
               for s in root.get(SERVERS).json["entries"]]
    return servers, root.get("/api/v1/users").text, root.get("/api/v1/journal").text


def member_changes(root, undoable):
    """Calls that change the members of the pool, each with what it answers when it goes well."""
    return [
        (lambda: root.post(SERVERS, {"url": "http://127.0.0.1:9", "id": "x"}), 201),
        (lambda: root.delete(f"{SERVERS}/b?now=1"), 204),
        (lambda: root.post(f"/api/v1/journal/{undoable}/undo", None), 200),
    ]


def changes(root, undoable, pending, token):
    """Calls of all writes, each with what it answers when it goes well."""
    return member_changes(root, undoable) + [
        (lambda: root.patch(f"{SERVERS}/a", {"weight": 3}), 200),
        (lambda: root.patch(f"{SERVERS}/a", {"state": "drain"}), 200),
        (lambda: root.delete(f"{SERVERS}/a"), 202),
        (lambda: root.post(f"/api/v1/journal/{pending}/confirm", None), 200),
        (lambda: root.post("/api/v1/users", {"name": "eve", "role": "viewer"}), 201),
        (lambda: root.post("/api/v1/users",
                           {"name": "eva", "role": "viewer", "password": "long enough"}), 201),
        (lambda: root.patch("/api/v1/users/ann", {"role": "admin"}), 200),
        (lambda: root.patch("/api/v1/users/ann", {"password": "long enough"}), 200),
        (lambda: root.post("/api/v1/users/ann/token", {}), 201),
        (lambda: root.delete(f"/api/v1/users/ann/tokens/{token}"), 204),
        (lambda: root.delete("/api/v1/users/ann"), 204),
    ]


def prepared(weir, root):
    """Something to be undone (adding "u"), and something that waits for its confirmation."""
    added = root.post(SERVERS, {"url": "http://127.0.0.1:10", "id": "u"})
    assert added.status == 201, added.text
    assert root.post("/api/v1/users", {"name": "ann", "role": "viewer"}).status == 201
    token = root.post("/api/v1/users/ann/token", {}).json["id"]
    pending = root.patch(f"{SERVERS}/b?confirm=1h", {"max_connections": 77})
    assert pending.status == 200, pending.text
    return added.headers.get("Weir-Journal"), pending.headers.get("Weir-Journal"), token


@pytest.mark.parametrize("at", ["worker", "create"])
def test_what_a_loop_refuses_is_answered_and_changes_nothing(start_weir, http_server, tmp_path, at):
    """A module's instance cannot be made just now: each change that needs new ones, and a reload."""
    file = tmp_path / "wire"
    weir = start_weir(text({"a": http_server("a"), "b": http_server("b")}, trip(file, at)))
    root = admin.browser(weir)
    undoable, _, _ = prepared(weir, root)
    before = state(root)
    file.touch()
    for call, _ in member_changes(root, undoable):
        answer = call()
        assert answer.status == 503 and "nothing has changed" in answer.json["detail"], answer.text
        assert answer.headers.get("Location") is None
        assert state(root) == before
    reload = root.post("/api/v1/config/reload", None)
    assert reload.status == 503 and "the running configuration stays" in reload.json["detail"]
    assert weir.get("/").status == 200
    file.unlink()
    for call, status in member_changes(root, undoable):
        assert call().status == status
    assert root.post("/api/v1/config/reload", None).status == 200


def test_what_cannot_be_kept_is_answered_and_changes_nothing(start_weir, http_server):
    """The disk is full: each write fails, and goes well afterwards."""
    weir = start_weir(text({"a": http_server("a"), "b": http_server("b")}))
    root = admin.browser(weir)
    undoable, *others = prepared(weir, root)
    before = state(root)
    sizes = resource.prlimit(weir.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, (4096, sizes[1]))
    for call, _ in changes(root, undoable, *others):
        answer = call()
        assert answer.status == 503 and "nothing has changed" in answer.json["detail"], answer.text
        assert answer.headers.get("Location") is None
        assert state(root) == before
    token = (weir.state / "admin.token").read_text(encoding="ascii")
    for method in ("POST", "DELETE"):
        assert root.call(method, "/api/v1/admin-token").status == 503
        assert (weir.state / "admin.token").read_text(encoding="ascii") == token
        assert state(root) == before
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, sizes)
    wait_for(lambda: root.patch(f"{SERVERS}/a", {"weight": 1}).status == 200, "the store to be well")
    for call, status in changes(root, undoable, *others):
        answer = call()
        assert answer.status == status, answer.text


@pytest.fixture
def silent_dns():
    """A name server that never says anything."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    yield f'nameservers = "127.0.0.1:{sock.getsockname()[1]}"\n'
    sock.close()


class Asking(threading.Thread):
    """A call that is under way; `status` when it has been answered, None where the connection ended."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call = call
        self.status = None
        self.start()

    def run(self):
        with contextlib.suppress(OSError, Cut):
            self.status = self.call().status


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_end_does_not_wait_for_a_change_and_leaves_nothing(start_weir, http_server, silent_dns,
                                                               number):
    """A member waits for a name that nobody tells, others wait for it; the program stops. (What is left
    behind, AddressSanitizer tells.)"""
    weir = start_weir(text({"a": http_server("a")}, silent_dns))
    root = admin.browser(weir)
    asking = [Asking(lambda: root.post(SERVERS, {"url": "http://silent.example:80", "id": "s"}))]
    for i in range(5):
        asking.append(Asking(lambda i=i: root.post(SERVERS, {"url": f"http://127.0.0.1:{i + 1}"})))
        asking.append(Asking(lambda i=i: root.post(
            "/api/v1/users", {"name": f"u{i}", "role": "viewer", "password": "long enough"})))
    wait_for(lambda: len(connections(weir)) >= 3, "calls that wait")
    weir.stop(number)
    for one in asking:
        one.join()
        assert one.status in (None, 201, 503)


def connections(weir):
    """Connections of clients to the admin listener."""
    port = f":{weir.port('admin'):04X}"
    lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return [line for line in lines if line.split()[1].endswith(port) and line.split()[3] == "01"]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_end_does_not_wait_for_a_reload(start_weir, http_server, silent_dns, number):
    weir = start_weir(text({"a": http_server("a")}, silent_dns))
    root = admin.browser(weir)
    weir.configure(text({"a": http_server("a")}, silent_dns).replace(
        'pool "web" {', 'pool "web" { server "s" { url = "http://silent.example" resolve = all }'))
    asking = Asking(lambda: root.post("/api/v1/config/reload", None))
    weir.wait_log("reload: reading")
    weir.stop(number)
    asking.join()
    assert asking.status in (None, 503)


def test_the_end_may_come_before_the_start(make_weir, http_server, silent_dns):
    """Stopped while it waits for the names of its servers."""
    for options in ("resolve = all", ""):
        weir = make_weir(workers=2)
        weir.configure(text({"a": http_server("a")}, silent_dns).replace(
            'pool "web" {', f'pool "web" {{ server "s" {{ url = "http://silent.example" {options} }}'))
        weir.start(wait=False)
        wait_for(lambda w=weir: "weir-sentry" in threads(w), "the start to be under way")
        weir.stop()


def threads(weir):
    """Their names; that which takes signals is the first."""
    return [path.read_text(encoding="ascii").strip() for path in pathlib.Path(f"/proc/{weir.pid}/task").glob("*/comm")]


@pytest.mark.parametrize("at", ["conf", "worker", "create"])
def test_a_start_that_fails_leaves_nothing(make_weir, http_server, tmp_path, at):
    """Half-way: what was made until then is given back (AddressSanitizer looks)."""
    file = tmp_path / "wire"
    file.touch()
    weir = make_weir(workers=2)
    weir.configure(text({"a": http_server("a")}, trip(file, at)))
    weir.start(wait=False)
    assert weir.wait_exit() == 1


def test_a_start_that_fails_by_an_option_leaves_nothing(make_weir, http_server):
    for line in ('nameservers = "junk"\n', 'log_target = "/nowhere/at/all/weir.log"\n'):
        weir = make_weir(workers=2)
        weir.configure(text({"a": http_server("a")}, line))
        weir.start(wait=False)
        assert weir.wait_exit() == 1
