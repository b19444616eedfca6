# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests: each makes things that end with the test, and whose troubles fail it."""

import pytest

from weirtest.backend import BlackHole, HttpServer, ScriptedServer
from weirtest.certs import Certificates
from weirtest.dns import Dns
from weirtest.h2peer import H2Server
from weirtest.weir import Weir


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """Certificates of this session."""
    return Certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def make_weir(tmp_path, request):
    """Makes weirs that are not started yet; those that run at the end must stop well."""
    made = []

    def make(**how):
        folder = tmp_path / f"weir{len(made)}"
        folder.mkdir()
        made.append(Weir(folder, **how))
        return made[-1]

    yield make
    failed = getattr(request.node, "report_call", None) is None or request.node.report_call.failed
    try:
        for weir in made:
            if weir.process is not None and not weir.stopped:
                if failed:
                    weir.kill()
                else:
                    weir.stop()
    except BaseException:
        failed = True
        raise
    finally:
        for weir in made:
            if weir.process is not None and not weir.stopped:
                weir.kill()
            if failed:
                print(f"---- log of {weir.folder.name} ----\n{weir.log()[-20000:]}")


@pytest.fixture
def start_weir(make_weir):
    """Starts a weir on a configuration: `start_weir(text, workers=1, files=64)`."""

    def start(text, workers=2, access_log=True, **how):
        weir = make_weir(workers=workers, access_log=access_log)
        weir.configure(text)
        return weir.start(**how)

    return start


def _closing(factory):
    """A maker of things that are closed at the end."""
    made = []

    def make(*args, **how):
        made.append(factory(*args, **how))
        return made[-1]

    yield make
    trouble = None
    for thing in made:
        try:
            thing.close()
        except AssertionError as error:
            trouble = trouble or error
    if trouble:
        raise trouble


@pytest.fixture
def http_server():
    """Makes real HTTP servers: `http_server("name", handler)`."""
    yield from _closing(HttpServer)


@pytest.fixture
def h2_server():
    """Makes real HTTP/2 servers: `h2_server("name", handler)`."""
    yield from _closing(H2Server)


@pytest.fixture
def scripted_server():
    """Makes servers that play scripts: `scripted_server(function, ...)`."""
    yield from _closing(ScriptedServer)


@pytest.fixture
def black_hole():
    """Makes addresses where no connection is ever made."""
    yield from _closing(BlackHole)


@pytest.fixture
def make_dns():
    """Makes name servers whose answers a test chooses."""
    yield from _closing(Dns)


@pytest.fixture
def dns(make_dns):
    return make_dns()
