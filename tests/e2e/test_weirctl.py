# SPDX-License-Identifier: MIT
"""weirctl by itself, against a scripted API: what it sends, what it prints, how it fails."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import termios

import pytest

from weirtest.backend import Reply
from weirtest.wait import DEADLINE, wait_for
from weirtest.weirctl import SERVER, Admin, problem, weirctl, weirctl_path

POOL = {"name": "web", "policy": "least_conn", "sticky": None, "health_check": "http",
        "servers": [SERVER], "up": 1, "total": 1, "in_flight": 3, "queued": 0,
        "totals": {"requests": 1234, "responses": SERVER["responses"], "errors": {}, "retries": 2,
                   "bytes_in": 1, "bytes_out": 2},
        "rates": SERVER["rates"], "latency_ms": SERVER["latency_ms"]}
STATUS = {"version": "0.1.0", "started_at": 1764000000000, "uptime_ms": 3723000, "pid": 42,
          "generation": 3, "workers": 2, "connections": 7, "requests": 1234,
          "rates": {"requests": 12.5}, "in_flight": 3, "abusive": 0, "config_file": "/etc/weir/weir.conf",
          "state_dir": "/var/lib/weir", "store": {"kind": "sqlite", "state": "ok", "detail": ""},
          "journal_pending": [{"id": 9, "until": 1764000000000}], "health": "ok"}
STATS = {"time": 1764000000000,
         "total": {"requests": 99, "rate": 12.0, "errors_rate": 0.0, "in_flight": 1,
                   "connections": 2},
         "listeners": {},
         "pools": {"web": {"requests": 99, "rate": 12.0, "errors_rate": 0.0, "in_flight": 1,
                           "queued": 0, "p50": 1.0, "p95": 2.0, "p99": 3.0, "servers": {
                               f"s{i:03}": {"requests": i, "rate": 1.0 * i, "errors_rate": 0.0,
                                            "in_flight": 0, "p50": None, "p95": None, "p99": None,
                                            "health": "down" if i == 7 else "up", "state": "ready",
                                            "weight": 1} for i in range(100)}}}}


@pytest.fixture
def admin(tmp_path):
    """Makes scripted admin listeners."""
    made = []

    def make(answers, **how):
        made.append(Admin(tmp_path, answers, **how))
        return made[-1]

    yield make
    for each in made:
        each.close()


def good(done):
    """The output of a run that went well."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# -- looking --

def test_tables_are_aligned_and_plain(admin):
    other = {**SERVER, "id": "a-long-name", "requests": 7, "health": {
        "status": "down", "reason": "probe: refused", "since": 1, "probes": []}}
    peer = admin({"GET /servers": {"entries": [SERVER, other]}, "GET /pools": {"entries": [POOL]}})
    lines = good(peer.run("servers")).splitlines()
    assert "\033" not in "".join(lines)
    column = lines[0].index("REQUESTS") + len("REQUESTS")
    assert lines[1][column - 4:column] == "1234" and lines[2][column - 4:column] == "   7"
    assert lines[0].index("STATE") == lines[1].index("ready") == lines[2].index("ready")
    assert lines[2].endswith("probe: refused")
    assert [line.split()[1] for line in good(peer.run("servers", "--unhealthy")).splitlines()] \
        == ["SERVER", "a-long-name"]
    assert "1/1" in good(peer.run("pools"))


def test_details(admin):
    peer = admin({"GET /status": STATUS, "GET /pools/web/servers/web-1": SERVER,
                  "GET /pools/web": POOL, "GET /pools/web/servers": {"entries": [SERVER]}})
    status = good(peer.run("status"))
    assert "1h 2m" in status and "sqlite: ok" in status and "weirctl confirm 9" in status
    for form in (("web/web-1",), ("web", "web-1")):
        text = good(peer.run("servers", *form))
        assert "connect_refused 3" in text and "probe: status 200" in text
    assert "web-1" in good(peer.run("pools", "web"))
    assert "web-1" in good(peer.run("servers", "web"))


