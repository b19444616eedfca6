# SPDX-License-Identifier: MIT
"""What is wrong with a configuration is told by `weir -t`, start, reload and the API alike: the same words, at
the line where it is."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from weirtest import admin, conf
from weirtest.client import Client
from weirtest.weir import module_dir, run_weir

CHECK = "/api/v1/config/check"
RELOAD = "/api/v1/config/reload"
STATUS = "/api/v1/status"


class Case:
    """A mistake: `head` goes before what is well, `change` exchanges texts of it, `tail` follows."""

    def __init__(self, expected, head="", change=(), tail="", only=False, line=True):
        self.expected = expected
        self.head = head
        self.change = change
        self.tail = tail
        self.only = only
        self.line = line


def more(bind, name="more", options=""):
    return conf.listener(options, name, bind)


def route(text):
    return [('route "/" { pool = "web" }', text)]


EMPTY = r"it is empty; write a value, or leave the option out"
LIST = r"the list is empty; write at least one value, or leave the option out"

CASES = {
    # values that cannot be read are told as that, and nothing of what comes of it
    "single quotes": Case(r"'y': strings stand in double quotes, not in single ones",
                          tail=more('"127.0.0.1:@p@"', options='tls { certificate "d" { '
                                    "chain = 'y'  key = 'y' } }"), only=True),
    "nobody answers at port 0": Case(
        r"address: port 0 cannot be probed; write the port that answers probes",
        change=[('server "a"', 'health "http" { address = "127.0.0.1:0" } server "a"')],
        head='module "health_http" {}\n'),
    "two names of one limit": Case(
        r"max_requests` and `max_connections` are the same limit, and differ; remove",
        change=[('server "a" {', 'server "a" { max_requests = 2  max_connections = 0 ')], only=True),
    # addresses
    "twice in one bind": Case(
        r'bind: listener "more" has 127\.0\.0\.1:\d+ already, at \S+:\d+; take one of them away',
        tail=more('"127.0.0.1:@p@", "127.0.0.1:@p@"'), only=True),
    "in two listeners": Case(
        r'bind: listener "more" has 127\.0\.0\.1:\d+ already, at \S+:\d+; take one of them away',
        tail=more('"127.0.0.1:@p@"') + more('"127.0.0.1:@p@"', "third"), only=True),
    "two ways to write IPv6": Case(r'bind: listener "more" has \[::1\]:\d+ already',
                                   tail=more('"[::1]:@p@", "[0:0::1]:@p@"'), only=True),
    "all and one": Case(
        r'bind: 127\.0\.0\.1:\d+ and 0\.0\.0\.0:\d+ of listener "more", at \S+:\d+, have one port, '
        r'and one of them is all addresses; take one away',
        tail=more('"0.0.0.0:@p@"') + more('"127.0.0.1:@p@"', "third"), only=True),
    "one and all of IPv6": Case(r'bind: \[::\]:\d+ and \[::1\]:\d+ of listener "more", at',
                                tail=more('"[::1]:@p@", "[::]:@p@"'), only=True),
    "one Unix path": Case(r'bind: listener "more" has unix:\S+ already',
                          tail=more('"unix:@folder@/s", "unix:@folder@/../@base@/s"'), only=True),
    "a name": Case(r"bind: `localhost` is a name; an IP address must stand here",
                   tail=more('"localhost:@p@"'), only=True),
    "somebody else's address": Case(
        r"bind: cannot listen on 192\.0\.2\.1:\d+: no network interface of this machine has this "
        r"address", tail=more('"192.0.2.1:@p@"'), only=True),
    "IPv4 in IPv6": Case(
        r"bind: cannot listen on 127\.0\.0\.1:\d+: it is an IPv4 address in IPv6; write the IPv4 address",
        tail=more('"[::ffff:127.0.0.1]:@p@"'), only=True),
    "link-local without interface": Case(
        r"bind: cannot listen on \[fe80::1\]:\d+: a link-local address needs its interface",
        tail=more('"[fe80::1]:@p@"'), only=True),
    "no folder for a Unix socket": Case(
        r"bind: cannot listen on unix:/no/where/s: there is no folder /no/where; make it",
        tail=more('"unix:/no/where/s"'), only=True),
    "a file for a Unix socket's folder": Case(
        r"bind: cannot listen on unix:\S+/weir\.conf/s: (the folder \S+: Not a directory|\S+ is no folder)",
        tail=more('"unix:@folder@/weir.conf/s"'), only=True),
    "a file that is no socket": Case(r"bind: .*: a file that is no socket has this name; remove it",
                                     tail=more('"unix:@folder@/weir.conf"'), only=True),
    "a path too long for a socket": Case(r"bind: the path in .* has \d+ bytes; a socket's has at most 107",
                                         tail=more(f'"unix:/{"x" * 120}"'), only=True),
    "a relative path too long for a socket": Case(
        r"bind: the path in .* has \d+ bytes; a socket's has at most 107",
        tail=more(f'"unix:{"x" * 105}"'), only=True),
    "no address": Case(r"bind: the list is empty; write at least one value",
                       tail='listener "more" { bind = {} }\n', only=True),
    "a mode that is none": Case(r'socket_mode: "rw" is not a file mode; write for example 0660',
                                tail=more('"unix:@folder@/s"', options="socket_mode = rw"), only=True),
    # who and where
    "an unknown user": Case(r'user: there is no user "no_such"; make it with', head='user = "no_such"\n',
                            only=True),
    "an unknown group": Case(r'group: there is no group "no_such"; make it with',
                             head='user = "nobody"\ngroup = "no_such"\n'),
    "a group alone": Case(r"group: it is taken together with `user`", head='group = "nogroup"\n',
                          only=True),
    "no folder for the process id": Case(r"pid_file: there is no folder /no/where; make it",
                                         head='pid_file = "/no/where/weir.pid"\n', only=True),
    "a folder as the process id's file": Case(r"pid_file: \S+ is a folder; write for example",
                                              head='pid_file = "."\n', only=True),
    "no folder for the store": Case(r"path: there is no folder /no/where; make it",
                                    tail='module "store_sqlite" { path = "/no/where/x.db" }\n', only=True),
    "a folder as the store": Case(r"path: /tmp is no plain file",
                                  tail='module "store_sqlite" { path = "/tmp" }\n', only=True),
    "a file as the state's folder": Case(r"state_dir: \S+/weir\.conf is no folder",
                                         head='state_dir = "weir.conf"\n', only=True),
    "no folder for the state's folder": Case(r"state_dir: there is no folder \S+/no; make it",
                                             head='state_dir = "no/where"\n', only=True),
    "no folder for the secret": Case(
        r"state_dir: there is no folder /no; make it", head='state_dir = "/no/where"\n', only=True,
        change=[('balance "round_robin" {}', 'balance "round_robin" {} sticky "cookie" {}')]),
    # nothing where something must be
    "no state_dir": Case("state_dir: " + EMPTY, head='state_dir = ""\n', only=True),
    "no user": Case("user: " + EMPTY, head='user = ""\n', only=True),
    "no pid_file": Case("pid_file: " + EMPTY, head='pid_file = ""\n', only=True),
    "no codings": Case("encodings: " + LIST, tail='module "compress" { encodings = {} }\n', only=True),
    "no types": Case("types: " + LIST, tail='module "compress" { types = {} }\n', only=True),
    "no pool of a route": Case("pool: " + EMPTY, change=route('route "/" { pool = "" }')),
    "no fields": Case("response_set: " + LIST,
                      tail='module "headers" {}\n' +
                      more('"127.0.0.1:@p@"', options='filter "headers" { response_set = {} }')),
    "no ciphers": Case("ciphers: " + EMPTY, tail=more('"127.0.0.1:@p@"', options='tls { ciphers = "" }')),
    "no authority": Case("ca: " + EMPTY, change=[('balance "round_robin" {}',
                                                 'balance "round_robin" {}\n tls { ca = "" }')]),
    # the nearest name
    "an unknown pool": Case(r'there is no pool "wep"; did you mean "web"\?',
                            change=route('route "/" { pool = "wep" }'), only=True),
    "an unknown default pool": Case(r'there is no pool "wbe"; did you mean "web"\?',
                                    change=route('route "/" { pool = "web" } default = "wbe"'), only=True),
    "an unknown module": Case(r'module "compres": there is no .*; did you mean "compress"\?',
                              tail='module "compres" {}\n', only=True),
    "an unknown balancer": Case(r'balance "round_robbin" .*; did you mean balance "round_robin"\?',
                                change=[('balance "round_robin"', 'balance "round_robbin"')], only=True),
    "a balancer that is nowhere": Case(r'balance "ring": there is no \S+/balance_ring\.so; install the module',
                                       change=[('balance "round_robin"', 'balance "ring"')], only=True),
    "a module that cannot be loaded": Case(
        r'module "balance_broken": \S+ cannot be used: it is not a shared object',
        head='module_dir = "@folder@/modules"\nmodule "balance_broken" {}\n', only=True,
        change=[('balance "round_robin"', 'balance "broken"')]),
    "an unknown word": Case(r"panic_mode: `al` is not one of all, none; did you mean `all`\?",
                            change=[('balance "round_robin" {}',
                                     'balance "round_robin" {} panic_mode = al')], only=True),
    "an unknown option": Case(r"unknown option `bakclog` in `listener \"more\"`; did you mean `backlog`\?",
                              tail=more('"127.0.0.1:@p@"', options="bakclog = 5"), only=True),
    # one mistake, one message
    "a brace too few": Case(r"the block `listener` that begins here is not ended; `}` is missing",
                            head='listener "more" {\n  bind = {"127.0.0.1:@p@"}\n', only=True),
    "an inner brace too few": Case(r"the block `tls` that begins here is not ended; `}` is missing",
                                   head='listener "more" {\n  bind = {"127.0.0.1:@p@"}\n'
                                        '  tls {\n    minimum_version = "1.2"\n}\n', only=True),
    "a brace too many": Case(r"`}` closes nothing: no block is open here",
                             head='listener "more" {\n  bind = {"127.0.0.1:@p@"}}\n'
                                  '  header_timeout = 5s\n}\n', only=True),
    "a quote too few": Case(r"the string that begins here is not ended on its line",
                            head='listener "more {\n  bind = {"127.0.0.1:@p@"}\n}\n', only=True),
}


class Stage:
    """A Weir that runs well, and configurations that are not."""

    def __init__(self, weir, good):
        self.weir = weir
        self.good = good
        self.root = admin.Browser(str(weir.folder / "admin.sock"))

    def text(self, case):
        weir = self.weir
        body = case.head + self.good + case.tail
        for old, new in case.change:
            assert old in body, old
            body = body.replace(old, new)
        head = ""
        if "state_dir" not in case.head:
            head += f'state_dir = "{weir.state}"\n'
        if "module_dir" not in case.head:
            head += f'module_dir = "{module_dir()}"\n'
        text = head + body
        text = text.replace("@folder@", str(weir.folder)).replace("@base@", weir.folder.name)
        return weir.expand(text)

    def write(self, case):
        self.weir.conf_path.write_text(self.text(case), encoding="utf-8")


def good(weir, url):
    return ("workers = 1\nshutdown_timeout = 10s\n" +
            admin.one_pool({"a": url}, bind=f'"unix:{weir.folder}/admin.sock"'))


@pytest.fixture
def stage(make_weir, http_server):
    weir = make_weir(workers=1)
    stage = Stage(weir, good(weir, http_server("a")))
    shutil.copytree(module_dir(), weir.folder / "modules")
    (weir.folder / "modules" / "balance_broken.so").write_text("nothing", encoding="ascii")
    stage.write(Case(""))
    weir.start()
    return stage


def told(text, path):
    """Messages `FILE:LINE: WHAT` in what was printed or logged."""
    return sorted({line[line.index(str(path)):] for line in text.splitlines()
                   if f"{path}:" in line and re.search(rf"{re.escape(str(path))}(:\d+)?: ", line)})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_all_four_say_the_same(stage, case):
    weir, path = stage.weir, stage.weir.conf_path
    stage.write(case)
    done = run_weir("-t", "-c", path)
    mistakes = told(done.stderr, path)
    assert done.returncode == 1, done.stderr + done.stdout
    assert [m for m in mistakes if re.search(case.expected, m)], done.stderr
    if case.only:
        assert len(mistakes) == 1, mistakes
    if case.line:
        assert all(re.match(r"\S+:\d+: ", m) for m in mistakes), mistakes
    assert done.stderr.count("\n") == len(done.stderr.splitlines()) == len(mistakes), done.stderr

    # The start says that, and that the running one has its addresses.
    done = run_weir("-c", path)
    assert done.returncode == 1
    started = [m for m in told(done.stderr, path) if "listens there" not in m]
    assert started == mistakes, done.stderr

    log = weir.reload(good=False)
    assert told(log, path) == mistakes
    answer = stage.root.post(CHECK).json
    assert answer["ok"] is False and sorted(answer["mistakes"]) == mistakes
    answer = stage.root.post(RELOAD)
    assert answer.status == 422 and sorted(answer.json["mistakes"]) == mistakes

    # Nothing has changed.
    assert weir.get("/").status == 200
    stage.write(Case(""))
    weir.reload()
    assert run_weir("-t", "-c", path).returncode == 0, "beside the running one"
    assert stage.root.post(CHECK).json["ok"] is True


@pytest.mark.parametrize("alpn,expected", [
    ('{"h2", "http/1.1", "h2"}', "`alpn` has `h2` twice; take one of them away"),
    ('{"h3"}', "the protocol `h3` is unsupported; `alpn` takes h2, http/1.1, http/1.0"),
    ('{""}', "the protocol `` is unsupported; `alpn` takes h2, http/1.1, http/1.0"),
    ("{}", "alpn: " + LIST)])
def test_what_alpn_takes(make_weir, certs, alpn, expected):
    """Told once, however many certificates there are."""
    weir = make_weir()
    weir.configure(conf.listener(f"tls {{\nalpn = {alpn}\n{certs.block('one')} {certs.block('two')} }}") +
                   conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": "http://127.0.0.1:1"}))
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        f"{weir.conf_path}:{weir.conf_path.read_text().splitlines().index(f'alpn = {alpn}') + 1}: {expected}"]


def test_another_program_is_told_from_weir_itself(stage, http_server):
    """A reload may not take what others have; -t does not know whose it is."""
    other = http_server("other")
    stage.write(Case("", tail=more(f'"127.0.0.1:{other.port}"')))
    expected = f"cannot listen on 127.0.0.1:{other.port}: address already in use; another program"
    assert expected in stage.weir.reload(good=False)
    assert expected in stage.root.post(CHECK).json["mistakes"][0]
    assert run_weir("-t", "-c", stage.weir.conf_path).returncode == 0


@pytest.mark.parametrize("first, second", [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
def test_one_reload_exchanges_all_and_one(start_weir, http_server, first, second):
    """Requests go on over a reload that gives the port to the other kind of address."""
    web = http_server("a")

    def text(host):
        return conf.one_pool({"a": web}).replace("127.0.0.1:@main@", f"{host}:@main@")

    weir = start_weir(text(first))
    for host in (second, first, second):
        assert weir.get("/").status == 200
        assert "listens there" not in weir.reload(text(host))
        assert weir.get("/").status == 200


@pytest.mark.parametrize("bind", ['"127.0.0.1:@moving@"', '"unix:@folder@/moving"'])
def test_an_address_moves_between_workers_and_the_control_thread(make_weir, http_server, bind):
    """A listener gets a handler, and loses it again."""
    web = http_server("a")
    weir = make_weir()
    bind = bind.replace("@folder@", str(weir.folder))
    served = (conf.one_pool({"a": web}) + 'module "admin" { web_dir = "" }\n' +
              conf.listener("%s", "moving", bind))
    weir.configure(served % "")
    weir.start()
    where = str(weir.folder / "moving") if "unix" in bind else weir.address("moving")
    for options, target in (('handler "admin" {}', "/api/v1/pools"), ("", "/"),
                            ('handler "admin" {}', "/api/v1/pools")):
        weir.reload(served % options)
        with Client(where) as client:
            status = client.get(target, host="localhost").status
            assert status == (200 if not options or "unix" in bind else 401)


def test_ports_that_the_kernel_chooses_are_each_their_own(start_weir, http_server):
    text = conf.listener(bind='"127.0.0.1:0", "127.0.0.1:0"') + \
        conf.listener(name="other", bind='"127.0.0.1:0"') + \
        conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": http_server("a")})
    weir = start_weir(text)
    line = weir.wait_log(r"weir: ready[^\n]*").group(0)
    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", line)]
    assert len(set(ports)) == 3
    weir.reload()
    for port in ports:
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/").status == 200


def test_a_unix_sockets_mode_is_applied(make_weir, http_server):
    weir = make_weir()

    def text(mode):
        return (conf.listener(f"socket_mode = {mode}", bind=f'"unix:{weir.folder}/s"') +
                conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": web}))

    web = http_server("a")
    weir.configure(text("0600"))
    weir.start()
    for mode in ("0666", "0660"):
        weir.reload(text(mode))
        assert stat.S_IMODE(os.stat(weir.folder / "s").st_mode) == int(mode, 8)


# ---- what a reload cannot do ----

LATER = {
    "workers": ("workers = 1\n", "workers = 2\n", r"workers = 2 needs a restart; until then it is 1"),
    "state_dir": (None, 'state_dir = "@folder@/elsewhere"\n',
                  r'state_dir = "\S+/elsewhere" needs a restart; until then it is "\S+/state"'),
    "pid_file": ("", 'pid_file = "@folder@/pid"\n',
                 r'pid_file = "\S+/pid" needs a restart; until then it is nothing'),
}


@pytest.mark.parametrize("name", LATER)
def test_a_reload_says_what_needs_a_restart(stage, name):
    weir = stage.weir
    old, new, expected = LATER[name]
    os.chmod(weir.folder, 0o777)
    if old is None:
        case = Case("", head=new)
    else:
        case = Case("", head="" if old else new, change=[(old, new)] if old else [])
    stage.write(case)
    assert re.search(expected, stage.root.post(CHECK).json["restart_needed"][-1])
    mark = len(weir.log())
    answer = stage.root.post(RELOAD)
    assert answer.status == 200
    needed = answer.json["restart_needed"]
    assert re.match(rf"{re.escape(str(weir.conf_path))}:\d+: {expected}", needed[-1])
    assert needed[-1] in weir.log()[mark:]
    status = stage.root.get(STATUS).json
    assert status["restart_needed"] == needed and status["state_dir"] == str(weir.state)
    assert needed[-1] in weir.reload()
    stage.write(Case(""))
    assert "needs a restart" not in weir.reload()
    assert stage.root.get(STATUS).json["restart_needed"] == []


def test_sessions_stay_where_state_dir_is_changed(make_weir, http_server):
    """The old folder's secret and store hold until the restart, both."""
    weir = make_weir(workers=1)
    servers = {name: http_server(name) for name in ("a", "b")}
    text = (f'module "store_sqlite" {{}}\n' +
            admin.one_pool(servers, 'sticky "cookie" {}', bind=f'"unix:{weir.folder}/admin.sock"'))
    weir.configure(text)
    weir.start()
    first = weir.get("/")
    cookie = first.headers.get("Set-Cookie").partition(";")[0]
    weir.conf_path.write_text(weir.conf_path.read_text(encoding="utf-8").replace(
        f'state_dir = "{weir.state}"', f'state_dir = "{weir.folder}/elsewhere"'), encoding="utf-8")
    assert "needs a restart" in weir.reload()
    for _ in range(4):
        again = weir.get("/", [("Cookie", cookie)])
        assert again.body == first.body and again.headers.get("Set-Cookie") is None
    assert not (weir.folder / "elsewhere").exists()


