# SPDX-License-Identifier: MIT
"""Who may come in to the admin plane: tokens, logins, sessions, peers of Unix sockets; and who may not."""

import os
import re

import pytest

from weirtest import admin, conf
from weirtest.admin import Browser
from weirtest.wait import pass_time, wait_for
from weirtest.weirctl import weirctl

DEAD = {"a": "http://127.0.0.1:1"}


@pytest.fixture
def weir(start_weir):
    return start_weir(admin.one_pool(DEAD))


def add_user(weir, name="ann", role="operator", password="correct horse battery"):
    made = admin.browser(weir).call("POST", "/api/v1/users",
                                    {"name": name, "role": role, "password": password})
    assert made.status == 201, made.text


def assert_problem(response, status):
    """A problem document of that status which says something."""
    assert response.status == status, (response.status, response.text)
    assert response.headers.get("Content-Type") == "application/problem+json"
    assert response.json["status"] == status and response.json["title"] and response.json["detail"]
    assert response.headers.get("Cache-Control") == "no-store"


# ---- tokens ----

def test_tokens(weir):
    assert os.stat(weir.state / "admin.token").st_mode & 0o777 == 0o600
    assert admin.browser(weir).get("/api/v1/pools").status == 200
    for field in ("Bearer weir_wrong", "Bearer", "Bearer ", "Basic YTpi", admin.token(weir),
                  f"Bearer {admin.token(weir)}x", f"Bearer {admin.token(weir)[:-1]}"):
        response = admin.browser(weir, False).get("/api/v1/pools", [("Authorization", field)])
        assert_problem(response, 401)
        assert response.headers.get("WWW-Authenticate").startswith("Bearer ")
    assert_problem(admin.browser(weir, False).get("/api/v1/pools"), 401)
    assert_problem(admin.browser(weir, False).get("/openapi.json"), 401)


def knows(weir, token):
    """Whether the token is one."""
    status = Browser(weir.address("admin"), token).get("/api/v1/pools").status
    assert status in (200, 401)
    return status == 200


def test_admin_token_that_is_removed_or_replaced_is_not_in_force(weir):
    """The file rules, at a reload: who took it away has revoked it, and its sessions end with it."""
    path, first = weir.state / "admin.token", admin.token(weir)
    session = admin.browser(weir, False)
    assert session.log_in(token=first).status == 200
    weir.reload()
    assert knows(weir, first), "nothing has changed"
    assert session.get("/api/v1/pools").status == 200

    other = "weir_" + "5" * 64
    path.write_text(other + "\n", encoding="ascii")
    weir.reload()
    assert knows(weir, other) and not knows(weir, first)
    assert session.get("/api/v1/pools").status == 401, "begun with the token before"

    again = admin.browser(weir, False)
    assert again.log_in(token=other).status == 200
    path.unlink()
    weir.reload()
    assert not knows(weir, other) and not knows(weir, first)
    assert again.get("/api/v1/pools").status == 401
    assert "revoked" in weir.log()


def test_admin_token_is_renewed_and_revoked_live(start_weir):
    weir = start_weir(admin.one_pool(DEAD))
    first = admin.token(weir)
    add_user(weir, role="operator")
    made = admin.browser(weir).call("POST", "/api/v1/users/ann/token", {})
    ann = Browser(weir.address("admin"), made.json["token"])
    assert_problem(ann.call("POST", "/api/v1/admin-token"), 403)
    assert_problem(ann.call("DELETE", "/api/v1/admin-token"), 403)

    answer = Browser(weir.address("admin"), first).call("POST", "/api/v1/admin-token")
    assert answer.status == 201 and answer.json["file"] == str(weir.state / "admin.token")
    second = answer.json["token"]
    assert second == admin.token(weir) != first
    assert os.stat(weir.state / "admin.token").st_mode & 0o777 == 0o600
    assert knows(weir, second) and not knows(weir, first)
    journal = Browser(weir.address("admin"), second).get("/api/v1/journal").json["entries"][0]
    assert journal["command"] == "admin_token.renew" and second not in str(journal)
    weir.reload()
    assert knows(weir, second)

    root = Browser(weir.address("admin"), second)
    assert root.call("DELETE", "/api/v1/admin-token").status == 204
    assert not knows(weir, second)
    weir.reload()
    assert not knows(weir, second)
    assert sorted(path.name for path in weir.state.glob("admin.token*")) == ["admin.token"]
    weir.stop()
    weir.start()
    assert "first start" not in weir.log().rpartition("ready:")[0].rpartition("weir: ready")[2]
    assert not knows(weir, (weir.state / "admin.token").read_text(encoding="ascii").strip())


