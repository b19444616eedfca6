# SPDX-License-Identifier: MIT
"""Runs weirctl, and plays the API that it speaks."""

import json
import os
import pathlib
import subprocess

from .backend import HttpServer, Reply
from .wait import DEADLINE
from .weir import program

SERVER = {
    "id": "web-1", "pool": "web", "url": "http://127.0.0.1:3003", "origin": "file", "drift": [],
    "state": "ready", "state_since": 1764000000000, "drain_deadline": None,
    "health": {"status": "up", "reason": "probe: status 200", "since": 1764000000000,
               "probes": [{"at": 1764000000000, "ok": True, "ms": 1.2,
                           "reason": "probe: status 200"}]},
    "weight": 1, "effective_weight": 1.0, "configured_weight": 1, "max_connections": 0,
    "backup": False, "in_flight": 3, "sessions": None, "requests": 1234,
    "responses": {"1xx": 0, "2xx": 1200, "3xx": 0, "4xx": 30, "5xx": 4, "none": 0},
    "errors": {"connect_refused": 3}, "error_share": 0.01, "retries": 2, "bytes_in": 1000,
    "bytes_out": 2000, "connections": 2,
    "rates": {"requests": 12.5, "errors": 0.0, "bytes_in": 10.0, "bytes_out": 20.0},
    "latency_ms": {"p50": 1.25, "p95": 20.5, "p99": 150.0}, "ejected_until": None}


def weirctl_path():
    """The program, beside weir."""
    return str(pathlib.Path(program()).resolve().parent / "weirctl")


def weirctl(*arguments, stdin="", environment=None, cwd=None):
    """Runs weirctl to its end."""
    env = {key: value for key, value in os.environ.items()
           if key not in ("WEIR_SOCKET", "WEIR_URL", "WEIR_TOKEN_FILE", "NO_COLOR")}
    env.update(environment or {})
    return subprocess.run([weirctl_path(), *map(str, arguments)], input=stdin, env=env, text=True,
                          capture_output=True, timeout=DEADLINE, cwd=cwd, check=False)


def problem(status, title, detail, **more):
    """A problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Reply(json.dumps(body).encode(), status,
                 headers=(("Content-Type", "application/problem+json"),))


class Api:
    """Answers by "METHOD /path" below /api/v1: a Python value as JSON, or a Reply, or a function of the
    request that gives either."""

    def __init__(self, answers):
        self.answers = answers

    def __call__(self, request):
        assert request.body is not None
        path, _, _ = request.target.partition("?")
        assert path.startswith("/api/v1"), request.target
        key = f"{request.method} {path[len('/api/v1'):]}"
        if key not in self.answers:
            return problem(404, "Not found", f"there is no {key}")
        value = self.answers[key]
        value = value(request) if callable(value) else value
        if isinstance(value, Reply):
            return value
        return Reply(json.dumps(value).encode(), headers=(("Content-Type", "application/json"),))


class Admin(HttpServer):
    """A scripted admin listener on a Unix socket."""

    def __init__(self, folder, answers, **how):
        how.setdefault("unix", str(folder / "admin.sock"))
        super().__init__("admin", Api(answers), **how)

    def run(self, *arguments, **how):
        """Runs weirctl on it."""
        return weirctl("--socket", self.unix, *arguments, **how)

    @property
    def last(self):
        """The last request: method, target, JSON body."""
        request = self.requests[-1]
        return request.method, request.target, json.loads(request.body) if request.body else None
