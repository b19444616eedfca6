# SPDX-License-Identifier: MIT
"""Operations that a module adds to the control plane (tests/modules/notes.c): they are asked, refused, kept,
tagged, told and taken back as the core's own are."""

import os
import pathlib

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.wait import wait_for
from weirtest.weirctl import weirctl


def assert_problem(response, status):
    assert response.status == status and response.headers.get("Content-Type") == "application/problem+json"


@pytest.fixture(autouse=True)
def notes(tmp_path_factory, monkeypatch):
    """The build's modules, and this one."""
    built = pathlib.Path(weir_program.module_dir())
    folder = tmp_path_factory.mktemp("modules")
    module = built.parent.parent / "tests" / "modules" / "built" / "notes.so"
    for path in [*built.glob("*.so"), module]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def text(server, options="", more='module "notes" {}', store='module "store_sqlite" {}'):
    return f"{store}\n{more}\n" + admin.one_pool({"a": server}, admin_options=options)


def start(start_weir, http_server, **how):
    server = http_server("a")
    weir = start_weir(text(server, **how))
    return weir, admin.browser(weir), server


def test_they_are_in_the_table(start_weir, http_server):
    weir, root, _ = start(start_weir, http_server)
    document = root.get("/openapi.json").json
    row = document["paths"]["/api/v1/notes/{name}"]
    assert set(row) == {"get", "post", "delete"} and row["post"]["operationId"] == "note.set"
    assert row["post"]["x-weir-role"] == "operator"
    assert {one["name"] for one in row["post"]["parameters"]} == {"name", "confirm", "If-Match"}
    assert "Note" in document["components"]["schemas"]
    paths = list(document["paths"])
    assert abs(paths.index("/api/v1/stats/notes") - paths.index("/api/v1/stats/history")) == 1
    assert [one["kinds"] for one in root.get("/api/v1/modules").json["entries"]
            if one["name"] == "notes"] == [["control"]]
    for name in ("notes.pools", "pools.list"):  # the core has one of that path, one of that name
        weir.wait_log(f"operation {name} .* is left out")
    assert "entries" in root.get("/api/v1/pools").json
    assert_problem(root.get("/api/v1/notes"), 404)


def test_role_and_arguments_are_checked_by_the_row(start_weir, http_server):
    weir, root, _ = start(start_weir, http_server)
    root.post("/api/v1/users", {"name": "eve", "role": "viewer"})
    eve = admin.Browser(weir.address("admin"), root.post("/api/v1/users/eve/token", {}).json["token"])
    assert_problem(eve.post("/api/v1/notes/a", {"text": "x"}), 403)
    assert_problem(root.call("PATCH", "/api/v1/notes/a", {}), 405)
    assert_problem(root.post("/api/v1/notes/a", {}), 422)
    assert_problem(root.post("/api/v1/notes/a", {"text": "x" * 201}), 422)
    assert root.post("/api/v1/notes/a%20b", {"text": 'say "x"'}).json == {"name": "a b", "text": 'say "x"'}
    assert eve.get("/api/v1/notes/a%20b").json["text"] == 'say "x"'
    assert_problem(eve.get("/api/v1/notes/c"), 404)


def test_changes_are_kept_told_and_taken_back(start_weir, http_server):
    weir, root, _ = start(start_weir, http_server)
    with admin.events(weir) as events:
        assert root.post("/api/v1/notes/a", {"text": "one"}).status == 200
        assert events.until("note")[1] == {"name": "a", "text": "one"}
        assert events.until("change")[1]["command"] == "note.set"
    first = root.get("/api/v1/journal").json["entries"][0]
    assert (first["command"], first["target"], first["before"], first["after"]) == (
        "note.set", "a", None, {"text": "one"})
    assert not any(name.startswith("kept") for name in first)
    weir.kill()
    weir.start()
    assert root.get("/api/v1/notes/a").json["text"] == "one"
    assert root.delete("/api/v1/notes/a").status == 204
    assert_problem(root.get("/api/v1/notes/a"), 404)
    weir.kill()
    weir.start()
    assert_problem(root.get("/api/v1/notes/a"), 404)
    assert root.post("/api/v1/journal/last/undo").json["command"] == "journal.undo"
    assert root.get("/api/v1/notes/a").json["text"] == "one"
    assert root.post("/api/v1/notes/a", {"text": "two"}).status == 200
    assert_problem(root.post(f"/api/v1/journal/{first['id']}/undo"), 409)
    assert "taken back" in root.post("/api/v1/journal/4/undo").json["detail"]
    assert root.call("POST", "/api/v1/notes/b?confirm=1s", {"text": "for now"}).status == 200
    wait_for(lambda: root.get("/api/v1/notes/b").status == 404, "it to be taken back")