def test_a_secret_that_the_next_start_refuses(make_weir, http_server):
    """A reload that brings another state_dir looks into it, as the start will."""
    weir = make_weir(workers=1)
    weir.configure(admin.one_pool({"a": http_server("a")}, 'sticky "cookie" {}',
                                  bind=f'"unix:{weir.folder}/admin.sock"'))
    weir.start()
    root = admin.Browser(str(weir.folder / "admin.sock"))
    elsewhere = weir.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("x", encoding="ascii")
    good_text = weir.conf_path.read_text(encoding="utf-8")
    weir.conf_path.write_text(good_text.replace(f'"{weir.state}"', f'"{elsewhere}"'), encoding="utf-8")
    done = run_weir("-t", "-c", weir.conf_path)
    mistakes = told(done.stderr, weir.conf_path)
    assert done.returncode == 1 and "the secret that cookies are sealed with" in mistakes[0]
    log = weir.reload(good=False)
    assert told(log, weir.conf_path) == mistakes and f"{elsewhere}/secret is not a file of" in log
    assert root.post(CHECK).json["mistakes"] == mistakes
    assert root.post(RELOAD).json["mistakes"] == mistakes
    (elsewhere / "secret").unlink()
    assert "needs a restart" in weir.reload()
    assert list(elsewhere.iterdir()) == [], "what is only looked at stays as it was"
    assert weir.get("/").headers.get("Set-Cookie") is not None