def test_lists(admin):
    peer = admin({
        "GET /routes": {"entries": [{"name": "/", "host": None, "path": "/", "match": "prefix",
                                     "pool": "web", "requests": 5, "responses": {"5xx": 2},
                                     "rates": {"requests": 1.0}, "latency_ms": {"p50": None}}]},
        "GET /listeners": {"entries": [{"name": "public", "addresses": ["0.0.0.0:80", "[::]:80"],
                                        "tls": True, "handler": None, "connections": 3,
                                        "requests": 9, "responses": {},
                                        "rates": {"requests": 1, "bytes_in": 2048.0}}]},
        "GET /certificates": {"entries": [{"listener": "public", "name": "default", "days_left": 3,
                                           "not_after": 1764000000000, "issuer": "CN=CA",
                                           "names": ["a.example", "b.example"]}]},
        "GET /modules": {"entries": [{"name": "admin", "version": "1", "abi": "1.0",
                                      "kinds": ["handler"], "state": "active", "generation": 1,
                                      "faults": 0, "summary": "Admin"},
                                     {"name": "compress", "state": "draining", "metrics": []},
                                     {"name": "compress", "state": "active", "metrics": [
                                         {"name": "running", "type": "gauge", "value": -1,
                                          "help": "Now."}]}]}})
    assert "prefix" not in good(peer.run("routes"))
    assert "0.0.0.0:80, [::]:80" in good(peer.run("listeners"))
    assert "2.0k" in good(peer.run("listeners"))
    assert "a.example, b.example" in good(peer.run("certificates"))
    assert "handler" in good(peer.run("modules"))
    lines = good(peer.run("modules", "--metrics")).splitlines()
    assert [line.split() for line in lines[1:]] == [["compress", "running", "gauge", "-1", "Now."]]


