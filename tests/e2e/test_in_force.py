# SPDX-License-Identifier: MIT
"""A change at run time goes on with what is in force: it takes no new file over, and needs none to be there.
Only a reload reads files."""

import os
import pathlib
import re
import shutil
import ssl

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.dns import A, Dns
from weirtest.wait import SANITIZED, wait_for

SERVERS = "/api/v1/pools/web/servers"


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """Copies of the build's modules, which a test may replace."""
    folder = tmp_path_factory.mktemp("modules")
    for path in pathlib.Path(weir_program.module_dir()).glob("*.so"):
        shutil.copy(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


@pytest.fixture
def dns():
    made = Dns()
    yield made
    made.close()


@pytest.fixture
def files(tmp_path, certs):
    """A folder with all that a configuration names by path."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("one.crt", "one.key", "two.crt", "two.key", "ca.crt"):
        shutil.copy(certs.folder / name, folder / name)
    (folder / "pages").mkdir()
    (folder / "pages" / "login.html").write_text("the first page", encoding="utf-8")
    return folder


def text(files, servers, extra=""):
    """TLS on both sides, pages, a secret and a store."""
    tls = f'tls {{ certificate "one" {{ chain = "{files}/one.crt"  key = "{files}/one.key" }} }}'
    own = f'tls {{ ca = "{files}/ca.crt"  name = "localhost" ' \
          f'certificate = "{files}/two.crt"  key = "{files}/two.key" }} sticky "cookie" {{}}'
    return (extra + conf.one_pool(servers, own, tls) + 'module "store_sqlite" {}\n' +
            admin.listener(pages=files / "pages"))


def shown(weir):
    """The certificate that a client is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with weir.client(tls=context) as client:
        pem = ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True))
    return pem


def copies(weir, module):
    """How many copies of a module are loaded."""
    return len(set(re.findall(rf"\s(\d+)\s+/memfd:{module} ", weir.mappings())))


def change_all(root, other):
    """Each change at run time that concerns members, and others."""
    added = root.post(SERVERS, {"url": other.url, "id": "b"})
    assert added.status == 201, added.text
    number = added.headers.get("Weir-Journal")
    assert root.patch(f"{SERVERS}/b", {"weight": 3}).status == 200
    assert root.delete(f"{SERVERS}/b?now=1").status == 204
    assert root.post(SERVERS, {"url": other.url, "id": "b", "backup": True}).status == 201
    assert root.delete(f"{SERVERS}/b?timeout=1s").status == 202
    wait_for(lambda: [s["id"] for s in root.get(SERVERS).json["entries"]] == ["a"], "b to leave")
    assert root.post(f"/api/v1/journal/{number}/undo", None).status in (200, 409)


def test_no_file_is_missed(start_weir, http_server, certs, files, module_folder):
    """All are gone, or cannot be read just now."""
    a, b = (http_server(name, tls=certs.server()) for name in "ab")
    weir = start_weir(text(files, {"a": a}))
    root = admin.browser(weir)
    before = shown(weir)
    os.rename(files, f"{files}.away")
    os.rename(module_folder, f"{module_folder}.away")
    (weir.state / "secret").chmod(0o644)  # which is refused
    change_all(root, b)
    assert shown(weir) == before
    assert root.get("/login").text == "the first page"
    with weir.client(tls=certs.client(verify=False)) as client:
        assert client.get("/").status == 200
    refused = root.post("/api/v1/config/reload", None)
    assert refused.status == 422 and len(refused.json["mistakes"]) > 5, refused.text
    change_all(root, b)
    os.rename(f"{files}.away", files)
    os.rename(f"{module_folder}.away", module_folder)
    (weir.state / "secret").chmod(0o600)
    assert root.post("/api/v1/config/reload", None).status == 200


def test_no_staged_file_comes_into_force(start_weir, http_server, certs, files, module_folder):
    """All were replaced, some not in a piece: a reload takes them, and nothing before it."""
    a, b = (http_server(name, tls=certs.server()) for name in "ab")
    weir = start_weir(text(files, {"a": a}))
    root = admin.browser(weir)
    before = shown(weir)
    shutil.copy(files / "two.crt", files / "one.crt")  # and its key follows later
    shutil.copy(files / "one.crt", files / "ca.crt")
    (files / "pages" / "login.html").write_text("the second page", encoding="utf-8")
    with open(module_folder / "balance_round_robin.so", "ab") as module:
        module.write(b"another version")
    change_all(root, b)
    assert shown(weir) == before
    assert root.get("/login").text == "the first page"
    assert copies(weir, "balance_round_robin") == 1
    assert root.post("/api/v1/config/reload", None).status == 422
    shutil.copy(files / "two.key", files / "one.key")
    shutil.copy(certs.ca, files / "ca.crt")
    change_all(root, b)
    assert shown(weir) == before
    if not SANITIZED:  # their reports want the names, so that the refused copy is not unmapped
        assert copies(weir, "balance_round_robin") == 1
    assert root.post("/api/v1/config/reload", None).status == 200
    assert shown(weir) != before
    assert root.get("/login").text == "the second page"


def test_names_bring_other_servers_without_a_file(start_weir, http_server, certs, files, dns):
    a = http_server("127.0.0.1", host="127.0.0.1", tls=certs.server())
    b = http_server("127.0.0.2", host="127.0.0.2", port=a.port, tls=certs.server())
    dns.records = {("shop.test", A): ["127.0.0.1"]}
    weir = start_weir(text(files, {"shop": (f"https://shop.test:{a.port}", "resolve = all")},
                           dns.option))
    before = shown(weir)
    os.rename(files, f"{files}.away")
    dns.records = {("shop.test", A): ["127.0.0.2"]}

    def served_by():
        with weir.client(tls=certs.client(verify=False)) as client:
            return client.get("/").text

    wait_for(lambda: served_by() == b.name, "the new address")
    assert shown(weir) == before


def test_what_is_kept_comes_back_without_a_reload(make_weir, http_server, certs, files):
    """The store could not be opened at the start: what it keeps is laid over what is in force."""
    a, b = (http_server(name, tls=certs.server()) for name in "ab")
    weir = make_weir(workers=1)
    weir.configure(text(files, {"a": a}))
    weir.start()
    root = admin.browser(weir)
    assert root.post(SERVERS, {"url": b.url, "id": "b"}).status == 201
    weir.stop()
    weir.stopped = False
    os.rename(weir.state / "weir.db", weir.state / "weir.db.away")
    (weir.state / "weir.db").mkdir()
    weir.start()
    root = admin.browser(weir)
    before = shown(weir)
    os.rename(files, f"{files}.away")
    (weir.state / "weir.db").rmdir()
    os.rename(weir.state / "weir.db.away", weir.state / "weir.db")
    wait_for(lambda: [s["id"] for s in root.get(SERVERS).json["entries"]] == ["a", "b"],
             "what was changed to come back")
    assert shown(weir) == before
