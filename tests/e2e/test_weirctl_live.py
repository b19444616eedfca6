# SPDX-License-Identifier: MIT
"""weirctl and a real Weir: each command once, and what it changed is seen by visitors."""

import json
import signal
import subprocess

import pytest

from weirtest import conf
from weirtest.wait import wait_for
from weirtest.weirctl import weirctl, weirctl_path


class Live:
    """A Weir with an admin plane on a Unix socket, and weirctl on it."""

    def __init__(self, weir, web, pool_options=""):
        self.weir = weir
        self.socket = str(weir.folder / "admin.sock")
        self.conf_d = weir.folder / "conf.d"
        self.conf_d.mkdir()
        (self.conf_d / "60-access_log.conf").write_text(
            f'module "access_log" {{ path = "{weir.access_path}"  format = json }}\n')
        weir.configure(
            'module "store_sqlite" {}\nmodule "admin" { web_dir = ""  request_limit = 0 }\n' +
            conf.listener('handler "admin" {}', "admin", f'"unix:{self.socket}"') +
            conf.one_pool({"web-1": web}, pool_options))
        weir.start()

    def run(self, *arguments, good=True, **how):
        done = weirctl("--socket", self.socket, *arguments, **how)
        if good:
            assert done.returncode == 0, done.stderr
        return done

    def text(self, *arguments, **how):
        return self.run(*arguments, **how).stdout

    def json(self, *arguments, **how):
        return json.loads(self.text("--json", *arguments, **how))


@pytest.fixture
def live(make_weir, http_server):
    return Live(make_weir(workers=2, access_log=False), http_server("web-1"))


def test_everything_can_be_looked_at(live):
    live.weir.get("/")
    status = live.text("status")
    assert "sqlite: ok" in status and str(live.weir.pid) in status
    assert "web-1" in live.text("servers")
    assert "round_robin" in live.text("pools")
    assert "http://127.0.0.1" in live.text("servers", "web/web-1")
    assert live.json("pools", "web")["servers"][0]["id"] == "web-1"
    assert "web" in live.text("routes")
    assert "admin.sock" in live.text("listeners")
    modules = live.text("modules")
    assert all(name in modules for name in ("store_sqlite", "admin", "route_path"))
    live.text("certificates")
    assert "configuration OK" in live.text("check")
    assert "s042" not in live.text("top", "--count", "1")


def test_explain(live):
    text = live.text("explain", "http://localhost/x")
    assert "->  web-1" in text
    assert "->  /" in text and "the longest prefix" in text
    assert "0 in flight over weight 1" in text or "its turn" in text


def test_a_servers_life(live, http_server):
    new = http_server("web-2")
    text = live.text("server", "add", "web", new.url, "--id", "web-2", "--weight", "3")
    assert "added" in text and "weirctl undo" in text
    wait_for(lambda: live.weir.get("/").server == "web-2", "the new server to be used")
    live.text("server", "maintenance", "web/web-1")
    assert {live.weir.get("/").server for _ in range(10)} == {"web-2"}
    live.text("server", "ready", "web-1")
    live.text("server", "weight", "web", "web-2", "0")
    live.text("server", "limit", "web-2", "7")
    server = live.json("servers", "web/web-2")
    assert (server["weight"], server["max_connections"], server["origin"]) == (0, 7, "runtime")
    live.text("server", "drain", "web-2", "--timeout", "5s")
    live.text("server", "remove", "web/web-2", "--now")
    wait_for(lambda: len(live.json("servers", "web")["entries"]) == 1, "the server to be gone")
    commands = [entry["target"] for entry in live.json("journal")["entries"]]
    assert commands.count("web/web-2") == 5 and commands.count("web/web-1") == 2
    assert "web/web-2" in live.text("journal")


def test_undo_and_confirmation(live):
    live.text("server", "weight", "web-1", "9")
    assert "weight 1 -> 9" in live.text("journal")
    live.text("undo", "last")
    assert live.json("servers", "web/web-1")["weight"] == 1
    live.text("server", "weight", "web-1", "5", "--confirm", "1s")
    assert live.json("servers", "web/web-1")["weight"] == 5
    wait_for(lambda: live.json("servers", "web/web-1")["weight"] == 1, "it to take itself back")
    text = live.text("server", "weight", "web-1", "6", "--confirm", "60s")
    number = text.split("weirctl confirm ")[1].split()[0]
    live.text("confirm", number)
    assert live.json("journal", "--limit", "1")["entries"][0]["state"] == "done"


