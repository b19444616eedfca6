# SPDX-License-Identifier: MIT
"""Other people's clients, which nobody here has written: curl, Python's http.client, and wrk."""

import http.client
import re
import subprocess

import pytest

from weirtest import conf

CHUNKS = [b"one ", b"two ", b"three"]
WRK_CONNECTIONS = 8


def echo(request):
    """What came; what the load generator asks for is short."""
    return request.body or b"ok"


@pytest.fixture(params=["http", "https"])
def site(request, start_weir, http_server, certs):
    """A weir before one server, with and without TLS: the running weir, the server, the URL."""
    tls = f"tls {{ {certs.block('localhost')} }}" if request.param == "https" else ""
    server = http_server("a", echo, keep=False)
    weir = start_weir(conf.one_pool({"a": server}, listener_options=tls))
    return weir, server, f"{request.param}://localhost:{weir.port()}/"


def run(*command, data=b""):
    done = subprocess.run(list(map(str, command)), input=data, capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stderr.decode()}"
    return done.stdout


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl(site, certs, version):
    """Two requests on one connection, a body with its length, a body of unknown length, HTTP/1.0."""
    weir, _, url = site
    curl = ["curl", "-sS", "--fail", "-4", "--cacert", certs.ca, version]
    # Where nothing is agreed on by ALPN, curl asks for h2c by Upgrade, which is passed over.
    spoken = b"HTTP/2 " if url.startswith("https") and version == "--http2" else b"HTTP/1.1 "
    assert run(*curl, "-w", "%{num_connects} ", url, url) == b"ok1 ok0 "
    body = bytes(range(256)) * 4096
    assert run(*curl, "--data-binary", "@-", url, data=body) == body
    assert run(*curl, "-T", "-", url, data=body) == body
    assert run(*curl, "--http1.0", url) == b"ok"
    assert run(*curl, "-I", url).startswith(spoken + b"200 ")
    assert all(entry["reason"] == "" for entry in weir.access(6))


def test_http_client(site, certs):
    """One connection for all of it, which is there to the end."""
    weir, _, url = site
    if url.startswith("https"):
        client = http.client.HTTPSConnection("localhost", weir.port(), timeout=20,
                                             context=certs.client())
    else:
        client = http.client.HTTPConnection("localhost", weir.port(), timeout=20)
    client.connect()
    sock = client.sock
    for method, body, wanted in (
            ("GET", None, b"ok"), ("POST", b"body", b"body"),
            ("PUT", iter(CHUNKS), b"".join(CHUNKS)),  # goes out in chunks
            ("HEAD", None, b""), ("GET", None, b"ok")):
        client.request(method, "/", body)
        response = client.getresponse()
        assert (response.status, response.read()) == (200, wanted), method
    assert client.sock is sock
    client.close()


def test_wrk(site):
    """Every answer is a good one, on connections that are kept."""
    _, server, url = site
    output = run("wrk", "-t1", f"-c{WRK_CONNECTIONS}", "-d1s", url).decode()
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    answered = int(re.search(r"(\d+) requests in", output).group(1))
    assert answered > WRK_CONNECTIONS and server.served >= answered
    assert server.accepted <= WRK_CONNECTIONS + 2  # those to the server are kept, too