def test_admin_token_by_weirctl(start_weir, tmp_path):
    """Over the Unix socket, for those who have lost theirs."""
    socket = tmp_path / "admin.sock"
    weir = start_weir(admin.one_pool(DEAD, bind=f'"127.0.0.1:@admin@", "unix:{socket}"'))
    first = admin.token(weir)
    made = weirctl("--socket", socket, "admin-token", "renew")
    assert made.returncode == 0 and made.stdout.strip() == admin.token(weir) != first
    assert knows(weir, made.stdout.strip()) and not knows(weir, first)
    done = weirctl("--socket", socket, "admin-token", "revoke")
    assert done.returncode == 0 and "revoked" in done.stdout
    assert weirctl("--socket", socket, "admin-token", "revoke").returncode != 0
    assert not knows(weir, made.stdout.strip())


def test_a_users_token_has_its_role_and_can_be_taken_back(weir):
    root = admin.browser(weir)
    add_user(weir, role="viewer")
    made = root.call("POST", "/api/v1/users/ann/token", {})
    assert made.status in (200, 201)
    ann = Browser(weir.address("admin"), made.json["token"])
    assert ann.get("/api/v1/session").json == {"author": "ann", "role": "viewer", "csrf": None}
    assert ann.get("/api/v1/pools").status == 200
    assert_problem(ann.call("PATCH", "/api/v1/pools/web/servers/a", {"weight": 3}), 403)
    assert_problem(ann.call("POST", "/api/v1/config/reload", {}), 403)
    assert root.call("PATCH", "/api/v1/users/ann", {"role": "operator"}).status == 200
    assert ann.call("PATCH", "/api/v1/pools/web/servers/a", {"weight": 3}).status == 200
    assert root.call("DELETE", "/api/v1/users/ann").status in (200, 204)
    assert_problem(ann.get("/api/v1/pools"), 401)


# ---- logins ----

def test_login_with_a_password(weir):
    add_user(weir)
    ann = admin.browser(weir, False)
    response = ann.log_in(name="ann", password="correct horse battery")
    assert response.status == 200
    assert response.json["author"] == "ann" and response.json["role"] == "operator"
    cookie = response.headers.get("Set-Cookie")
    assert re.match(r"weir_admin=[A-Za-z0-9_-]{43}; Path=/; ", cookie)
    assert "; HttpOnly" in cookie and "; SameSite=Strict" in cookie and "Secure" not in cookie
    assert ann.get("/api/v1/session").json["csrf"] == response.json["csrf"]
    assert ann.get("/api/v1/pools").status == 200
    again = admin.browser(weir, False)
    again.log_in(name="ann", password="correct horse battery")
    assert again.cookie != ann.cookie and again.csrf != ann.csrf


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"nonsense", 400), (b'{"name":"ann"', 400), (b"[]", 400), (b"\xff\xfe", 400),
    (b"{}", 422), (b'{"name":"ann"}', 422), (b'{"password":"x"}', 422), (b'{"name":1}', 422),
    (b'{"token":null}', 422), (b'{"token":"a","link":"b"}', 422), (b'{"user":"a"}', 422),
    (b'{"name":"ann","password":"wrong"}', 401), (b'{"name":"nobody","password":"x"}', 401),
    (b'{"token":"weir_wrong"}', 401), (b'{"link":"wrong"}', 401),
])
def test_bad_logins(weir, body, status):
    response = admin.browser(weir, False).call("POST", "/api/v1/session", body)
    assert_problem(response, status)
    assert response.headers.get("Set-Cookie") is None


def test_methods_and_types_of_the_session(weir):
    response = admin.browser(weir).call("PUT", "/api/v1/session", {})
    assert_problem(response, 405)
    assert response.headers.get("Allow") == "GET, HEAD, POST, DELETE"
    assert_problem(admin.browser(weir, False).call(
        "POST", "/api/v1/session", "token=x",
        [("Content-Type", "application/x-www-form-urlencoded")]), 415)
    assert_problem(admin.browser(weir, False).call("POST", "/api/v1/session", b" " * 70000), 413)