def test_json_is_what_weir_said(admin):
    peer = admin({"GET /pools": {"entries": [POOL]}, "DELETE /pools/web/servers/web-1":
                  Reply(b"", 204)})
    assert json.loads(good(peer.run("--json", "pools"))) == {"entries": [POOL]}
    assert json.loads(good(peer.run("server", "remove", "web/web-1", "--now", "--json"))) == {}
    done = peer.run("servers", "nowhere", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["status"] == 404


def test_text_from_weir_cannot_command_the_terminal(admin):
    evil = {**SERVER, "health": {"status": "up", "reason": "\033]0;owned\007\u009b31mx", "since": 1}}
    peer = admin({"GET /servers": {"entries": [evil]},
                  "GET /pools": problem(500, "Bad \033[2J", "detail\nmore")})
    text = good(peer.run("servers"))
    assert "\033" not in text and "\u009b" not in text and "?]0;owned??31mx" in text
    done = peer.run("pools")
    assert done.returncode == 1 and "\033" not in done.stderr and done.stderr.count("\n") == 1


# -- changing --

CHANGED = Reply(json.dumps({**SERVER, "drain_deadline": 1764000000000}).encode(),
                headers=(("Content-Type", "application/json"), ("Weir-Journal", "17")))


@pytest.mark.parametrize("arguments,sent", [
    ("server add web http://localhost:3005", ("POST", "/pools/web/servers",
                                              {"url": "http://localhost:3005"})),
    ("server add web http://[::1]:1 --id x --weight=3 --max-connections 9 --state drain --backup",
     ("POST", "/pools/web/servers", {"url": "http://[::1]:1", "id": "x", "weight": 3,
                                     "max_connections": 9, "state": "drain", "backup": True})),
    ("server add web http://[::1]:1 --max-requests 9",
     ("POST", "/pools/web/servers", {"url": "http://[::1]:1", "max_requests": 9})),
    ("server remove web/web-1", ("DELETE", "/pools/web/servers/web-1", None)),
    ("server remove web web-1 --now", ("DELETE", "/pools/web/servers/web-1?now=1", None)),
    ("server remove web/web-1 --timeout 5s",
     ("DELETE", "/pools/web/servers/web-1?timeout=5s", None)),
    ("server drain web/web-1", ("PATCH", "/pools/web/servers/web-1", {"state": "drain"})),
    ("server drain web-1 --timeout 30s",
     ("PATCH", "/pools/web/servers/web-1", {"state": "drain", "drain_timeout": "30s"})),
    ("server ready web/web-1", ("PATCH", "/pools/web/servers/web-1", {"state": "ready"})),
    ("server maintenance web/web-1",
     ("PATCH", "/pools/web/servers/web-1", {"state": "maintenance"})),
    ("server weight web/web-1 5", ("PATCH", "/pools/web/servers/web-1", {"weight": 5})),
    ("server weight web web-1 -5", ("PATCH", "/pools/web/servers/web-1", {"weight": -5})),
    ("server limit web-1 10", ("PATCH", "/pools/web/servers/web-1", {"max_requests": 10})),
    ("server weight web/web-1 5 --confirm 60s",
     ("PATCH", "/pools/web/servers/web-1?confirm=60s", {"weight": 5})),
    ("server remove web/a%20b?c --confirm=1m --now",
     ("DELETE", "/pools/web/servers/a%2520b%3Fc?now=1&confirm=1m", None)),
])
def test_changes_of_servers(admin, arguments, sent):
    answers = {f"{sent[0]} {sent[1].partition('?')[0]}": CHANGED,
               "GET /servers": {"entries": [SERVER]}}
    peer = admin(answers)
    text = good(peer.run(*arguments.split()))
    method, target, body = peer.last
    assert (method, target, body) == (sent[0], "/api/v1" + sent[1], sent[2])
    assert ("weirctl confirm 17" if "--confirm" in arguments else "weirctl undo 17") in text


def test_a_name_alone_must_be_unique(admin):
    peer = admin({"GET /servers": {"entries": [SERVER, {**SERVER, "pool": "api"}]}})
    done = peer.run("server", "ready", "web-1")
    assert done.returncode == 2 and "web/web-1, api/web-1" in done.stderr
    done = peer.run("server", "ready", "web-9")
    assert done.returncode == 1 and "no pool has a server" in done.stderr
    assert all(request.method == "GET" for request in peer.requests)


def test_problems_say_what_to_do(admin):
    peer = admin({"POST /pools/web/servers": problem(
        422, "Unprocessable", "the body is wrong",
        errors=[{"pointer": "/weight", "detail": "5000 is above 1000"}])})
    done = peer.run("server", "add", "web", "http://a:1", "--weight", "5000")
    assert done.returncode == 1
    assert "the body is wrong" in done.stderr and "/weight: 5000 is above 1000" in done.stderr


ENTRY = {"id": 5, "time": 1764000000000, "author": "uid:0 (root)", "command": "server.patch",
         "target": "web/web-1", "before": {"weight": 1}, "after": {"weight": 3}, "state": "done",
         "confirm_until": None, "undo_of": None}


def test_journal(admin):
    undo = {**ENTRY, "id": 6, "undo_of": 4}
    drain = {**ENTRY, "id": 3, "before": {"drain_deadline": None},
             "after": {"drain_deadline": 1700000000000}}
    peer = admin({"GET /journal": {"entries": [undo, ENTRY, drain], "cursor": 5},
                  "POST /journal/5/undo": {**ENTRY, "id": 7, "undo_of": 5, "undone": ENTRY},
                  "POST /journal/last/undo": {
                      **ENTRY, "id": 7, "undo_of": 5, "undone": ENTRY, "skipped": [
                          {"id": 6, "command": "config.reload", "target": "f", "why": "no"}]},
                  "POST /journal/5/confirm": ENTRY,
                  "POST /journal/4/undo": problem(409, "Conflict", "change 6 depends on it")})
    text = good(peer.run("journal", "--limit", "2"))
    assert peer.last[1] == "/api/v1/journal?limit=2"
    assert "weight 1 -> 3" in text and "(takes 4 back)" in text and "--before 5" in text
    assert "drain_deadline null -> 2023-11-1" in text
    assert "5 (server.patch web/web-1: weight 1 -> 3)" in good(peer.run("undo", "5"))
    text = good(peer.run("undo", "last"))
    assert "passed by    6 (config.reload f): no" in re.sub(" +", lambda m: "    " if
                                                           len(m.group()) > 1 else " ", text)
    assert "5 (server.patch web/web-1: weight 1 -> 3)" in text
    assert "kept" in good(peer.run("confirm", "5"))
    done = peer.run("undo", "4")
    assert done.returncode == 1 and "change 6 depends on it" in done.stderr


def test_explain(admin):
    peer = admin({"POST /explain": {
        "listener": "public",
        "route": {"name": "/api", "left_out": 9936, "tried": [
            {"module": "route_path", "name": "a/", "match": False, "verdict": "differs",
             "why": "host differs"},
            {"module": "route_path", "name": "/api", "match": True, "verdict": "wins",
             "why": "the longest prefix"},
            {"module": "route_path", "name": "/", "match": False, "verdict": "fits",
             "why": "a longer prefix won"}]},
        "pool": "web", "sticky": {"verdict": "known", "server": "web-1"},
        "candidates": [{"id": "web-1", "eligible": True, "why": "", "weight": 1, "in_flight": 0,
                        "latency_ms": 1.5, "score": 0.25,
                        "score_text": "1 in flight over weight 4"},
                       {"id": "web-2", "eligible": False, "why": "down: refused", "weight": 1}],
        "pick": "web-1", "answer": None}})
    text = good(peer.run("explain", "POST", "https://shop.example/api", "-H", "Cookie: a=b",
                         "--header", "X: y", "--client", "192.0.2.1"))
    assert peer.last[2] == {"method": "POST", "url": "https://shop.example/api",
                            "client": "192.0.2.1", "headers": {"Cookie": "a=b", "X": "y"}}
    assert "->  web-1" in text and "down: refused" in text and "0.2500" in text
    assert "1 in flight over weight 4" in text and "9936 more" in text
    rules = [line.split() for line in text.splitlines() if "route_path" in line]
    assert rules == [["a/", "route_path", "no", "host", "differs"],
                     ["->", "/api", "route_path", "yes", "the", "longest", "prefix"],
                     ["/", "route_path", "yes", "a", "longer", "prefix", "won"]]
    assert peer.run("explain", "http://a/", "-H", "nonsense").returncode == 2
    peer = admin({"POST /explain": {"listener": "public", "route": None, "pool": None, "pick": None,
                                     "sticky": {"verdict": "none", "server": None}, "candidates": [],
                                     "answer": {"status": 404, "reason": "no_route"}}})
    assert "404, no_route" in good(peer.run("explain", "http://a/"))


def test_check_and_reload(admin):
    peer = admin({"POST /config/check": {"ok": False, "mistakes": ["weir.conf:3: no such option"]},
                  "POST /config/reload": {"generation": 4, "contradictions": [
                      {"pool": "web", "server": "web-1", "field": "weight", "file": 1,
                       "runtime": 3},
                      {"pool": "web", "server": "web-2", "field": "server", "file": None,
                       "runtime": None}]}})
    done = peer.run("check")
    assert done.returncode == 1 and "weir.conf:3: no such option" in done.stderr
    text = good(peer.run("reload"))
    assert "generation 4" in text and "weight stays 3, the files say 1" in text
    assert "web/web-2: a change of it; the files have no such server any more" in text


def test_export(admin, tmp_path):
    files = [{"path": "/etc/weir/weir.conf", "text": "workers = 1\n"},
             {"path": "/etc/weir/conf.d/80-pools.conf", "text": "pool"}]
    peer = admin({"GET /config/export": {"files": files}})
    assert "---- /etc/weir/weir.conf ----\nworkers = 1\n" in good(peer.run("export"))
    folder = tmp_path / "out"
    good(peer.run("export", folder))
    assert (folder / "weir.conf").read_text() == "workers = 1\n"
    assert (folder / "conf.d" / "80-pools.conf").stat().st_mode & 0o777 == 0o640
    (folder / "weir.conf").write_text("mine")
    done = peer.run("export", folder)
    assert done.returncode == 1 and "--force" in done.stderr
    assert (folder / "weir.conf").read_text() == "mine"
    good(peer.run("export", folder, "--force"))
    assert (folder / "weir.conf").read_text() == "workers = 1\n"


def test_export_stays_in_its_folder(admin, tmp_path):
    files = [{"path": "/etc/weir/weir.conf", "text": ""},
             {"path": "/etc/weir/../../escaped", "text": "x"}, {"path": "/tmp/else", "text": "x"}]
    peer = admin({"GET /config/export": {"files": files}})
    done = peer.run("export", tmp_path / "a" )
    assert done.returncode == 1 and done.stderr.count("left out") == 2
    assert not (tmp_path / "escaped").exists()


def test_users(admin):
    peer = admin({"GET /users": {"entries": [{"name": "ann", "role": "admin", "tokens": [
                      {"id": 3, "expires_at": None}]}]},
                  "POST /users": {"name": "bob", "role": "operator"},
                  "PATCH /users/bob": {"name": "bob", "role": "viewer"},
                  "DELETE /users/bob": Reply(b"", 204), "DELETE /users/bob/tokens/3":
                  Reply(b"", 204), "POST /users/bob/token": {"token": "weir_secret"}})
    assert "ann" in good(peer.run("user", "list"))
    good(peer.run("user", "add", "bob", "--role", "operator", "--password", stdin="pass word\n"))
    assert peer.last[2] == {"name": "bob", "role": "operator", "password": "pass word"}
    good(peer.run("user", "role", "bob", "viewer"))
    assert peer.last[2] == {"role": "viewer"}
    good(peer.run("user", "password", "bob", stdin="other"))
    assert peer.last[2] == {"password": "other"}
    done = peer.run("user", "token", "bob", "--ttl", "30d")
    assert done.stdout == "weir_secret\n" and peer.last[2] == {"ttl": "30d"}
    good(peer.run("user", "revoke", "bob", "3"))
    good(peer.run("user", "remove", "bob"))
    assert peer.run("user", "password", "bob", stdin="").returncode == 2


# -- modules --

@pytest.fixture
def conf_d(tmp_path):
    folder = tmp_path / "etc" / "conf.d"
    folder.mkdir(parents=True)
    (folder / "60-access_log.conf").write_text(
        '# module "other" {}\nmodule "access_log" {\n  format = "json" # {\n}\n')
    (folder / "80-pools.conf").write_text('module "mixed" {}\npool "web" { module = "x" }\n')
    return folder


def test_module_disable_and_enable(admin, conf_d):
    status = {**STATUS, "config_file": str(conf_d.parent / "weir.conf")}
    peer = admin({"GET /status": status, "POST /config/check": {"ok": True},
                  "POST /config/reload": {"generation": 5, "contradictions": []}})
    text = (conf_d / "60-access_log.conf").read_text()
    good(peer.run("module", "disable", "access_log"))
    assert not (conf_d / "60-access_log.conf").exists()
    assert peer.last[1] == "/api/v1/config/reload"
    done = peer.run("module", "disable", "access_log")
    assert done.returncode == 1 and "no file" in done.stderr
    good(peer.run("module", "enable", "access_log", "--no-reload"))
    assert (conf_d / "60-access_log.conf").read_text() == text
    assert peer.last[1] == "/api/v1/config/check"
    done = peer.run("module", "enable", "access_log")
    assert done.returncode == 1 and "enabled already" in done.stderr
    good(peer.run("module", "enable", "balance_two"))
    assert (conf_d / "30-balance_two.conf").read_text() == 'module "balance_two" {}\n'
    done = peer.run("module", "disable", "mixed")
    assert done.returncode == 1 and "by hand" in done.stderr
    assert peer.run("module", "enable", "../x").returncode == 2


def test_what_weir_refuses_is_put_back(admin, conf_d):
    status = {**STATUS, "config_file": str(conf_d.parent / "weir.conf")}
    peer = admin({"GET /status": status, "POST /config/check": {
        "ok": False, "mistakes": ["80-pools.conf:2: there is no module"]}})
    before = sorted(conf_d.iterdir())
    done = peer.run("module", "disable", "access_log")
    assert done.returncode == 1 and "80-pools.conf:2" in done.stderr
    assert peer.run("module", "enable", "no_such").returncode == 1
    assert sorted(conf_d.iterdir()) == before


def test_module_without_a_running_weir(conf_d, tmp_path):
    done = weirctl("--socket", tmp_path / "none.sock", "module", "disable", "access_log",
                   "--conf-dir", conf_d)
    assert done.returncode == 0 and "weir -t" in done.stderr
    assert (conf_d / "60-access_log.conf.disabled").exists()


# -- how it fails --

def test_unreachable(tmp_path):
    done = weirctl("--socket", tmp_path / "none.sock", "pools")
    assert done.returncode == 3
    assert "cannot reach Weir at unix:" in done.stderr and "No such file" in done.stderr
    done = weirctl("status", environment={"WEIR_URL": "http://127.0.0.1:1"})
    assert done.returncode == 3 and "http://127.0.0.1:1: Connection refused" in done.stderr


def test_a_socket_of_others():
    """Who may not open the socket is told who may, and what else there is."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        os.chmod(folder, 0o755)
        listening.bind(f"{folder}/s")
        os.chmod(f"{folder}/s", 0o600)
        listening.listen()
        try:
            done = subprocess.run([weirctl_path(), "--socket", f"{folder}/s", "pools"], text=True,
                                  user=65534, capture_output=True, timeout=DEADLINE, check=False)
        except PermissionError:
            pytest.skip("nobody may not run a program of this folder")
    assert done.returncode == 3
    assert "Permission denied" in done.stderr and "--token-file" in done.stderr, done.stderr


@pytest.mark.parametrize("answer,said", [
    (b"", "closed the connection"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"entries\":[]}", "in the middle"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ent\r\n", "in the middle"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "malformed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9x\r\n\r\n", "no number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>", "not JSON"),
    (b"HTTP/1.1 200 " + b"x" * 120000, "endless line"),
])
def test_nonsense_is_no_answer(scripted_server, tmp_path, answer, said):
    def play(peer):
        peer.request()
        peer.send(answer)

    peer = scripted_server(play, unix=str(tmp_path / "s"))
    done = weirctl("--socket", peer.unix, "servers")
    assert done.returncode == 3 and said in done.stderr, done.stderr
    assert done.stdout == ""


def test_slow_and_chunked_answers_are_whole(scripted_server, tmp_path):
    body = json.dumps({"entries": [SERVER]}).encode()

    def play(peer):
        peer.request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(body), 100):
            peer.send(b"%x;a=b\r\n%s\r\n" % (len(body[i:i + 100]), body[i:i + 100]))
        peer.send(b"0\r\nTrailer: x\r\n\r\n")

    peer = scripted_server(play, unix=str(tmp_path / "s"))
    assert "web-1" in good(weirctl("--socket", peer.unix, "servers"))


def test_silence_has_a_limit(scripted_server, tmp_path):
    def play(peer):
        peer.request()
        peer.some()

    peer = scripted_server(play, unix=str(tmp_path / "s"))
    done = weirctl("--socket", peer.unix, "--timeout", "0.3", "pools")
    assert done.returncode == 3 and "timed out" in done.stderr


def test_tokens(admin, tmp_path):
    token = tmp_path / "token"
    token.write_text("weir_abc\n")

    def pools(request):
        if request.headers.get("Authorization") == "Bearer weir_abc":
            return {"entries": []}
        return problem(401, "Unauthorized", "a token is wanted")

    peer = admin({"GET /pools": pools, "POST /config/reload":
                  problem(403, "Forbidden", "reload wants the role admin")})
    good(peer.run("pools", "--token-file", token))
    good(peer.run("pools", "--token-file", "-", stdin="weir_abc\n"))
    good(peer.run("pools", environment={"WEIR_TOKEN_FILE": str(token)}))
    done = peer.run("pools")
    assert done.returncode == 4 and "--token-file" in done.stderr
    done = peer.run("reload", "--token-file", token)
    assert done.returncode == 4 and "role admin" in done.stderr
    token.write_text("weir_a\x01b\n")
    assert peer.run("pools", "--token-file", token).returncode == 2
    assert peer.run("pools", "--token-file", tmp_path / "none").returncode == 2


def test_https_is_verified(admin, certs):
    def context(name):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certs.folder / f"{name}.crt", certs.folder / f"{name}.key")
        return made

    answers = {"GET /pools": {"entries": []}}
    right = admin(answers, tls=context("localhost"), unix=None)
    wrong = admin(answers, tls=context("wrong"), unix=None)
    ca = certs.folder / "ca.crt"
    for host in ("localhost", "127.0.0.1"):
        good(weirctl("--url", f"https://{host}:{right.port}", "--ca", ca, "pools"))
    done = weirctl("--url", f"https://localhost:{right.port}", "pools")
    assert done.returncode == 3 and "not trusted" in done.stderr
    done = weirctl("--url", f"https://localhost:{wrong.port}", "--ca", ca, "pools")
    assert done.returncode == 3 and "mismatch" in done.stderr
    assert not wrong.requests


# -- any operation --

DOCUMENT = {"openapi": "3.1.0", "paths": {
    "/api/v1/notes": {"get": {"operationId": "note.list", "summary": "All notes.",
                              "x-weir-role": "viewer",
                              "parameters": [{"name": "limit", "in": "query"}]}},
    "/api/v1/notes/{note}": {"patch": {
        "operationId": "note.set", "summary": "Changes a note.", "x-weir-role": "operator",
        "parameters": [{"name": "note", "in": "path"}, {"name": "confirm", "in": "query"}],
        "requestBody": {"content": {"application/json": {"schema": {"properties": {
            "text": {"type": "string"}, "rank": {"type": "integer"}}}}}}}},
    "/openapi.json": {"get": {"operationId": "openapi.show"}}}}


def test_operations_of_modules_are_called_by_name(admin):
    asked = []

    def change(request):
        asked.append(json.loads(request.body))
        return {"note": "a b", "text": "1", "evil": "\u009b31m"}

    def listed(request):
        asked.append(request.target)
        return {"entries": []}

    peer = admin({"GET /openapi.json": DOCUMENT, "PATCH /notes/a%20b": change,
                  "GET /notes": listed})
    text = good(peer.run("call"))
    assert "note.set" in text and "operator" in text and "openapi.show" not in text
    text = good(peer.run("call", "note.set", "note=a b", "text=1", "rank=7"))
    assert '"note": "a b"' in text and "\x9b" not in text
    good(peer.run("call", "note.list", "limit=3"))
    assert asked[0] == {"text": "1", "rank": 7} and asked[1].endswith("/notes?limit=3")
    for arguments, said in ((["note.get"], "no operation"), (["note.set", "text=1"], "note=VALUE"),
                            (["note.set", "note=a", "x=1"], 'no argument "x"'),
                            (["note.set", "note"], "NAME=VALUE")):
        done = peer.run("call", *arguments)
        assert done.returncode == 2 and said in done.stderr, done.stderr


# -- the command line --

@pytest.mark.parametrize("arguments,said", [
    ("", "usage:"), ("servers -x", "no option -x"), ("pols", 'did you mean "pools"'),
    ("server", "weirctl server add POOL URL"), ("server ad web x", 'did you mean "server add"'),
    ("server add web", "wants POOL URL"), ("status now", '"now" is one argument too many'),
    ("pools --jsn", "did you mean --json"), ("pools --socket", "wants a value"),
    ("pools --json=1", "takes no value"), ("pools --confirm 60s", "--confirm is for changes"),
    ("pools --url ftp://x", "is no URL"), ("pools --url http://x:99999", "is no URL"),
    ("pools --socket a --url http://b", "two places"), ("pools --timeout x", "wants seconds"),
    ("server weight web/a many", '"many" is no number'), ("zzzzzzzz", "weirctl --help"),
    ("server remove web/a --now --timeout 3s", "exclude"), ("events --count 0", "above 0"),
])
def test_misuse(tmp_path, arguments, said):
    done = weirctl(*arguments.split(), environment={"WEIR_SOCKET": str(tmp_path / "none")})
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_help_names_every_command():
    text = good(weirctl("--help"))
    for name in ("status", "pools", "servers", "server add", "events", "user token", "top"):
        assert f"\n  {name} " in text
    assert "--max-connections N" in good(weirctl("help", "server", "add"))
    assert good(weirctl("server", "add", "--help")) == good(weirctl("help", "server", "add"))
    assert "user revoke" in good(weirctl("help", "user"))
    assert good(weirctl("--version")).startswith("weirctl ")


DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def test_the_manual_names_every_command_and_option():
    page = (DOCS / "weirctl.1.in").read_text(encoding="utf-8")
    text = good(weirctl("--help"))
    commands = re.findall(r"^  ([a-z-]+(?: [a-z]+)?)\b", text.partition("Options:")[0], re.M)
    assert len(commands) > 30
    for name in commands:
        assert f"Cm {name}" in page, name
        for option in re.findall(r"--([a-z-]+)", good(weirctl("help", *name.split()))):
            assert re.search(rf"Fl (. , )?-{option}\b|, -{option}\b", page), (name, option)


@pytest.mark.parametrize("page", ["weirctl.1", "weir.8", "weir.conf.5"])
def test_manuals_are_well_formed(page):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is missing: ./bootstrap --tests installs it")
    built = pathlib.Path(os.environ["WEIR_BUILD"]) / "docs" / page
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", built], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout
    # Paths are those of this installation.
    text = built.read_text(encoding="utf-8")
    prefix = re.search(r"^prefix = (.*)$", (built.parents[1] / "Makefile").read_text(encoding="utf-8"),
                       re.M).group(1)
    assert not re.search(r"@[a-z]+@", text)
    assert f"{prefix}/" in text or page == "weirctl.1"
    assert "/usr/local" not in text or prefix == "/usr/local"


def test_completion(admin, tmp_path):
    peer = admin({"GET /pools": {"entries": [POOL]}, "GET /servers": {"entries": [SERVER]}})

    def complete(*words):
        return good(weirctl("--complete", "--socket", peer.unix, *words)).split()

    assert "servers" in complete("se") and "server" in complete("se")
    assert complete("server", "ma") == ["maintenance"]
    assert complete("server", "add", "") == ["web"]
    assert complete("server", "drain", "we") == ["web/web-1"]
    assert complete("server", "add", "web", "http://x:1", "--st") == ["--state"]
    assert complete("server", "add", "web", "http://x:1", "--state", "d") == ["drain"]
    assert complete("user", "role", "ann", "") == ["viewer", "operator", "admin"]
    assert complete("help", "mod") == ["modules", "module"] and complete("export", "") == [":files"]
    assert not complete("nonsense", "")
    # With no Weir there are commands, and no names.
    assert good(weirctl("--complete", "--socket", tmp_path / "none", "server", "add", "")) == ""


def test_completion_in_bash(admin):
    """The shell's own function, with the words as bash splits them."""
    source = os.path.join(os.path.dirname(__file__), "../../tools/weirctl/weirctl.bash")
    peer = admin({"GET /servers": {"entries": [SERVER]}})
    script = (f'source {source}; COMP_WORDS=(weirctl server drain we); COMP_CWORD=3; _weirctl; '
              'echo "${COMPREPLY[@]}"; COMP_WORDS=(weirctl stat); COMP_CWORD=1; _weirctl; '
              'echo "${COMPREPLY[@]}"; COMP_WORDS=(weirctl zz ""); COMP_CWORD=2; _weirctl; '
              'echo "${#COMPREPLY[@]}"')
    env = {**os.environ, "WEIR_SOCKET": peer.unix,
           "PATH": os.path.dirname(weirctl_path()) + ":" + os.environ["PATH"]}
    done = subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True,
                          timeout=DEADLINE, check=True)
    assert done.stdout.split() == ["web/web-1", "status", "0"], done