def test_backlog_changes_by_reload(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}, listener_options="backlog = 16"))

    def queues():
        shown = subprocess.run(["ss", "-Hltn", f"sport = :{weir.port()}"], capture_output=True, text=True,
                               check=True).stdout
        return {int(line.split()[2]) for line in shown.splitlines()}

    if not queues():
        pytest.skip("ss shows no sockets here")
    assert queues() == {16}
    weir.reload(conf.one_pool({"a": web}, listener_options="backlog = 32"))
    assert queues() == {32}


@pytest.mark.parametrize("what", ["main", "conf.d", "include", "chain", "key", "ca", "secret"])
def test_a_fifo_is_refused_and_hangs_nobody(make_weir, http_server, certs, what):
    """Who opens one waits for a writer, who may never come."""
    weir = make_weir(workers=1)
    fifo = weir.folder / "fifo"
    files = {"chain": certs.chain("localhost"), "key": certs.key("localhost"), "ca": certs.ca}

    def text(files, head="", pool=""):
        return head + conf.listener(f'tls {{ certificate "a" {{ chain = "{files["chain"]}"  '
                                    f'key = "{files["key"]}" }} }}') + \
            admin.listener(bind=f'"unix:{weir.folder}/admin.sock"') + conf.modules() + conf.routes(web='"/"') + \
            conf.pool("web", {"a": http_server("a")}, f'tls {{ ca = "{files["ca"]}" }}' + pool)

    weir.configure(text(files))
    weir.start()
    os.mkfifo(fifo)
    if what == "main":
        weir.conf_path.unlink()
        fifo.rename(weir.conf_path)
    elif what == "conf.d":
        (weir.folder / "conf.d").mkdir()
        fifo.rename(weir.folder / "conf.d" / "x.conf")
        weir.configure(text(files))
    elif what == "include":
        weir.configure(text(files, head='include "fifo"\n'))
    elif what == "secret":
        fifo.rename(weir.state / "secret")
        weir.configure(text(files, pool=' sticky "cookie" {}'))
    else:
        weir.configure(text({**files, what: fifo}))
    done = run_weir("-t", "-c", weir.conf_path)
    expected = "is not a file of" if what == "secret" else "it is no regular file"
    assert done.returncode == 1 and expected in done.stderr
    assert expected in weir.reload(good=False)
    with weir.client(tls=certs.client()) as client:
        assert client.get("/").status in (200, 502)  # the server speaks no TLS
    weir.stop()