def test_the_link_of_the_first_start_works_once(weir):
    match = weir.wait_log(r"/login\?link=([0-9A-Za-z_-]+)")
    link = match.group(1)
    first, second = admin.browser(weir, False), admin.browser(weir, False)
    assert first.log_in(link=link).status == 200
    assert first.get("/api/v1/session").json["role"] == "admin"
    assert second.log_in(link=link).status == 401


def test_login_over_tls(start_weir, certs):
    weir = start_weir(admin.one_pool(DEAD, extra=f'tls {{ {certs.block("localhost")} }}'))
    somebody = admin.browser(weir, False, tls=certs.client())
    response = somebody.log_in(token=admin.token(weir))
    assert response.status == 200
    assert response.headers.get("Set-Cookie").endswith("; Secure")
    assert somebody.get("/api/v1/session").status == 200
    events = admin.events(weir, tls=certs.client())
    events.until("statistics")
    events.client.close()


# ---- sessions ----

def test_sessions_survive_a_reload_and_not_a_logout(weir):
    somebody = admin.browser(weir, False)
    assert somebody.log_in(token=admin.token(weir)).status == 200
    for _ in range(3):
        weir.reload()
        assert somebody.get("/api/v1/session").status == 200
    assert_problem(somebody.call("DELETE", "/api/v1/session", csrf=False), 403)
    assert somebody.get("/api/v1/session").status == 200
    response = somebody.call("DELETE", "/api/v1/session")
    assert response.status == 204 and "Max-Age=0" in response.headers.get("Set-Cookie")
    assert_problem(somebody.get("/api/v1/session"), 401)


def test_idle_sessions_end(start_weir):
    weir = start_weir(admin.one_pool(DEAD, admin_options="session_idle_timeout = 1s"))
    somebody = admin.browser(weir, False)
    assert somebody.log_in(token=admin.token(weir)).status == 200
    pass_time(1.2)
    assert_problem(somebody.get("/api/v1/session"), 401)


def test_sessions_end_after_their_lifetime(start_weir):
    weir = start_weir(admin.one_pool(
        DEAD, admin_options="session_idle_timeout = 2s  session_lifetime = 2s"))
    somebody = admin.browser(weir, False)
    assert somebody.log_in(token=admin.token(weir)).status == 200
    wait_for(lambda: somebody.get("/api/v1/session").status == 401, "the session's end")


def test_a_removed_user_is_out(weir):
    add_user(weir)
    ann, root = admin.browser(weir, False), admin.browser(weir)
    assert ann.log_in(name="ann", password="correct horse battery").status == 200
    assert root.call("PATCH", "/api/v1/users/ann", {"role": "viewer"}).status == 200
    assert ann.get("/api/v1/session").json["role"] == "viewer"
    assert root.call("DELETE", "/api/v1/users/ann").status in (200, 204)
    assert_problem(ann.get("/api/v1/session"), 401)


def test_a_session_ends_with_the_token_that_began_it(weir):
    """And one that a password or another token began goes on."""
    root = admin.browser(weir)
    add_user(weir)
    first, second = (root.post("/api/v1/users/ann/token", {}).json for _ in range(2))
    sessions = [admin.browser(weir, False) for _ in range(3)]
    for session, how in zip(sessions, ({"token": first["token"]}, {"token": second["token"]},
                                       {"name": "ann", "password": "correct horse battery"})):
        assert session.log_in(**how).status == 200
    assert root.delete(f"/api/v1/users/ann/tokens/{first['id']}").status == 204
    assert not knows(weir, first["token"]) and knows(weir, second["token"])
    assert_problem(sessions[0].get("/api/v1/session"), 401)
    for session in sessions[1:]:
        assert session.get("/api/v1/session").status == 200


# ---- other pages ----

def test_a_new_password_ends_sessions(weir):
    """And one who is added again is somebody else."""
    root = admin.browser(weir)
    root.post("/api/v1/users", {"name": "zoe", "role": "viewer", "password": "long enough"})
    zoe = admin.browser(weir, with_token=False)
    assert zoe.log_in(name="zoe", password="long enough").status == 200
    root.patch("/api/v1/users/zoe", {"role": "operator"})
    assert zoe.get("/api/v1/session").json["role"] == "operator"
    root.patch("/api/v1/users/zoe", {"password": "longer than that"})
    assert zoe.get("/api/v1/session").status == 401
    assert zoe.log_in(name="zoe", password="longer than that").status == 200
    root.delete("/api/v1/users/zoe")
    root.post("/api/v1/users", {"name": "zoe", "role": "admin", "password": "somebody else"})
    assert zoe.get("/api/v1/session").status == 401


