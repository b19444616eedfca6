# SPDX-License-Identifier: MIT
"""An innocent client with its own server, in a process of their own: what a test does meanwhile costs them
nothing but what it does to the weir between them. Where the kernel allows it, they and that weir go before
everything else on the machine, as if the rest ran on others."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

from .h2peer import H2Client


PACE = 0.0005 # between two requests: others need the processors as well


def go_first(pid):
    """Gives the threads of a process the processor whenever they want it. False: that is not allowed."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            return False
    return True


class Bystander:
    """Asks one request after the other by HTTP/2; `url` is that of its server, `start` names the listener."""

    def __init__(self):
        env = dict(os.environ, PYTHONPATH=str(pathlib.Path(__file__).parent.parent))
        self._process = subprocess.Popen([sys.executable, "-m", "weirtest.bystander"], env=env,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self._read()}"

    def _read(self):
        line = self._process.stdout.readline()
        assert line, "the bystander has ended"
        return json.loads(line)

    def _ask(self, *what):
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read()

    def start(self, weir, target):
        """True: what it measures is Weir's, and not the machine's."""
        first = go_first(weir.pid) and go_first(self._process.pid)
        self._ask("start", *weir.address(), target)
        return first

    def look(self):
        """What has been since the last `take`: requests, troubles."""
        return self._ask("look")

    def take(self):
        """The same, and their p99 in ms; begins anew."""
        return self._ask("take")

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _serve(listening):
    """Answers HTTP/1.1."""
    def one(peer):
        seen = b""
        while data := peer.recv(1 << 16):
            seen += data
            while b"\r\n\r\n" in seen:
                seen = seen.partition(b"\r\n\r\n")[2]
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncalm")

    while True:
        threading.Thread(target=one, args=(listening.accept()[0],), daemon=True).start()


class _Asking(threading.Thread):
    def __init__(self, address, target):
        super().__init__(daemon=True)
        self.address, self.target = address, target
        self.times, self.troubles = [], []
        self.start()

    def run(self):
        try:
            with H2Client(self.address) as client:
                while True:
                    time.sleep(PACE)
                    began = time.monotonic()
                    response = client.get(self.target)
                    self.times.append((time.monotonic() - began) * 1000)
                    assert response.status == 200 and response.text == "calm", response.status
                    client.flows.clear()
        except Exception as error:
            self.troubles.append(repr(error))

    def look(self):
        return {"requests": len(self.times), "troubles": self.troubles}

    def take(self):
        times, self.times = sorted(self.times), []
        return {"requests": len(times), "troubles": self.troubles,
                "p99": times[len(times) * 99 // 100] if times else 0}


def _main():
    asking = None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening,), daemon=True).start()
        print(listening.getsockname()[1], flush=True)
        for line in sys.stdin:
            what = json.loads(line)
            if what[0] == "start":
                asking = _Asking((what[1], what[2]), what[3])
                answer = True
            else:
                answer = getattr(asking, what[0])()
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
