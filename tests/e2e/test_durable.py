# SPDX-License-Identifier: MIT
"""Changes that were answered are there after any end of the program, and no others: SIGKILL in the middle of
a stream of changes, full disks, damaged files."""

import json
import os
import random
import resource
import signal
import threading
import time

import pytest

from weirtest import conf
from weirtest.client import Client
from weirtest.wait import SANITIZED, wait_for

ROUNDS = 8 if SANITIZED else 25


def configuration(weir, store="", servers=None):
    """Three servers of the files, a store, and an admin plane on a Unix socket."""
    servers = servers or {name: f"http://127.0.0.1:{i + 1}" for i, name in enumerate("abc")}
    return (f'module "store_sqlite" {{ {store} }}\nmodule "admin" {{ web_dir = ""  request_limit = 0 }}\n' +
            conf.listener('handler "admin" {}', "admin", f'"unix:{weir.folder}/admin.sock"') +
            conf.one_pool(servers))


class Admin:
    """A connection to the API over the Unix socket, where the test's own user is admin."""

    def __init__(self, weir):
        self.client = Client(str(weir.folder / "admin.sock"))

    def call(self, method, target, body=None):
        """Status, and the answer's JSON."""
        headers = [] if body is None else [("Content-Type", "application/json")]
        self.client.request(method, "/api/v1" + target, headers,
                            body=None if body is None else json.dumps(body))
        response = self.client.response(method)
        return response.status, json.loads(response.body) if response.body else None

    def get(self, target):
        status, answer = self.call("GET", target)
        assert status == 200, answer
        return answer

    def journal(self):
        """All entries, the oldest first."""
        entries, before = [], ""
        while True:
            page = self.get(f"/journal?limit=50{before}")
            entries += page["entries"]
            if page["cursor"] is None:
                return entries[::-1]
            before = f"&before={page['cursor']}"

    def servers(self):
        """What can be changed of each server."""
        return {server["id"]: (server["weight"], server["max_connections"], server["state"],
                               server["origin"])
                for server in self.get("/pools/web")["servers"]}

    def close(self):
        self.client.close()


class Model:
    """What is acknowledged: servers as Admin.servers gives them, and targets of the journal."""

    def __init__(self):
        self.servers = {name: (1, 0, "ready", "file") for name in "abc"}
        self.journal = []
        self.added = 0

    def copy(self):
        other = Model()
        other.servers, other.journal = dict(self.servers), list(self.journal)
        other.added = self.added
        return other

    def change(self, choice):
        """A random change: the request, and the model after it."""
        after = self.copy()
        kind = choice.choice(("add", "weight", "limit", "state", "remove"))
        removable = [name for name, value in self.servers.items() if value[3] == "runtime"]
        if kind == "add" or (kind == "remove" and not removable):
            after.added += 1
            name = f"n{after.added}"
            weight = choice.randrange(1001)
            after.servers[name] = (weight, 0, "ready", "runtime")
            request = ("POST", "/pools/web/servers",
                       {"id": name, "url": f"http://127.0.0.1:{1000 + after.added}",
                        "weight": weight})
        elif kind == "remove":
            name = choice.choice(removable)
            del after.servers[name]
            request = ("DELETE", f"/pools/web/servers/{name}?now=1&force=1", None)
        else:
            name = choice.choice(sorted(self.servers))
            weight, limit, state, origin = self.servers[name]
            if kind == "weight":
                weight = choice.choice([value for value in range(20) if value != weight])
                body = {"weight": weight}
            elif kind == "limit":
                limit = choice.choice([value for value in range(20) if value != limit])
                body = {"max_connections": limit}
            else:
                state = "maintenance" if state == "ready" else "ready"
                body = {"state": state}
            after.servers[name] = (weight, limit, state, origin)
            request = ("PATCH", f"/pools/web/servers/{name}", body)
        after.journal.append(f"web/{name}")
        return request, after


class Changer(threading.Thread):
    """Sends changes until the program is gone. `acknowledged` is what was answered, `running` what may
    have been done."""

    def __init__(self, weir, model, seed):
        super().__init__(daemon=True)
        self.admin = Admin(weir)
        self.acknowledged, self.running = model, model
        self.choice = random.Random(seed)
        self.trouble = None
        self.done = 0
        self.start()

    def run(self):
        while True:
            request, self.running = self.acknowledged.change(self.choice)
            try:
                status, answer = self.admin.call(*request)
            except Exception:  # pylint: disable=broad-except
                return  # killed: this one may be there, or not
            if not 200 <= status < 300:
                self.trouble = f"{request}: {status} {answer}"
                return
            self.acknowledged = self.running
            self.done += 1


def restart(weir):
    mark = weir.log().rfind("weir: ready")
    weir.start(wait=False)
    wait_for(lambda: weir.log().rfind("weir: ready") > mark or not weir.running(), "weir to start")
    assert weir.running(), weir.log()


def kill(weir):
    weir.signal(signal.SIGKILL)
    weir.process.wait()


def observed(weir):
    admin = Admin(weir)
    servers = admin.servers()
    journal = [entry["target"] for entry in admin.journal()]
    admin.close()
    return servers, journal


