# SPDX-License-Identifier: MIT
"""Balancers that leave the ranking to the host: what they have learnt survives the exchange of their file and
of their options, or is refused."""

import os
import pathlib

import pytest

from weirtest import conf, weir as weir_program
from weirtest.backend import Reply
from weirtest.load import Load
from weirtest.wait import wait_for

BUILT = pathlib.Path(weir_program.module_dir()).parent.parent / "tests" / "modules" / "built"


@pytest.fixture(autouse=True)
def learns(tmp_path, monkeypatch):
    """The path of the module that learns, in a folder of modules of its own."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for path in pathlib.Path(weir_program.module_dir()).glob("*.so"):
        os.symlink(path, folder / path.name)
    (folder / "balance_learns.so").write_bytes((BUILT / "balance_learns.so").read_bytes())
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder / "balance_learns.so"


def exchange(path, contents):
    path.unlink()
    path.write_bytes(contents)


def test_what_was_learnt_survives(start_weir, http_server, learns):
    failing = http_server("a", lambda request: Reply(b"", status=500) if request.target == "/fail" else "a")
    servers = {"a": failing, "b": http_server("b"), "c": http_server("c")}

    def text(options=""):
        return 'module "balance_learns" {}\n' + conf.one_pool(servers).replace(
            'balance "round_robin" {}', f'balance "learns" {{ {options} }}')

    weir = start_weir(text(), workers=2)
    workers = [weir.client() for _ in range(8)]

    def teach():
        for client in workers:
            client.get("/fail")

    def quiet(since):
        return len(failing.requests) == since

    # Both workers have seen it fail, and keep off it.
    def kept_off():
        teach()
        before = len(failing.requests)
        for client in workers:
            assert client.get("/").server in "bc"
        return quiet(before)

    # Each sends it there once at first. All connections may have gone to one worker: then more do it.
    teach()
    while len(failing.requests) < 2:
        assert len(workers) < 100
        workers.append(weir.client())
        teach()
    wait_for(kept_off, "both workers to learn")
    learnt = len(failing.requests)

    contents = learns.read_bytes()
    with Load(weir.client, threads=4) as load:
        for turn in range(3):
            load.wait_requests(50)
            exchange(learns, contents + bytes(16 * (turn + 1)))  # another file, the same program
            weir.reload(text())
            load.wait_requests(50)
        weir.reload(text("price = 3"))
        load.wait_requests(50)
        assert quiet(learnt), "what was learnt has passed over"
        assert "refused, and begin anew" not in weir.log()

        # A version that does not take it: one line a loop, and all begins anew.
        exchange(learns, (BUILT / "balance_learns_2.so").read_bytes())
        weir.reload(text("price = 3"))
        load.wait_requests(50)
        wait_for(lambda: not quiet(learnt), "requests at the server that had failed")
        assert weir.log().count('balancer "balance_learns": 3 states of the instance before were refused') == 3
    load.assert_clean()
    assert load.closed == 0
    for client in workers:
        client.close()