# -- events --

def test_events_follow_over_a_lost_connection(scripted_server, tmp_path):
    def first(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                  b": hello\n\nevent: statistics\ndata: {}\n\n"
                  b"event: server\nid: 41\ndata: {\"pool\":\"web\",\ndata: \"health\":\"down\"}\n\n"
                  b"event: change\nid: 4")

    def second(peer):
        request = peer.request()
        assert request.headers.get("Last-Event-ID") == "41"
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nevent: change\r\nid: 42\r\ndata: {\"id\":7}\r\n\r\n")
        peer.some()

    peer = scripted_server(first, second, unix=str(tmp_path / "s"))
    done = weirctl("--socket", peer.unix, "events", "--count", "2", "--json")
    assert done.returncode == 0 and "lost" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"event": "server", "id": "41", "data": {"pool": "web", "health": "down"}},
        {"event": "change", "id": "42", "data": {"id": 7}}]


def test_events_that_are_refused_end(admin):
    peer = admin({"GET /events": problem(403, "Forbidden", "no")})
    assert peer.run("events").returncode == 4


# -- top --

class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *arguments, rows=20, columns=80, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(arguments[0], list(map(str, arguments)),
                      {**os.environ, "TERM": "xterm", **env})
        self.resize(rows, columns)
        self.output = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """What came so far."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while poll.poll(10):
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.output += piece
        return self.output

    def wait(self, text, start=0):
        wait_for(lambda: text in self.read()[start:], f"{text!r} on the terminal")

    def screen(self):
        """Lines of the last whole drawing."""
        drawings = self.read().split(b"\033[H")
        return drawings[-2 if len(drawings) > 2 else -1].split(b"\r\n")

    def send(self, text):
        os.write(self.fd, text)

    def wait_exit(self):
        """Its exit code, or minus the signal's number."""
        def ended():
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (status,)
        status = wait_for(ended, "the program's end")[0]
        self.read()
        return os.waitstatus_to_exitcode(status)

    def close(self):
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal():
    made = []

    def make(*arguments, **how):
        made.append(Terminal(*arguments, **how))
        return made[-1]

    yield make
    for each in made:
        each.close()