def test_refusals(live):
    for arguments, said in (
            (("server", "add", "nowhere", "http://127.0.0.1:1"), "nowhere"),
            (("server", "add", "web", "ftp://x"), "url"),
            (("server", "add", "web", "http://127.0.0.1:1", "--id", "web-1"), "web-1"),
            (("server", "weight", "web-1", "5000"), "weight"),
            (("server", "weight", "web/nobody", "5"), "nobody"),
            (("undo", "99999"), "99999")):
        done = live.run(*arguments, good=False)
        assert done.returncode == 1 and said in done.stderr, done.stderr
    assert live.json("servers", "web/web-1")["weight"] == 1


def test_export_gives_files_that_run(live, make_weir, http_server, tmp_path):
    live.text("server", "weight", "web-1", "4")
    live.text("server", "add", "web", http_server("b").url, "--id", "b")
    live.text("export", tmp_path / "out")
    assert "weight = 4" in live.text("export")
    exported = list((tmp_path / "out").rglob("*.conf"))
    text = "".join(path.read_text(encoding="utf-8") for path in exported)
    assert '"b"' in text and "weight = 4" in text


def active(live, name):
    """Whether the running configuration uses a module; a pool that did not change may keep it loaded."""
    return any(entry["name"] == name and entry["state"] == "active"
               for entry in live.json("modules")["entries"])


def test_modules_come_and_go(live):
    live.weir.get("/")
    live.text("module", "disable", "access_log")
    assert not active(live, "access_log")
    assert (live.conf_d / "60-access_log.conf.disabled").exists()
    live.text("module", "enable", "access_log")
    assert active(live, "access_log")
    count = len(live.weir.access())
    live.weir.get("/")
    live.weir.access(count + 1)
    done = live.run("module", "enable", "no_such_module", good=False)
    assert done.returncode == 1 and "no_such_module" in done.stderr
    assert not list(live.conf_d.glob("*no_such*"))


def test_users_and_tokens(live):
    live.text("user", "add", "ann", "--role", "operator", "--password", stdin="a long password\n")
    assert "ann" in live.text("user", "list") and "operator" in live.text("user", "list")
    token = live.weir.folder / "ann.token"
    token.write_text(live.run("user", "token", "ann", "--ttl", "1h").stdout, encoding="ascii")
    assert token.read_text(encoding="ascii").startswith("weir_")
    live.text("user", "role", "ann", "viewer")
    live.text("user", "remove", "ann")
    assert "ann" not in live.text("user", "list")


def test_events_tell_changes(live):
    follower = subprocess.Popen([weirctl_path(), "--socket", live.socket, "--json", "events",
                                 "--statistics"], stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(follower.stdout.readline())["event"] == "statistics"
        live.text("server", "weight", "web-1", "8")
        while True:
            event = json.loads(follower.stdout.readline())
            if event["event"] == "change":
                break
        assert event["data"]["target"] == "web/web-1"
    finally:
        follower.send_signal(signal.SIGTERM)
        follower.wait()


def test_tokens_over_tcp_and_tls(make_weir, http_server, certs):
    """The first start's token opens the API from elsewhere; without it there is a hint."""
    weir = make_weir(access_log=False)
    tls = (f'tls {{ certificate "a" {{ chain = "{certs.folder}/localhost.crt" '
           f'key = "{certs.folder}/localhost.key" }} }}')
    weir.configure('module "admin" { web_dir = ""  request_limit = 0 }\n' +
                   conf.listener('handler "admin" {}', "plain") +
                   conf.listener(f'handler "admin" {{}}\n  {tls}', "secure") +
                   conf.one_pool({"web-1": http_server("web-1")}))
    weir.start()
    token = weir.state / "admin.token"
    wait_for(token.exists, "the administrator's token")
    plain = ("--url", f"http://127.0.0.1:{weir.port('plain')}")
    secure = ("--url", f"https://localhost:{weir.port('secure')}", "--ca", certs.folder / "ca.crt")
    for where in (plain, secure):
        assert "web-1" in weirctl(*where, "--token-file", token, "servers").stdout
        done = weirctl(*where, "servers")
        assert done.returncode == 4 and "--token-file" in done.stderr, done.stderr
    viewer = weir.folder / "viewer.token"
    assert weirctl(*plain, "--token-file", token, "user", "add", "ann").returncode == 0
    viewer.write_text(weirctl(*plain, "--token-file", token, "user", "token", "ann").stdout,
                      encoding="ascii")
    assert weirctl(*plain, "--token-file", viewer, "servers").returncode == 0
    done = weirctl(*plain, "--token-file", viewer, "server", "weight", "web-1", "3")
    assert done.returncode == 4 and "operator" in done.stderr, done.stderr
