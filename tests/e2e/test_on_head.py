# SPDX-License-Identifier: MIT
"""What balancers hear of answers: that they have begun, and how long a server asks to be left alone; over both
protocols alike."""

import email.utils
import pathlib
import threading
import time

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.backend import Reply
from weirtest.wait import DEADLINE, wait_for

BUILT = pathlib.Path(weir_program.module_dir()).parent.parent / "tests" / "modules" / "built"


@pytest.fixture(params=["http/1.1", "h2"])
def heard(request, start_weir, http_server, h2_server, tmp_path, monkeypatch):
    """Starts a Weir whose balancer counts what it hears: gives it and a function that tells that."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for path in pathlib.Path(weir_program.module_dir()).glob("*.so"):
        (folder / path.name).symlink_to(path)
    (folder / "balance_hears.so").symlink_to(BUILT / "balance_hears.so")
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))

    def start(handler, options=""):
        server = (http_server if request.param == "http/1.1" else h2_server)("a", handler)
        pool = conf.pool("web", {"a": server}, f'protocol = "{request.param}"\n{options}', "hears")
        weir = start_weir('module "balance_hears" {}\nmodule "headers" {}\n' + conf.listener() + conf.modules() +
                          admin.listener(pages=False) + conf.routes(web='"/"') + pool, workers=1)
        root = admin.browser(weir)

        def told():
            [row] = [row for row in root.get("/api/v1/modules").json["entries"] if row["name"] == "balance_hears"]
            return {metric["name"]: metric["value"] for metric in row["metrics"]}

        return weir, told

    return start


def test_an_answer_is_heard_when_it_begins(heard):
    """And not when it ends: a download may last for hours."""
    release = threading.Event()

    def body():
        yield b"begun"
        assert release.wait(DEADLINE)
        yield b" and ended"

    weir, told = heard(lambda request: Reply(body(), length=15) if request.target == "/long" else
                       Reply(b"", status=500))
    assert weir.get("/fails").status == 500
    with weir.client() as client:
        client.request(target="/long")
        wait_for(lambda: told()["heads"] == 2, "the answer to begin")
        assert told() == {"heads": 2, "errors": 1, "head_asked_ms": 0, "completed": 1, "asked_ms": 0, "odd": 0}
        release.set()
        assert client.response().body == b"begun and ended"
    wait_for(lambda: told()["completed"] == 2, "its end")
    assert told() == {"heads": 2, "errors": 1, "head_asked_ms": 0, "completed": 2, "asked_ms": 0, "odd": 0}


def test_what_never_begins_is_not_heard(heard):
    release = threading.Event()
    weir, told = heard(lambda request: release.wait(DEADLINE) and b"", "response_timeout = 100ms\nretries = 0")
    assert weir.get("/").status == 504
    wait_for(lambda: told()["completed"] == 1, "its end")
    release.set()
    assert told() == {"heads": 0, "errors": 0, "head_asked_ms": 0, "completed": 1, "asked_ms": 0, "odd": 0}


def test_servers_ask_to_be_left_alone(heard):
    """Seconds or a date, of 429 and 503 alone; a filter that takes the field away changes nothing."""
    def handler(request):
        status = int(request.target[1:4])
        wanted = "30" if "/seconds" in request.target else email.utils.formatdate(time.time() + 1800, usegmt=True)
        return Reply(b"", status=status, headers=(("Retry-After", wanted),))

    weir, told = heard(handler, 'filter "headers" { response_remove = {"Retry-After"} }')
    asked = 0
    for status, wanted in ((503, 30000), (429, 30000), (500, 0), (302, 0)):
        answer = weir.get(f"/{status}/seconds")
        assert answer.status == status and answer.headers.get("Retry-After") is None
        asked += wanted
        assert told()["head_asked_ms"] == asked
    assert weir.get("/503/date").status == 503
    assert asked + 1000000 < told()["head_asked_ms"] <= asked + 1801000
    wait_for(lambda: told()["completed"] == 5, "the end of all")
    assert told()["asked_ms"] == told()["head_asked_ms"] and told()["odd"] == 0