def test_weirctl_calls_them(start_weir, http_server):
    weir, root, _ = start(start_weir, http_server)
    url = f"http://127.0.0.1:{weir.port('admin')}"

    def ctl(*words):
        return weirctl("--url", url, "--token-file", str(weir.state / "admin.token"), *words)

    listed = ctl("call")
    assert "note.set" in listed.stdout and "pools.list" in listed.stdout and listed.returncode == 0
    made = ctl("call", "note.set", "name=a b", "text=one")
    assert made.returncode == 0 and '"text":"one"' in made.stdout.replace(" ", ""), made
    assert root.get("/api/v1/notes/a%20b").json["text"] == "one"
    assert ctl("call", "server.patch", "pool=web", "server=a", "weight=3").returncode == 0
    assert root.get("/api/v1/pools/web/servers/a").json["weight"] == 3
    assert "2" in ctl("--json", "call", "journal.list", "limit=1").stdout
    assert ctl("call", "note.remove", "name=a b", "--confirm", "60s").returncode == 0
    assert root.get("/api/v1/notes/a%20b").status == 404
    for wrong in (["note.unset"], ["note.show"], ["note.show", "name=a", "x=y"]):
        assert ctl("call", *wrong).returncode == 2


def test_tags_keep_operators_apart(start_weir, http_server):
    _, root, _ = start(start_weir, http_server)
    etag = root.post("/api/v1/notes/a", {"text": "one"}).headers.get("ETag")
    assert root.get("/api/v1/notes/a").headers.get("ETag") == etag
    assert root.call("POST", "/api/v1/notes/a", {"text": "two"}, [("If-Match", etag)]).status == 200
    assert_problem(root.call("DELETE", "/api/v1/notes/a", None, [("If-Match", etag)]), 412)


def test_answers_may_come_later(start_weir, http_server):
    _, root, _ = start(start_weir, http_server)
    assert root.get("/api/v1/stats/notes").json == {"count": 42}


def test_reloads(start_weir, http_server):
    """What is kept outlives the instance; without the module, its operations are not there, and come back."""
    weir, root, server = start(start_weir, http_server, more="", store="")
    assert_problem(root.get("/api/v1/notes/a"), 404)
    weir.reload(text(server, store=""))
    assert root.post("/api/v1/notes/a", {"text": "one"}).status == 200
    weir.reload(text(server, store="", more='module "notes" { limit = 1 }'))
    weir.wait_log("notes end")
    assert weir.log().count("operation notes.pools") == 2
    assert root.get("/api/v1/notes/a").json["text"] == "one"
    assert_problem(root.post("/api/v1/notes/b", {"text": "two"}), 409)
    weir.reload(text(server, store="", more=""))
    assert root.get("/api/v1/notes/a").status == 404
    assert "/api/v1/notes/{name}" not in root.get("/openapi.json").json["paths"]
    detail = root.post("/api/v1/journal/2/undo").json["detail"]
    assert "the module that made it is not loaded" in detail
    weir.reload(text(server, store=""))
    assert root.get("/api/v1/notes/a").json["text"] == "one"
    assert root.post("/api/v1/journal/2/undo").status == 200
    assert root.get("/api/v1/notes/a").status == 404


def test_a_module_that_comes_later_finds_what_it_kept(start_weir, http_server):
    weir, root, server = start(start_weir, http_server)
    assert root.post("/api/v1/notes/a", {"text": "one"}).status == 200
    weir.stop()
    weir.configure(text(server, more=""))
    weir.start()
    weir.reload(text(server))
    wait_for(lambda: root.get("/api/v1/notes/a").status == 200, "the note")
