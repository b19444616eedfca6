# SPDX-License-Identifier: MIT
"""The admin plane's pages, and what protects it from names, pages and machines that are not its own."""

import gzip
import re

import pytest

from weirtest import admin, conf
from weirtest.admin import Browser
from weirtest.weir import run_weir


@pytest.fixture
def pages(tmp_path):
    """A folder of pages."""
    folder = tmp_path / "pages"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<p>panel</p>" * 100)
    (folder / "traffic.html").write_text("<p>traffic</p>")
    (folder / "login.html").write_text("<p>login</p>")
    (folder / "js" / "app.js").write_text("let x = 1;\n" * 1000)
    (folder / "picture.png").write_bytes(bytes(range(256)) * 8)
    (folder / ".secret").write_text("no")
    (folder / "outside.txt").symlink_to("/etc/passwd")
    return folder


@pytest.fixture
def weir(start_weir, pages):
    return start_weir(admin.one_pool({"a": "http://127.0.0.1:1"}, pages=pages))


def test_paths(weir):
    anyone = admin.browser(weir, with_token=False)
    for target in ("/", "/traffic"):
        response = anyone.get(target)
        assert response.status == 303 and response.headers.get("Location") == "/login", target
    assert anyone.get("/login").text == "<p>login</p>"
    assert anyone.get("/login?link=abc").text == "<p>login</p>"
    assert anyone.get("/web/js/app.js").status == 200
    for target in ("/nothing", "/web/.secret", "/web/outside.txt", "/web/", "/web", "/web/js",
                   "/web/../weir.conf", "/web/%2e%2e/weir.conf", "/index"):
        assert anyone.get(target).status == 404, target
    known = admin.browser(weir)
    assert known.get("/").text.startswith("<p>panel</p>")
    assert known.get("/traffic").text == "<p>traffic</p>"


def test_types_and_tags(weir):
    anyone = admin.browser(weir, with_token=False)
    script = anyone.get("/web/js/app.js")
    assert script.headers.get("Content-Type") == "text/javascript; charset=utf-8"
    assert anyone.get("/web/picture.png").headers.get("Content-Type") == "image/png"
    etag = script.headers.get("ETag")
    assert re.fullmatch(r'"[^"]+"', etag)
    same = anyone.get("/web/js/app.js", [("If-None-Match", f'"other", {etag}')])
    assert same.status == 304 and same.headers.get("ETag") == etag
    assert anyone.get("/web/js/app.js", [("If-None-Match", '"other"')]).status == 200
    head = anyone.call("HEAD", "/web/js/app.js")
    assert head.status == 200 and head.body == b""
    assert head.headers.get("Content-Length") == str(len(script.body))
    wrong = anyone.call("POST", "/web/js/app.js", b"x")
    assert wrong.status == 405 and wrong.headers.get("Allow") == "GET, HEAD"


def test_compressed(weir):
    anyone = admin.browser(weir, with_token=False)
    plain = anyone.get("/web/js/app.js")
    small = anyone.get("/web/js/app.js", [("Accept-Encoding", "br, gzip")])
    assert small.headers.get("Content-Encoding") == "gzip"
    assert small.headers.get("Vary") == plain.headers.get("Vary") == "Accept-Encoding"
    assert small.headers.get("ETag") != plain.headers.get("ETag")
    assert len(small.body) < len(plain.body) / 10
    assert gzip.decompress(small.body) == plain.body
    refused = anyone.get("/web/js/app.js", [("Accept-Encoding", "gzip;q=0, identity")])
    assert refused.headers.get("Content-Encoding") is None
    picture = anyone.get("/web/picture.png", [("Accept-Encoding", "gzip")])
    assert picture.headers.get("Content-Encoding") is None


@pytest.mark.parametrize("target", ["/login", "/web/js/app.js", "/", "/nothing", "/api/v1/status"])
def test_guards(weir, target):
    response = admin.browser(weir, with_token=False).get(target)
    policy = response.headers.get("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for name, value in (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
                        ("X-Frame-Options", "DENY"), ("Cross-Origin-Opener-Policy", "same-origin"),
                        ("Cross-Origin-Resource-Policy", "same-origin")):
        assert response.headers.get(name) == value
    assert response.headers.get("Permissions-Policy")
    assert response.headers.get("Cache-Control")


