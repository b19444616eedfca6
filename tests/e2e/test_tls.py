# SPDX-License-Identifier: MIT
"""TLS towards clients: versions, certificates by SNI, ALPN, resumption, ends, strange handshakes."""

import re
import socket
import ssl
import subprocess

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.client import Client, connect
from weirtest.load import Load
from weirtest.wait import DEADLINE, wait_for
from weirtest.wire import Cut


@pytest.fixture
def tls_weir(start_weir, http_server, certs):
    """A weir with four certificates, "localhost" first."""

    def start(options="", handler=None, workers=2, head=""):
        blocks = " ".join(certs.block(name) for name in ("localhost", "one", "two", "wildcard"))
        web = http_server("a", handler)
        return start_weir(head + conf.one_pool({"a": web}, listener_options=f"tls {{ {blocks} "
                                               f"{options} }}"), workers=workers)

    return start


def names_of(client):
    """Subject alternative names of the certificate that was shown."""
    return [name for kind, name in client.sock.getpeercert()["subjectAltName"] if kind == "DNS"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(tls_weir, certs, version):
    weir = tls_weir()
    with weir.client(tls=certs.client(version)) as client:
        for _ in range(3):
            assert client.get("/").status == 200
        spoken = client.sock.version()
    assert weir.access(3)[0]["tls"] == spoken
    assert weir.access()[0]["scheme"] == "https"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(tls_weir, certs, version):
    weir = tls_weir()
    context = certs.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        weir.client(tls=context)


def test_minimum_version_1_3(tls_weir, certs):
    weir = tls_weir('minimum_version = "1.3"')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        weir.client(tls=certs.client(ssl.TLSVersion.TLSv1_2))
    with weir.client(tls=certs.client()) as client:
        assert client.sock.version() == "TLSv1.3"
        assert client.get("/").status == 200


@pytest.mark.parametrize("asked, shown", [
    ("localhost", "localhost"), ("one.example", "one.example"), ("ONE.example", "one.example"),
    ("two.example", "two.example"), ("two.test", "two.example"), ("a.wild.example", "*.wild.example"),
])
def test_certificate_by_name(tls_weir, certs, asked, shown):
    weir = tls_weir()
    with weir.client(tls=certs.client(), server_name=asked) as client:
        assert shown in names_of(client)
        assert client.get("/", host=asked).status == 200


@pytest.mark.parametrize("asked", ["unknown.example", "wild.example", "a.b.wild.example", None])
def test_unknown_or_no_name_gets_the_first(tls_weir, certs, asked):
    """A client without SNI, or with a name that nobody has, is served by the first certificate."""
    weir = tls_weir()
    context = certs.client(verify=False)
    with weir.client(tls=context, server_name=asked) as client:
        shown = client.sock.getpeercert(binary_form=True)
        assert client.get("/").status == 200
    with weir.client(tls=certs.client(), server_name="localhost") as client:
        assert client.sock.getpeercert(binary_form=True) == shown


def test_whole_chain_is_sent(tls_weir, certs):
    weir = tls_weir()
    done = s_client(weir, "-showcerts", "-servername", "one.example", "-CAfile", certs.ca)
    assert done.count("BEGIN CERTIFICATE") == 2
    assert "Verify return code: 0 (ok)" in done


def test_alpn(tls_weir, certs):
    weir = tls_weir()
    with weir.client(tls=certs.client(alpn=["http/1.0"])) as client:
        assert client.sock.selected_alpn_protocol() == "http/1.0"
        assert client.get("/").status == 200
    for offered in (["http/1.1"], ["foo", "http/1.1"], ["h2", "http/1.1"], ["http/1.0", "http/1.1"]):
        with weir.client(tls=certs.client(alpn=offered)) as client:
            chosen = client.sock.selected_alpn_protocol()
            assert chosen in ("http/1.1", "h2")
            if chosen == "http/1.1":
                assert client.get("/").status == 200
    with weir.client(tls=certs.client()) as client:
        assert client.sock.selected_alpn_protocol() is None
        assert client.get("/").status == 200


def test_alpn_of_http_1_alone(tls_weir, certs):
    """A listener that offers HTTP/1.1 alone says so to a client that would like HTTP/2."""
    weir = tls_weir('alpn = {"http/1.1"}')
    with weir.client(tls=certs.client(alpn=["h2", "http/1.1"])) as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.get("/").status == 200


def s_client(weir, *arguments, data=b""):
    """openssl s_client's output."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{weir.port()}",
                           *map(str, arguments)], input=data, capture_output=True,
                          timeout=DEADLINE, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption_by_ticket(tls_weir, certs, tmp_path, version):
    """A session of one connection opens others, on whichever worker they land."""
    weir = tls_weir(workers=2)
    session = tmp_path / "session.pem"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    common = (version, "-CAfile", certs.ca, "-servername", "localhost", "-ign_eof")
    first = s_client(weir, *common, "-sess_out", session, data=request)
    assert "HTTP/1.1 200" in first and "New, TLS" in first
    for _ in range(6):
        again = s_client(weir, *common, "-sess_in", session, data=request)
        assert "HTTP/1.1 200" in again
        assert "Reused, TLS" in again


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("other", ["two.example", "two.test", "unknown.example", "localhost"])
def test_session_is_of_one_name(tls_weir, certs, tmp_path, version, other):
    """A session of one name opens no connection of another (RFC 6066 section 3: MUST NOT), be it of the
    same certificate or not; the connection is made all the same, by a whole handshake."""
    weir = tls_weir()
    session = tmp_path / "session.pem"

    def run(name, *more):
        request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii")
        done = s_client(weir, version, "-CAfile", certs.ca, "-servername", name, "-ign_eof", *more,
                        data=request)
        assert "HTTP/1.1 200" in done
        return done

    own = "two.example" if other == "two.test" else "one.example"
    assert "New, TLS" in run(own, "-sess_out", session)
    assert "New, TLS" in run(other, "-sess_in", session)
    assert "Reused, TLS" in run(own.upper(), "-sess_in", session), "names have no case"


def test_session_needs_its_name(tls_weir, certs, tmp_path):
    """One of a named connection opens none that names nothing, nor the other way round."""
    weir = tls_weir()
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    common = ("-tls1_2", "-CAfile", certs.ca, "-ign_eof")
    named, nameless = tmp_path / "named.pem", tmp_path / "nameless.pem"
    name, none = ("-servername", "localhost"), ("-noservername",)
    assert "New, TLS" in s_client(weir, *common, *name, "-sess_out", named, data=request)
    assert "New, TLS" in s_client(weir, *common, *none, "-sess_out", nameless, data=request)
    assert "New, TLS" in s_client(weir, *common, *none, "-sess_in", named, data=request)
    assert "New, TLS" in s_client(weir, *common, *name, "-sess_in", nameless, data=request)
    assert "Reused, TLS" in s_client(weir, *common, *none, "-sess_in", nameless, data=request)


def test_tickets_survive_reload(tls_weir, certs, tmp_path):
    weir = tls_weir()
    session = tmp_path / "session.pem"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    common = ("-tls1_2", "-CAfile", certs.ca, "-servername", "localhost", "-ign_eof")
    assert "New, TLS" in s_client(weir, *common, "-sess_out", session, data=request)
    weir.reload()
    assert "Reused, TLS" in s_client(weir, *common, "-sess_in", session, data=request)


def test_ticket_keys_are_forgotten(tls_weir, certs, tmp_path):
    """A ticket outlives two new keys, and not many: what was sealed can be opened by nobody then."""
    weir = tls_weir(head="ticket_key_lifetime = 1s\n")
    session = tmp_path / "session.pem"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    common = ("-tls1_2", "-CAfile", certs.ca, "-servername", "localhost", "-ign_eof")
    assert "New, TLS" in s_client(weir, *common, "-sess_out", session, data=request)
    assert "Reused, TLS" in s_client(weir, *common, "-sess_in", session, data=request)
    wait_for(lambda: "New, TLS" in s_client(weir, *common, "-sess_in", session, data=request),
             "the ticket's key to be gone")


def test_no_tickets(tls_weir, certs, tmp_path):
    weir = tls_weir("session_tickets = off")
    session = tmp_path / "session.pem"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    common = ("-tls1_3", "-CAfile", certs.ca, "-ign_eof")
    assert "HTTP/1.1 200" in s_client(weir, *common, "-sess_out", session, data=request)
    if session.exists():
        assert "Reused, TLS" not in s_client(weir, *common, "-sess_in", session, data=request)


def test_large_bodies_both_ways(tls_weir, certs):
    body = bytes(range(256)) * 8192  # 2 MiB
    weir = tls_weir(handler=lambda request: request.body)
    with weir.client(tls=certs.client()) as client:
        for _ in range(3):
            assert client.get("/", method="POST", body=body).body == body


def test_close_notify_ends_the_connection(tls_weir, certs):
    """Weir says close_notify: a client can tell the end from a cut."""
    weir = tls_weir(handler=lambda request: Reply(b"x" * 1000, framing="close"))
    with weir.client(tls=certs.client()) as client:
        client.request(version="1.0")
        assert client.response().body == b"x" * 1000  # Python raises where close_notify is missing


def test_cut_body_is_no_clean_end(start_weir, scripted_server, certs):
    """Towards an HTTP/1.0 client only TLS can show that a body was cut: no close_notify then."""
    def script(peer):
        peer.request()
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)},
                                    listener_options=f"tls {{ {certs.block('localhost')} }}"))
    with weir.client(tls=certs.client()) as client:
        client.request(version="1.0")
        with pytest.raises((ConnectionError, Cut, ssl.SSLError)):
            client.response()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_fin_without_close_notify(tls_weir, certs, version):
    """It ends what the client says; what was asked for whole is answered whole."""
    body = b"x" * 3_000_000
    weir = tls_weir(handler=lambda request: Reply(body, framing=request.headers.get("X-Framing")))
    for framing in ("length", "chunked", "close"):
        for count in (1, 2):
            with weir.client(tls=certs.client(version)) as client:
                client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Framing: {framing}\r\n\r\n" *
                            count)
                # Below TLS: the socket's own method would end TLS first.
                socket.socket.shutdown(client.sock, socket.SHUT_WR)
                for _ in range(count):
                    assert client.response().body == body
                assert client.rest() == b""
    with weir.client(tls=certs.client(version)) as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
        with pytest.raises((ConnectionError, Cut, ssl.SSLError, AssertionError)):
            assert client.response().status == 200


def test_plain_http_on_a_tls_listener(tls_weir, certs):
    weir = tls_weir()
    with Client(weir.address()) as client:
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        try:
            data = client.rest()
        except ConnectionError:
            pass
        assert not data.startswith(b"HTTP/1.1 200")
    with weir.client(tls=certs.client()) as client:
        assert client.get("/").status == 200


def test_garbage_and_broken_handshakes(tls_weir, certs):
    """Whatever comes instead of a handshake harms nobody else."""
    weir = tls_weir()
    before = weir.descriptors()
    for data in (b"", b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x80" * 100, b"\0" * 1000,
                 b"\x16\x03\x01\xff\xff" + b"\x01" * 3000, b"\x15\x03\x01\x00\x02\x02\x28"):
        with connect(weir.address()) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            try:
                while sock.recv(4096):
                    pass
            except ConnectionError:
                pass
    wait_for(lambda: weir.descriptors() <= before, "all descriptors to be given back")
    with weir.client(tls=certs.client()) as client:
        assert client.get("/").status == 200


def test_many_handshakes(tls_weir, certs):
    """New connections, some resumed, under some load: all are served."""
    weir = tls_weir()
    context = certs.client()

    def one(client):
        response = client.get("/", [("Connection", "close")])
        assert response.status == 200
        return response

    with Load(lambda: weir.client(tls=context), one, threads=4) as load:
        load.wait_requests(150)
    load.assert_clean()


def test_new_certificate_by_reload(start_weir, http_server, certs):
    """The file is the same, what it holds is new: connections that are there go on as they were."""
    folder = certs.folder / "renewed"
    folder.mkdir()
    for suffix in ("crt", "key"):
        (folder / f"x.{suffix}").write_bytes((certs.folder / f"one.{suffix}").read_bytes())
    tls = f'tls {{ certificate "x" {{ chain = "{folder}/x.crt"  key = "{folder}/x.key" }} }}'
    weir = start_weir(conf.one_pool({"a": http_server("a")}, listener_options=tls))
    with weir.client(tls=certs.client(), server_name="one.example") as old:
        assert old.get("/").status == 200
        for suffix in ("crt", "key"):
            (folder / f"x.{suffix}").write_bytes((certs.folder / f"two.{suffix}").read_bytes())
        weir.reload()
        assert old.get("/").status == 200
        with weir.client(tls=certs.client(), server_name="two.example") as new:
            assert "two.example" in names_of(new)
            assert new.get("/").status == 200


def test_ciphers_are_modern(tls_weir, certs):
    weir = tls_weir()
    text = s_client(weir, "-tls1_2", "-CAfile", certs.ca)
    cipher = re.search(r"Cipher is (\S+)", text).group(1)
    assert "ECDHE" in cipher and ("GCM" in cipher or "CHACHA20" in cipher)
    weak = s_client(weir, "-tls1_2", "-cipher", "AES128-SHA:AES256-SHA:@SECLEVEL=0")
    assert "Cipher is (NONE)" in weak or "handshake failure" in weak