LEFT = b"\033[?1049l"


def test_top_draws_scrolls_sorts_and_leaves(admin, terminal):
    peer = admin({"GET /stats": STATS}, keep=False)
    top = terminal(weirctl_path(), "--socket", peer.unix, "top", "--interval", "0.1")
    top.wait(b"s003")
    assert len(top.screen()) == 20
    assert b"s050" not in top.read()
    top.send(b"s")
    top.wait(b"sorted by rate")
    top.wait(b"s099")
    mark = len(top.read())
    top.send(b"f")
    top.wait(b"only unhealthy", mark)
    top.wait(b"\033[31mdown", mark)
    top.send(b"f\033[F")
    top.wait(b"s000", len(top.read()))
    top.send(b"p")
    top.wait(b"PAUSED")
    top.resize(40, 100)
    wait_for(lambda: len(top.screen()) == 40, "a screen of the new size")
    top.send(b"q")
    assert top.wait_exit() == 0
    assert LEFT in top.output[-40:]


def test_top_shows_a_lost_connection_and_comes_back(admin, terminal):
    peer = admin({"GET /stats": STATS}, keep=False)
    top = terminal(weirctl_path(), "--socket", peer.unix, "top", "--interval", "0.1")
    top.wait(b"s003")
    peer.stop()
    os.unlink(peer.unix)
    top.wait(b"CONNECTION LOST")
    peer.start()
    mark = len(top.read())
    wait_for(lambda: b"CONNECTION LOST" not in top.read()[mark:].rpartition(b"\033[H")[2]
             and len(top.output) > mark + 4000, "the connection to come back")
    top.send(b"q")
    assert top.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_top_restores_the_terminal_on_signals(admin, terminal, number):
    peer = admin({"GET /stats": STATS}, keep=False)
    top = terminal(weirctl_path(), "--socket", peer.unix, "top")
    before = termios.tcgetattr(top.fd)
    top.wait(b"s003")
    assert not termios.tcgetattr(top.fd)[3] & termios.ECHO
    os.kill(top.pid, number)
    assert top.wait_exit() == -number
    assert LEFT in top.output[-40:]
    with contextlib.suppress(termios.error):
        assert termios.tcgetattr(top.fd)[3] & termios.ECHO == before[3] & termios.ECHO


