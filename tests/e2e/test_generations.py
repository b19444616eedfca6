# SPDX-License-Identifier: MIT
"""What one configuration numbers, another may number otherwise: requests and balancers that outlive a reload
take nothing for what it is not."""

import os
import pathlib

import pytest

from weirtest import conf, weir as weir_program
from weirtest.backend import Holding


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """The build's modules, and the tests' balancers."""
    built = pathlib.Path(weir_program.module_dir())
    mine = built.parent.parent / "tests" / "modules" / "built"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), *mine.glob("balance_*.so")]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def block(name):
    return f'module "balance_slots_{name}" {{}}\n'


BOTH = 'filter "balance_slots_a" {}\nfilter "balance_slots_b" {}'


def test_slots_of_a_balancer_that_stays(start_weir, http_server):
    """The modules stand in another order, and the balancer goes on from before."""
    pool = conf.one_pool({"a": http_server("a")}, "", BOTH, balance="slots_b")
    weir = start_weir(block("a") + block("b") + pool)
    assert weir.get("/before").status == 200
    weir.reload(block("b") + block("a") + pool)
    for _ in range(3):
        assert weir.get("/after").status == 200
    assert " slot of " not in weir.log()


def test_slots_of_a_head_that_straddles_a_reload(start_weir, http_server):
    """The balancer that picks for it is of a configuration with more modules than the head's own."""
    web = http_server("a")
    weir = start_weir('module "balance_round_robin" {}\n' + block("a") + conf.routes(web='"/"') +
                      conf.listener('filter "balance_slots_a" {}') + conf.pool("web", {"a": web}),
                      workers=1)
    clients = [weir.client() for _ in range(4)]
    for client in clients:
        assert client.get("/first").status == 200
        client.send("GET /half HTTP/1.1\r\nHost: localhost\r\n")
    # Its first bytes are read: later ones of other clients have been.
    assert weir.get("/").status == 200
    weir.reload("".join(f'module "{name}" {{}}\n' for name in ("headers", "rate_limit", "compress")) +
                conf.modules() + block("a") + block("b") + conf.routes(web='"/"') +
                conf.listener(BOTH) + conf.pool("web", {"a": web}, balance="slots_b"))
    for client in clients:
        client.send("\r\n")
        assert client.response().status == 200
        client.close()
    # The new balancer sees requests whose own configuration did not have it.
    assert "another's pointer" not in weir.log()


def test_session_of_a_head_that_straddles_a_reload(start_weir, http_server):
    """Who looks the session up is who answers: the configuration that the request began on."""
    servers = {name: http_server(name) for name in "abc"}

    def text(name):
        return conf.one_pool(servers, f'sticky "cookie" {{ name = "{name}" }}')

    weir = start_weir(text("OLD"), workers=1)
    clients = []
    for _ in range(9):
        client = weir.client()
        response = client.get("/first")
        cookie = response.headers.get("Set-Cookie").partition(";")[0]
        client.send(f"GET /second HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n")
        clients.append((client, response.server))
    assert weir.get("/").status == 200
    weir.reload(text("NEW"))
    for client, server in clients:
        client.send("\r\n")
        response = client.response()
        assert (response.server, response.headers.get("Set-Cookie")) == (server, None)
        client.close()
    assert weir.get("/").headers.get("Set-Cookie").startswith("NEW=")


def test_numbers_of_members_that_a_balancer_has_not_taken(start_weir, http_server):
    """It hears the end of a request without a number that only the later members have."""
    holding = Holding()
    servers = {"z": http_server("z", holding)}
    module = 'module "balance_fails" { at = later_members }\n'
    weir = start_weir(module + conf.one_pool(servers, balance="fails"), workers=1)
    with weir.client() as client:
        client.request()
        servers["z"].wait_active(1)
        weir.reload(module + conf.one_pool({"a": http_server("a"), **servers}, balance="fails"))
        weir.wait_log("does not take 2 members")
        holding.release()
        assert client.response().server == "z"
    weir.wait_log("complete: ")
    assert "complete: a candidate" not in weir.log()