def test_writes_of_a_session_want_its_token(weir):
    somebody, other = admin.browser(weir, False), admin.browser(weir, False)
    for one in (somebody, other):
        assert one.log_in(token=admin.token(weir)).status == 200
    target, body = "/api/v1/pools/web/servers/a", {"weight": 7}

    def weight():
        return somebody.get(target).json["weight"]

    for headers in ([], [("X-CSRF-Token", "")], [("X-CSRF-Token", other.csrf)],
                    [("X-CSRF-Token", somebody.csrf), ("Origin", "https://evil.example")],
                    [("X-CSRF-Token", somebody.csrf), ("Origin", "null")],
                    [("X-CSRF-Token", somebody.csrf), ("Sec-Fetch-Site", "cross-site")],
                    [("X-CSRF-Token", somebody.csrf), ("Sec-Fetch-Site", "same-site")]):
        assert_problem(somebody.call("PATCH", target, body, headers, csrf=False), 403)
        assert weight() == 1
    own = f"http://localhost:{weir.port('admin')}"
    response = somebody.call("PATCH", target, body, [("Origin", own),
                                                     ("Sec-Fetch-Site", "same-origin")],
                             host=own.removeprefix("http://"))
    assert response.status == 200, response.text
    assert weight() == 7


def test_other_sites_read_nothing_and_log_nobody_in(weir):
    somebody = admin.browser(weir, False)
    token = admin.token(weir)
    assert_problem(somebody.log_in(token=token, headers=[("Origin", "https://evil.example")]), 403)
    assert_problem(somebody.log_in(token=token, headers=[("Sec-Fetch-Site", "cross-site")]), 403)
    assert somebody.log_in(token=token).status == 200
    for target in ("/api/v1/pools", "/api/v1/events"):
        response = somebody.get(target, [("Sec-Fetch-Site", "same-site")])
        assert_problem(response, 403)
        assert response.headers.get("Access-Control-Allow-Origin") is None
    assert somebody.call("OPTIONS", "/api/v1/pools").status in (403, 405)


# ---- throttling ----

def test_failed_logins_are_slowed_down(weir):
    add_user(weir)
    somebody = admin.browser(weir, False)
    for _ in range(5):
        assert_problem(somebody.log_in(name="ann", password="wrong"), 401)
    response = somebody.log_in(name="ann", password="correct horse battery")
    assert_problem(response, 429)
    assert 1 <= int(response.headers.get("Retry-After")) <= 2
    # From another address the name is slow as well, and others are not.
    def from_elsewhere(body):
        client = weir.client("admin", source=("127.0.0.2", 0))
        with client:
            return client.get("/api/v1/session", [("Content-Type", "application/json")], "POST",
                              body=body)
    assert from_elsewhere('{"name":"ann","password":"wrong"}').status == 429
    assert from_elsewhere('{"name":"bob","password":"wrong"}').status == 401
    wait_for(lambda: somebody.log_in(name="ann", password="correct horse battery").status == 200,
             "the login to be heard again")
    # Who is in already, or has a token, was never held up.
    assert admin.browser(weir).get("/api/v1/session").status == 200


def test_throttling_survives_a_reload(weir):
    somebody = admin.browser(weir, False)
    for _ in range(6):
        somebody.log_in(token="weir_wrong")
    weir.reload()
    assert_problem(somebody.log_in(token="weir_wrong"), 429)


# ---- Unix sockets ----

def test_peers_of_a_unix_socket(start_weir):
    weir = start_weir(conf.one_pool(DEAD) + admin.listener(bind='"unix:admin.sock"'))
    peer = Browser(str(weir.folder / "admin.sock"), host="weir")
    session = peer.get("/api/v1/session")
    assert session.status == 200 and session.json["role"] == "admin"
    assert session.json["author"].startswith(f"uid:{os.getuid()}")
    changed = peer.call("PATCH", "/api/v1/pools/web/servers/a", {"weight": 5})
    assert changed.status == 200
    entry = peer.get("/api/v1/journal?limit=1").json["entries"][0]
    assert entry["author"] == session.json["author"]
    # A proxy speaks for others; and a wrong token is not made good by who brings it.
    assert_problem(peer.get("/api/v1/session", [("X-Forwarded-For", "192.0.2.1")]), 401)
    assert_problem(peer.get("/api/v1/session", [("Authorization", "Bearer weir_wrong")]), 401)