def test_reload_reads_the_pages_anew(start_weir, pages):
    text = admin.one_pool({"a": "http://127.0.0.1:1"}, pages=pages)
    weir = start_weir(text)
    anyone = admin.browser(weir, with_token=False)
    before = anyone.get("/login")
    (pages / "login.html").write_text("<p>new</p>")
    assert anyone.get("/login").body == before.body
    weir.reload()
    after = anyone.get("/login", [("If-None-Match", before.headers.get("ETag"))])
    assert after.status == 200 and after.text == "<p>new</p>"


def test_names_of_others_are_refused(start_weir, pages, certs):
    tls = f'tls {{ {certs.block("localhost")} }}'
    weir = start_weir(admin.listener('hosts = {"weir.example"}', pages=pages) + conf.listener(
        f'handler "admin" {{ web_dir = "{pages}" }} {tls}', "secure"))
    anyone = admin.browser(weir, with_token=False)
    for host in ("localhost", f"localhost:{weir.port('admin')}", "127.0.0.1", "[::1]:9000",
                 "weir.example", "WEIR.example:80"):
        assert anyone.get("/login", host=host).status == 200, host
    for host in ("evil.example", "localhost.evil.example", "weir.example.evil", "127.0.0.1.nip.io"):
        response = anyone.get("/login", host=host, headers=[("Accept", "application/json")])
        assert response.status == 421, host
        assert "hosts" in response.json["detail"]
    # With TLS the certificate settles the name.
    secure = Browser(weir.address("secure"), tls=certs.client())
    assert secure.get("/login", host="anything.example").status == 200


@pytest.mark.parametrize("bind, tls, options, good", [
    ("127.0.0.1:@admin@", False, "", True),
    ("[::1]:@admin@", False, "", True),
    ("unix:admin.sock", False, "", True),
    ("0.0.0.0:@admin@", False, "", False),
    ("[::]:@admin@", False, "", False),
    ("192.0.2.1:@admin@", False, "", False),
    ("127.0.0.1:@other@\", \"0.0.0.0:@admin@", False, "", False),
    ("0.0.0.0:@admin@", True, "", True),
    ("0.0.0.0:@admin@", False, "insecure = true", True),
])
def test_other_machines_want_tls(make_weir, certs, bind, tls, options, good):
    weir = make_weir()
    block = f'tls {{ {certs.block("localhost")} }}' if tls else ""
    weir.configure(admin.listener(options, f'"{bind}"', block))
    done = run_weir("-t", "-c", weir.conf_path)
    assert (done.returncode == 0) == good, done.stderr
    if not good:
        assert re.search(r"weir\.conf:\d+: ", done.stderr)
        assert "tls block" in done.stderr and "insecure = true" in done.stderr


def test_missing_pages_are_told(make_weir):
    weir = make_weir()
    weir.configure(admin.listener('web_dir = "nowhere"'))
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1
    assert re.search(r"weir\.conf:\d+: the pages cannot be read: .*nowhere: No such file", done.stderr)


def test_handlers_of_one_listener(start_weir):
    """Each has a path and what is below it; the longest that fits gets a request."""
    extra = 'handler "metrics_prometheus" { path = "/metrics" }'
    weir = start_weir('module "metrics_prometheus" {}\n' + admin.listener(extra=extra))
    anyone = admin.browser(weir, with_token=False)
    assert "weir_" in anyone.get("/metrics").text
    assert anyone.get("/metricsx").status == 404
    assert anyone.get("/api/v1/pools").status == 401
    alone = conf.listener('handler "metrics_prometheus" { path = "/metrics/" }', "alone")
    weir.reload('module "metrics_prometheus" {}\n' + admin.listener(extra=extra) + alone)
    assert "weir_" in weir.get("/metrics", name="alone").text
    assert weir.get("/", name="alone").status == 404


@pytest.mark.parametrize("extra, mistake", [
    ('handler "admin" {}', "two handlers for the path"),
    ('handler "metrics_prometheus" { path = "metrics" }', "is not a path"),
])
def test_handlers_that_clash(make_weir, extra, mistake):
    weir = make_weir()
    weir.configure('module "metrics_prometheus" {}\n' + admin.listener(extra=extra))
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 1 and mistake in done.stderr, done.stderr
