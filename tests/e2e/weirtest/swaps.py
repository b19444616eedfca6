# SPDX-License-Identifier: MIT
"""What tests of swaps share: a folder of modules that a test may change, and the API over a Unix socket, where the
test's own user is admin."""

import json
import os
import pathlib
import shutil
import signal

from . import conf, weir as weir_program
from .client import Client
from .wait import wait_for

MODULES = pathlib.Path(weir_program.module_dir())
COPIES = MODULES.parent.parent / "tests" / "modules" / "built"
NAME = "balance_trial"


def make_folder(parent):
    """A folder of modules, with `balance_trial` among them and its other copies beside it."""
    folder = parent / "modules"
    folder.mkdir()
    for path in MODULES.glob("*.so"):
        shutil.copy(path, folder / path.name)
    shutil.copy(COPIES / "trial_one.so", folder / f"{NAME}.so")
    for path in COPIES.glob("trial_*.so"):
        shutil.copy(path, folder / path.name)
    return folder


def stage(folder, contents, name=NAME):
    """Another file under the module's name, as an installation puts it there."""
    staged = folder / f"{name}.so.new"
    staged.write_bytes(contents)
    os.replace(staged, folder / f"{name}.so")


def text_of(weir, servers, extra="", pool_options="", balance="trial", balance_options=""):
    """One pool, and an admin plane on a Unix socket."""
    return (f'module "{NAME}" {{}}\nmodule "store_sqlite" {{}}\n'
            'module "admin" { web_dir = ""  request_limit = 0 }\n' +
            conf.listener('handler "admin" {}', "admin", f'"unix:{weir.folder}/admin.sock"') +
            conf.one_pool(servers, pool_options, balance=balance, extra=extra, balance_options=balance_options))


def call(weir, method, target, body=None):
    """Status, and the answer's JSON."""
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    with Client(str(weir.folder / "admin.sock")) as client:
        client.request(method, "/api/v1" + target, [] if body is None else [("Content-Type", "application/json")],
                       body=body)
        response = client.response(method)
        return response.status, json.loads(response.body) if response.body else None


def journal(weir, commands):
    """(command, state of the swap after it) of entries whose command begins so, the oldest first."""
    status, answer = call(weir, "GET", "/journal")
    assert status == 200
    return [(entry["command"], entry["after"].get("state")) for entry in answer["entries"][::-1]
            if entry["command"].startswith(commands)]


def wait_state(show, state):
    """Until what `show()` gives says that its last swap is in that state."""
    return wait_for(lambda: next((shown for shown in [show()] if shown["swap"] and shown["swap"]["state"] == state),
                                 None), f"the swap to be {state}")


def restart(weir):
    """SIGKILL, and a start."""
    weir.signal(signal.SIGKILL)
    weir.process.wait()
    weir.start()
