# SPDX-License-Identifier: MIT
"""Who Weir runs as: started by root it builds all as its user, so that the start refuses what a reload could not
do; started by its user, as the unit does, it needs one capability at most."""

import contextlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import pytest

from weirtest import admin, conf
from weirtest.wait import DEADLINE
from weirtest.weir import Weir, module_dir, program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")

NOBODY = 65534
NET_BIND_SERVICE = 10
SETPRIV = shutil.which("setpriv")


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    """Who cannot be traced, not even by itself, cannot be looked through for leaks at its end."""
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")


@pytest.fixture
def folder():
    """A folder that everybody may walk through."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make(folder):
    """Makes weirs in that folder."""
    made = []

    def maker(text):
        weir = Weir(folder, workers=1)
        weir.state.rmdir()
        weir.conf_path.write_text(
            f'module_dir = "{module_dir()}"\nworkers = 1\n' +
            weir.expand(text.replace("@folder@", str(folder))), encoding="utf-8")
        made.append(weir)
        return weir

    yield maker
    for weir in made:
        if weir.process is not None and not weir.stopped:
            weir.kill()


def status_of(weir):
    """What the kernel says of the process."""
    text = pathlib.Path(f"/proc/{weir.pid}/status").read_text(encoding="ascii")
    return dict(re.findall(r"(\w+):\s+(.*)", text))


def low_port():
    """One that root alone may bind, and nobody has."""
    import socket
    for port in range(700, 1000):
        with contextlib.closing(socket.socket()) as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no low port is free")


def check(weir, **how):
    """weir -t; what it told."""
    return subprocess.run([program(), "-t", "-c", str(weir.conf_path)], capture_output=True, text=True,
                          timeout=DEADLINE, check=False, **how)


def start(weir, **how):
    """weir, which is to refuse."""
    return subprocess.run([program(), "-c", str(weir.conf_path)], capture_output=True, text=True,
                          timeout=DEADLINE, check=False, **how)


def both_refuse(weir, expected, **how):
    """-t and the start, with the same words."""
    tried, started = check(weir, **how), start(weir, **how)
    assert tried.returncode == 1 and started.returncode == 1
    assert re.search(expected, tried.stderr), tried.stderr
    assert tried.stderr == started.stderr


AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
USER = 'user = "nobody"\ngroup = "nogroup"\n'


def site(url, extra=""):
    return (conf.one_pool({"a": url}, 'sticky "cookie" {}') + 'module "store_sqlite" {}\n' +
            'module "access_log" { path = "@folder@/log/access.log" }\n' +
            admin.listener(bind='"unix:@folder@/run/admin.sock"') + extra)


def test_root_becomes_the_user(make, folder, http_server):
    """Folders, token, socket and logs are the user's; the process id's file is root's; reloads and changes go
    on."""
    for name in ("run", "log", "state"):
        (folder / name).mkdir(mode=0o755, exist_ok=True)
    for name in ("run", "log"):
        os.chown(folder / name, NOBODY, NOBODY)
    (folder / "etc").mkdir(mode=0o700)
    web = http_server("a")
    text = USER + f'state_dir = "@folder@/state"\npid_file = "@folder@/etc/weir.pid"\n' + site(web)
    weir = make(text)
    assert check(weir).returncode == 0, check(weir).stderr
    assert not (folder / "state").exists() or os.stat(folder / "state").st_uid == 0
    (folder / "state").mkdir(exist_ok=True)  # root's and empty: it is given away
    weir.start()
    assert (folder / "etc" / "weir.pid").read_text(encoding="ascii") == f"{weir.pid}\n"
    status = status_of(weir)
    assert status["Uid"].split() == [str(NOBODY)] * 4 and status["Gid"].split() == [str(NOBODY)] * 4
    assert status["NoNewPrivs"] == "1"
    for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        allowed = 1 << NET_BIND_SERVICE if kind in ("CapPrm", "CapEff") else 0
        assert int(status[kind], 16) & ~allowed == 0, kind
    for path, mode in (("state", None), ("state/admin.token", 0o600), ("state/secret", 0o600),
                       ("state/weir.db", 0o600), ("run/admin.sock", 0o660), ("log/access.log", None)):
        found = os.stat(folder / path)
        assert found.st_uid == NOBODY, path
        assert mode is None or stat.S_IMODE(found.st_mode) == mode, path
    assert weir.get("/").status == 200
    # A reload does what the start did, a port below 1024 included.
    port = low_port()
    more = conf.listener(name="low", bind=f'"127.0.0.1:{port}"')
    weir.conf_path.write_text(weir.conf_path.read_text(encoding="utf-8") + more, encoding="utf-8")
    weir.reload()
    weir.ports["low"] = port
    assert weir.get("/", name="low").status == 200
    root = admin.Browser(str(folder / "run" / "admin.sock"))
    added = root.post("/api/v1/pools/web/servers", {"id": "b", "url": http_server("b").url})
    assert added.status == 201, added.text
    weir.stop()
    assert not (folder / "run" / "admin.sock").exists()


def test_a_state_dir_that_is_missing_is_made_for_the_user(make, folder, http_server):
    weir = make(USER + 'state_dir = "@folder@/made"\n' + conf.one_pool({"a": http_server("a")},
                                                                      'sticky "cookie" {}'))
    assert check(weir).returncode == 0 and not (folder / "made").exists(), "a check leaves no trace"
    weir.start()
    found = os.stat(folder / "made")
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY, 0o750)
    weir.stop()


def test_state_that_is_roots_is_refused(make, folder, http_server):
    """It is told with what helps, not found out at the first change."""
    weir = make(USER + 'state_dir = "@folder@/old"\n' + conf.one_pool({"a": http_server("a")}))
    (folder / "old").mkdir(mode=0o750)
    (folder / "old" / "weir.db").write_text("", encoding="ascii")
    both_refuse(weir, rf"weir\.conf:\d+: state_dir: \S+/old and what is in it must be this user's; as "
                      rf"root: chown -R nobody: {folder}/old\n")
    assert os.stat(folder / "old").st_uid == 0


def test_a_key_that_only_root_reads_is_refused(make, folder, http_server, certs):
    """Each reload would be, and each server that is added."""
    for name in ("localhost.crt", "localhost.key"):
        shutil.copy(certs.folder / name, folder / name)
    (folder / "localhost.key").chmod(0o600)
    (folder / "localhost.crt").chmod(0o644)
    tls = ('tls { certificate "a" { chain = "@folder@/localhost.crt"  '
           'key = "@folder@/localhost.key" } }')
    weir = make(USER + 'state_dir = "@folder@/state"\n' +
                conf.one_pool({"a": http_server("a")}, listener_options=tls))
    both_refuse(weir, r"weir\.conf:\d+: .*localhost\.key.*[Pp]ermission denied")
    os.chown(folder / "localhost.key", 0, NOBODY)
    (folder / "localhost.key").chmod(0o640)
    weir.start()
    weir.reload()
    weir.stop()


@pytest.mark.parametrize("text, expected", [
    ('pid_file = "@folder@/mine/weir.pid"\n', r"pid_file: the folder \S+/mine must be writable"),
    ('state_dir = "@folder@/mine"\n', r"state_dir: \S+/mine and what is in it must be this user's"),
    ('state_dir = "@folder@/mine/state"\n', r"state_dir: the folder \S+/mine must be writable"),
    (conf.listener(name="x", bind='"unix:@folder@/mine/s"'),
     r"bind: cannot listen on unix:\S+/mine/s: the folder \S+/mine must be writable"),
    (conf.listener(name="x", bind='"127.0.0.1:@low@"'),
     r"bind: cannot listen on 127\.0\.0\.1:\d+: permission denied; ports below 1024 need root or "
     r"CAP_NET_BIND_SERVICE"),
], ids=["pid_file", "state_dir", "state_dir to be made", "Unix socket", "low port"])
def test_what_the_user_may_not_is_refused_by_check_and_start(make, folder, http_server, text, expected):
    (folder / "mine").mkdir(mode=0o755)
    if "127.0.0.1:@low@" in text and int(pathlib.Path(
            "/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii")) < 1024:
        pytest.skip("everybody may bind low ports here")
    weir = make(text.replace("@low@", str(low_port())) + conf.one_pool({"a": http_server("a")}))
    both_refuse(weir, expected, **AS_NOBODY)


@pytest.mark.parametrize("user", ['user = "nobody"\n', USER], ids=["user", "user and group"])
def test_another_user_is_tried_by_check_and_reload(make, folder, http_server, user):
    """Root may all; what its next start may not, as another, is told before that is an outage."""
    (folder / "run").mkdir(mode=0o755)
    text = ('state_dir = "@folder@/state"\n' + conf.one_pool({"a": http_server("a")}) +
            admin.listener(bind='"unix:@folder@/run/admin.sock"'))
    weir = make(text)
    rooted = weir.conf_path.read_text(encoding="utf-8")
    weir.start()
    root = admin.Browser(str(folder / "run" / "admin.sock"))
    weir.conf_path.write_text(user + rooted, encoding="utf-8")
    tried = check(weir)
    lines = [line.removeprefix("weir: ") for line in tried.stderr.splitlines()]
    assert tried.returncode == 1 and len(lines) == 2, tried.stderr
    assert re.match(r"\S+:\d+: state_dir: \S+/state and what is in it must be this user's", lines[0])
    assert re.match(r"\S+:\d+: bind: cannot listen on unix:", lines[1])
    assert root.post("/api/v1/config/check").json == {"ok": False, "mistakes": lines}
    answer = root.post("/api/v1/config/reload")
    assert answer.status == 422 and answer.json["mistakes"] == lines
    log = weir.reload(good=False)
    assert all(line in log for line in lines)
    # What this process finds itself is told once.
    weir.conf_path.write_text(user + "no_such = 1\n" + rooted, encoding="utf-8")
    told = root.post("/api/v1/config/check").json["mistakes"]
    assert sum("no_such" in line for line in told) == 1 and len(told) == 3, told
    # With all that is the user's, it waits for the restart alone.
    for path in (folder / "run", folder / "state", *(folder / "state").iterdir()):
        os.chown(path, NOBODY, NOBODY)
    weir.conf_path.write_text(user + rooted, encoding="utf-8")
    assert check(weir).returncode == 0, check(weir).stderr
    answer = root.post("/api/v1/config/reload")
    assert answer.status == 200, answer.text
    expected = ['user = "nobody" needs a restart; until then it is nothing']
    if "group" in user:
        expected.append('group = "nogroup" needs a restart; until then it is nothing')
    needed = answer.json["restart_needed"]
    assert len(needed) == len(expected) and all(b in a for a, b in zip(needed, expected)), needed
    assert status_of(weir)["Uid"].split() == ["0"] * 4
    weir.stop()
    weir.start()
    assert status_of(weir)["Uid"].split() == [str(NOBODY)] * 4
    weir.stop()


@pytest.mark.parametrize("prepare, expected", [
    (lambda state: (state / "old").write_text("x", encoding="ascii"), "and what is in it must be this user's"),
    (lambda state: ((state / "secret").write_text("x", encoding="ascii"),
                    [os.chown(path, NOBODY, NOBODY) for path in (state, state / "secret")]),
     "the secret that cookies are sealed with"),
    (lambda state: None, None),
    (lambda state: state.rmdir(), None),
], ids=["root's", "bad secret", "to be given", "to be made"])
def test_another_state_dir_is_looked_at_by_its_user(make, folder, http_server, prepare, expected):
    """Who is not root any more tells what is to be given to it from what it may not use."""
    weir = make(USER + 'state_dir = "@folder@/state"\n' + site(http_server("a")))
    for name in ("run", "log", "state", "next"):
        (folder / name).mkdir(mode=0o755, exist_ok=True)
        if name != "next":
            os.chown(folder / name, NOBODY, NOBODY)
    prepare(folder / "next")
    weir.start()
    weir.conf_path.write_text(weir.conf_path.read_text(encoding="utf-8").replace(
        f'"{folder}/state"', f'"{folder}/next"'), encoding="utf-8")
    if expected is None:
        assert "needs a restart" in weir.reload()
        assert check(weir).returncode == 0
    else:
        tried = check(weir)
        mistakes = [line.removeprefix("weir: ") for line in tried.stderr.splitlines()
                    if line.startswith("weir: ")]
        assert tried.returncode == 1 and expected in mistakes[0], tried.stderr
        log = weir.reload(good=False)
        assert [line for line in mistakes if line not in log] == []
    weir.stop()


@pytest.mark.skipif(SETPRIV is None, reason="setpriv (util-linux) is not here")
def test_the_user_with_the_one_capability(make, folder, http_server):
    """As the unit starts it: User=, AmbientCapabilities=CAP_NET_BIND_SERVICE, folders of its own."""
    for name in ("run", "log", "state"):
        (folder / name).mkdir(mode=0o750, exist_ok=True)
        os.chown(folder / name, NOBODY, NOBODY)
    folder.chmod(0o777)  # its log is made there
    port = low_port()
    text = ('state_dir = "@folder@/state"\n' + USER + site(http_server("a")) +
            conf.listener(name="low", bind=f'"127.0.0.1:{port}"'))
    weir = make(text)
    (folder / "state").mkdir(mode=0o750, exist_ok=True)
    os.chown(folder / "state", NOBODY, NOBODY)
    as_unit = [SETPRIV, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
               "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service",
               "--bounding-set=-all,+net_bind_service", "--no-new-privs"]
    done = subprocess.run([*as_unit, program(), "-t", "-c", str(weir.conf_path)], capture_output=True,
                          text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    with open(weir.log_path, "ab") as log:
        weir.process = subprocess.Popen([*as_unit, program(), "-c", str(weir.conf_path)], stdout=log,
                                        stderr=log, stdin=subprocess.DEVNULL)
    weir.wait_log("weir: ready")
    weir.ports["low"] = port
    assert weir.get("/", name="low").status == 200
    assert "has no effect" not in weir.log()
    subprocess.run([*as_unit, "/bin/kill", "-HUP", str(weir.pid)], check=True, timeout=DEADLINE)
    weir.wait_log("reload done")
    assert (folder / "state" / "admin.token").exists()
    weir.stop()


def test_another_user_than_its_own_is_told(make, folder, http_server):
    """Who is not root stays who he is."""
    weir = make('state_dir = "@folder@/state"\nuser = "daemon"\n' +
                conf.one_pool({"a": http_server("a")}))
    (folder / "state").mkdir(exist_ok=True)
    os.chown(folder / "state", NOBODY, NOBODY)
    done = check(weir, **AS_NOBODY)
    assert done.returncode == 0
    assert 'user = "daemon" has no effect: only root can become another user' in done.stderr
