# SPDX-License-Identifier: MIT
"""docs/GRPC.md as it stands: its service, its configuration, its client, and what that prints."""

import ast
import pathlib
import re
import subprocess
import sys

from weirtest.ports import free_port
from weirtest.wait import DEADLINE, wait_for

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "GRPC.md"


def blocks(ports):
    """The page's files by name, and what the client prints; with ports of our own for those written."""
    text = PAGE.read_text(encoding="utf-8")
    for written, port in ports.items():
        text = text.replace(written, str(port))
    files = dict(re.findall(r"^`([a-z.]+)`:\n\n```(?:python)?\n(.*?)^```$", text, re.M | re.S))
    printed = re.search(r"^prints.*?\n\n```\n(.*?)^```$", text, re.M | re.S).group(1)
    return files, printed


def told(text):
    lines = text.splitlines()
    return [ast.literal_eval(lines[0]), *lines[1:]] if lines else []


def test_the_page_is_true(make_weir):
    ports = {name: free_port() for name in ("50051", "50052", "8080")}
    files, printed = blocks(ports)
    assert set(files) == {"server.py", "weir.conf", "client.py"}
    weir = make_weir(access_log=False)
    for name, text in files.items():
        (weir.folder / name).write_text(text, encoding="utf-8")
    servers = [subprocess.Popen([sys.executable, "server.py", name, str(ports[port])], cwd=weir.folder)
               for name, port in (("a", "50051"), ("b", "50052"))]

    def run():
        """Its lines, the first as the set that it is; what it complains of."""
        done = subprocess.run([sys.executable, "client.py"], cwd=weir.folder, text=True,
                              capture_output=True, timeout=DEADLINE, check=False)
        return told(done.stdout), done.stderr

    try:
        weir.configure(files["weir.conf"].partition("\n")[2])  # the harness has a state_dir of its own
        weir.start()
        wait_for(lambda: run()[0] == told(printed), "both servers to be up, and what the page says")
        for server in servers:
            server.terminate()
        wait_for(lambda: "UNAVAILABLE" in run()[1] and "Service Unavailable: no server" in run()[1],
                 "what a client sees without servers")
    finally:
        for server in servers:
            server.kill()
            server.wait()