def test_top_stops_and_goes_on(admin, terminal):
    """Ctrl-Z under a shell with job control, and `fg`."""
    peer = admin({"GET /stats": STATS}, keep=False)
    script = (f"set -m; {weirctl_path()} --socket {peer.unix} top --interval 0.1; echo STOPPED; "
              "fg; echo CODE=$?")
    shell = terminal("/bin/bash", "-c", script)
    shell.wait(b"s003")
    shell.send(b"\x1a")
    shell.wait(b"STOPPED")
    assert LEFT in shell.output[:shell.output.index(b"STOPPED")]
    shell.wait(b"\033[?1049h", shell.output.index(b"STOPPED"))
    shell.send(b"q")
    assert shell.wait_exit() == 0
    assert b"CODE=0" in shell.output


def test_top_without_a_terminal(admin):
    peer = admin({"GET /stats": STATS})
    text = good(peer.run("top", "--count", "2", "--interval", "0.1"))
    assert text.count("s042") == 2 and "\033" not in text
    lines = good(peer.run("top", "--count", "1", "--json")).splitlines()
    assert [json.loads(line) for line in lines] == [STATS]


def test_colours_only_where_they_are_wanted(admin, terminal):
    peer = admin({"GET /servers": {"entries": [SERVER]}})
    coloured = terminal(weirctl_path(), "--socket", peer.unix, "servers", columns=200)
    assert coloured.wait_exit() == 0 and b"\033[32mup" in coloured.output
    plain = terminal(weirctl_path(), "--socket", peer.unix, "servers", NO_COLOR="1")
    assert plain.wait_exit() == 0 and b"\033" not in plain.output