def test_sigkill_at_any_moment(make_weir):
    """Many rounds: what was acknowledged is there, in the same order, and at most the one change more
    that was on its way."""
    weir = make_weir(workers=1)
    weir.configure(configuration(weir))
    seed = int(os.environ.get("WEIR_TEST_SEED", random.randrange(1 << 30)))
    choice = random.Random(seed)
    print(f"WEIR_TEST_SEED={seed}")
    model = Model()
    total = 0
    restart(weir)
    for turn in range(ROUNDS):
        changer = Changer(weir, model, choice.randrange(1 << 30))
        wanted = choice.randrange(1, 30)
        wait_for(lambda c=changer, n=wanted: c.done >= n or not c.is_alive(), "changes")
        assert changer.trouble is None, changer.trouble
        time.sleep(choice.random() * 0.004)
        kill(weir)
        changer.join()
        assert changer.trouble is None, changer.trouble
        total += changer.done
        restart(weir)
        servers, journal = observed(weir)
        possible = [(m.servers, m.journal) for m in (changer.acknowledged, changer.running)]
        assert (servers, journal) in possible, \
            f"round {turn}, {changer.done} acknowledged:\n{servers}\n{journal[-3:]}\n" \
            f"instead of\n{possible[0][0]}\n{possible[0][1][-3:]}\nor\n{possible[1][0]}"
        model = changer.acknowledged if (servers, journal) == possible[0] else changer.running
    assert total > 2 * ROUNDS
    assert "damaged" not in weir.log()


def test_undo_and_origin_survive(make_weir):
    weir = make_weir(workers=1)
    weir.configure(configuration(weir))
    restart(weir)
    admin = Admin(weir)
    assert admin.call("PATCH", "/pools/web/servers/a", {"weight": 7})[0] == 200
    entry = admin.journal()[-1]
    kill(weir)
    restart(weir)
    admin = Admin(weir)
    server = admin.get("/pools/web/servers/a")
    assert (server["weight"], server["origin"], server["drift"]) == (7, "file", ["weight"])
    assert admin.call("POST", f"/journal/{entry['id']}/undo")[0] == 200
    kill(weir)
    restart(weir)
    server = Admin(weir).get("/pools/web/servers/a")
    assert (server["weight"], server["drift"]) == (1, [])


@pytest.mark.parametrize("damage", ["header", "middle", "empty", "log"])
def test_a_damaged_store_is_set_aside(make_weir, http_server, damage):
    """The program starts on its files, serves, says so, and keeps changes again."""
    web = http_server("a")
    weir = make_weir(workers=1)
    weir.configure(configuration(weir, servers={"a": web}))
    restart(weir)
    admin = Admin(weir)
    for weight in range(2, 30):
        assert admin.call("PATCH", "/pools/web/servers/a", {"weight": weight})[0] == 200
    kill(weir) if damage == "log" else weir.stop()
    path = weir.state / "weir.db"
    with open(f"{path}-wal" if damage == "log" else path, "r+b") as file:
        if damage == "empty":
            file.truncate(100)
        else:
            file.seek({"header": 0, "middle": 4096 + 3, "log": 2000}[damage])
            file.write(b"this was damaged" * 20)
    restart(weir)
    assert weir.get("/").status == 200
    weir.wait_log("set aside as .*weir.db.damaged-")
    assert list(weir.state.glob("weir.db.damaged-*"))
    admin = Admin(weir)
    assert admin.get("/pools/web/servers/a")["weight"] == 1
    assert admin.call("PATCH", "/pools/web/servers/a", {"weight": 3})[0] == 200
    kill(weir)
    restart(weir)
    assert Admin(weir).get("/pools/web/servers/a")["weight"] == 3


def test_two_weirs_do_not_share_a_store(make_weir):
    """The second one is told, and serves without."""
    first, second = make_weir(workers=1), make_weir(workers=1)
    first.configure(configuration(first))
    restart(first)
    second.configure(configuration(second, store=f'path = "{first.state}/weir.db"'))
    restart(second)
    second.wait_log("another Weir uses it")
    status, problem = Admin(second).call("PATCH", "/pools/web/servers/a", {"weight": 3})
    assert status >= 500 and "weir.db" in problem["detail"]
    assert Admin(second).get("/pools/web/servers/a")["weight"] == 1
    assert Admin(first).call("PATCH", "/pools/web/servers/a", {"weight": 3})[0] == 200


def test_a_full_disk_refuses_changes_and_passes(make_weir, http_server):
    """Files may not grow for a while: changes are refused and not made, visitors notice nothing."""
    web = http_server("a")
    weir = make_weir(workers=1, access_log=False)
    weir.configure(configuration(weir, servers={"a": web}))
    restart(weir)
    admin = Admin(weir)
    assert admin.call("PATCH", "/pools/web/servers/a", {"weight": 2})[0] == 200
    sizes = resource.prlimit(weir.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, (4096, sizes[1]))
    status, problem = admin.call("PATCH", "/pools/web/servers/a", {"weight": 3})
    assert status >= 500, problem
    assert "weir.db" in problem["detail"] and "free some space" in problem["detail"]
    assert admin.get("/pools/web/servers/a")["weight"] == 2
    assert weir.get("/").status == 200
    resource.prlimit(weir.pid, resource.RLIMIT_FSIZE, sizes)
    wait_for(lambda: admin.call("PATCH", "/pools/web/servers/a", {"weight": 4})[0] == 200,
             "changes to go on")
    kill(weir)
    restart(weir)
    assert Admin(weir).get("/pools/web/servers/a")["weight"] == 4
    assert len(Admin(weir).journal()) == 2
