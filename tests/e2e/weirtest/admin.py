# SPDX-License-Identifier: MIT
"""The admin plane from outside: its configuration, and clients that show a token, a cookie or nothing."""

import json
import pathlib

from . import conf
from .client import Client
from .wait import wait_for

WEB = pathlib.Path(__file__).resolve().parents[3] / "web"


def listener(options="", bind=None, extra="", name="admin", pages=False):
    """The module, and a listener of it on a port of its name; `options` are the handler's, `extra` the
    listener's. Tests ask as often as they like, where the options do not say otherwise."""
    folder = WEB if pages is True else pages or ""
    return (f'module "admin" {{ web_dir = "{folder}"  request_limit = 0 }}\n' +
            conf.listener(f'handler "admin" {{ {options} }}\n  {extra}', name, bind))


def one_pool(servers, pool_options="", balance="round_robin", admin_options="", **how):
    """A pool behind a listener, and the admin plane."""
    return (conf.one_pool(servers, pool_options, balance=balance) +
            listener(admin_options, **how))


def token(weir):
    """The administrator's token, made at the first start."""
    path = weir.state / "admin.token"
    wait_for(lambda: path.exists() and path.read_text(encoding="ascii").endswith("\n"),
             "the administrator's token")
    return path.read_text(encoding="ascii").strip()


class Browser:
    """Somebody at the admin plane, with one connection a request. `bearer`: a token to show; `cookie` and
    `csrf` are kept from a login."""

    def __init__(self, address, bearer=None, tls=None, host="localhost"):
        self.address = address
        self.bearer = bearer
        self.tls = tls
        self.host = host
        self.cookie = self.csrf = None

    def call(self, method, target, body=None, headers=(), **how):
        """A request and its response; a body that is no bytes goes as JSON. `csrf=False` leaves it out."""
        fields = list(headers)
        names = {name.lower() for name, _ in fields}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None and "content-type" not in names:
            fields.append(("Content-Type", "application/json"))
        if self.bearer and "authorization" not in names:
            fields.append(("Authorization", f"Bearer {self.bearer}"))
        if self.cookie and "cookie" not in names:
            fields.append(("Cookie", self.cookie))
        if self.csrf and how.pop("csrf", True) and method not in ("GET", "HEAD"):
            fields.append(("X-CSRF-Token", self.csrf))
        with Client(self.address, tls=self.tls) as client:
            response = client.get(target, fields, method, body=body,
                                  host=how.pop("host", self.host), **how)
        kind = response.headers.get("Content-Type") or ""
        response.json = json.loads(response.body) if "json" in kind and response.body else None
        return response

    def get(self, target, headers=(), **how):
        return self.call("GET", target, None, headers, **how)

    def post(self, target, body=None):
        return self.call("POST", target, body)

    def patch(self, target, body):
        return self.call("PATCH", target, body)

    def delete(self, target):
        return self.call("DELETE", target)

    def log_in(self, **how):
        """POST /api/v1/session; keeps the cookie where it goes well."""
        headers = how.pop("headers", ())
        response = self.call("POST", "/api/v1/session", how, headers)
        if response.status == 200:
            self.cookie = response.headers.get("Set-Cookie").partition(";")[0]
            self.csrf = response.json["csrf"]
        return response


def browser(weir, with_token=True, name="admin", **how):
    """Somebody at a listener of `weir`, who has the administrator's token or not."""
    return Browser(weir.address(name), token(weir) if with_token else None, **how)


class Events:
    """A client of /api/v1/events: an iterator of (id, name, data)."""

    def __init__(self, address, fields, tls=None, **how):
        self.client = Client(address, tls=tls, **how)
        self.client.request("GET", "/api/v1/events", fields)
        self.response = self.client.begin()
        self.pieces = self.client.body(self.response)
        self.text = ""
        self.comments = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.client.close()

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            while "\n\n" not in self.text:
                self.text += next(self.pieces).decode("utf-8")
            block, _, self.text = self.text.partition("\n\n")
            number, name, data = None, "message", []
            for line in block.split("\n"):
                key, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments.append(line)
                elif key == "id":
                    number = int(value)
                elif key == "event":
                    name = value
                elif key == "data":
                    data.append(value)
            if data:
                return number, name, json.loads("\n".join(data))

    def until(self, name, match=lambda data: True):
        """The next event of that name that matches."""
        for number, kind, data in self:
            if kind == name and match(data):
                return number, data
        raise AssertionError(f"the stream ended without {name}")


def events(weir, last_id=None, name="admin", fields=None, **how):
    """The stream of events, with the administrator's token."""
    fields = list(fields if fields is not None else [("Authorization", f"Bearer {token(weir)}")])
    if last_id is not None:
        fields.append(("Last-Event-ID", str(last_id)))
    return Events(weir.address(name), fields, **how)
