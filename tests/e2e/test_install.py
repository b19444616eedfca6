# SPDX-License-Identifier: MIT
"""What `make install` does to a configuration that is there, and the unit that it brings."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from weirtest.weir import program

BUILD = pathlib.Path(os.environ["WEIR_BUILD"]) if "WEIR_BUILD" in os.environ else None
SOURCE = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(BUILD is None or shutil.which("make") is None,
                                reason="needs the folder that Weir was built in")


def make(target, folder):
    """A step of the installation, staged below `folder`; what it says."""
    done = subprocess.run(["make", "-s", "-C", str(BUILD), target, f"DESTDIR={folder}"], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def etc_of(folder):
    (found,) = folder.glob("**/etc/weir")
    return found


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_later_installation_respects_what_the_operator_did(tmp_path):
    make("install-conf", tmp_path)
    etc = etc_of(tmp_path)
    first = contents(etc)
    assert "weir.conf" in first and "conf.d/10-listeners.conf" in first
    assert len(first) >= 14

    confd = etc / "conf.d"
    (confd / "71-rate_limit.conf").unlink()
    (confd / "70-headers.conf").rename(confd / "70-headers.conf.disabled")
    with open(confd / "10-listeners.conf", "a", encoding="utf-8") as handle:
        handle.write("# mine\n")
    (confd / "99-own.conf").write_text("# own\n", encoding="utf-8")
    before = contents(etc)
    said = make("install-conf", tmp_path)
    assert contents(etc) == before, "nothing is touched"
    assert re.search(r"left out \S+/71-rate_limit\.conf; this version's is \S+/weir/conf\.d/", said)
    assert re.search(r"kept \S+/10-listeners\.conf; this version's is \S+/weir/conf\.d/", said)
    assert "70-headers" not in said and "20-route_path" not in said

    # weir.conf alone is an installation too; and one that broke off is done again.
    make("uninstall-conf", tmp_path)
    assert set(contents(etc)) == {"conf.d/10-listeners.conf", "conf.d/99-own.conf"}
    shutil.rmtree(confd)
    (etc / "weir.conf").write_text("# all in one file\n", encoding="utf-8")
    make("install-conf", tmp_path)
    assert set(contents(etc)) == {"weir.conf"}
    (etc / "weir.conf").unlink()
    (etc / "conf.d.part").mkdir()
    make("install-conf", tmp_path)
    assert contents(etc) == first
    make("uninstall-conf", tmp_path)
    assert not etc.exists()


def unit():
    """The unit as it would be installed, its lines by section and name."""
    text = (SOURCE / "weir.service.in").read_text(encoding="utf-8")
    for name, value in (("sbindir", str(pathlib.Path(program()).parent)), ("sysconfdir", "/etc"),
                        ("docdir", "/usr/share/doc/weir")):
        text = text.replace(f"@{name}@", value)
    return text


def test_the_unit_runs_as_its_user_with_one_capability():
    text = unit()
    lines = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    assert lines["User"] == lines["Group"] == "weir"
    assert lines["AmbientCapabilities"] == lines["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert lines["StateDirectory"] == lines["LogsDirectory"] == lines["RuntimeDirectory"] == "weir"
    assert lines["NoNewPrivileges"] == "yes"
    reload = re.findall(r"^ExecReload=(.*)$", text, re.M)
    assert reload[0].endswith("/weir.conf") and " -t " in reload[0]
    assert reload[1] == "/bin/kill -HUP $MAINPID"
    user = (SOURCE / "sysusers.d" / "weir.conf.in").read_text(encoding="utf-8")
    assert re.search(r'^u weir - "[^"]+" @statedir@$', user, re.M)


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    path = tmp_path / "weir.service"
    path.write_text(unit(), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], text=True,
                          capture_output=True, check=False)
    told = [line for line in done.stderr.splitlines() if "weir" in line]
    assert not told and done.returncode == 0, done.stderr


def test_systemd_makes_the_user(tmp_path):
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not here")
    text = (SOURCE / "sysusers.d" / "weir.conf.in").read_text(encoding="utf-8")
    (tmp_path / "etc").mkdir()
    path = tmp_path / "weir.conf"
    path.write_text(text.replace("@statedir@", "/var/lib/weir"), encoding="utf-8")
    done = subprocess.run(["systemd-sysusers", f"--root={tmp_path}", str(path)], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    entry = (tmp_path / "etc" / "passwd").read_text(encoding="ascii")
    assert re.search(r"^weir:[^:]*:\d+:\d+:Weir L7 load balancer:/var/lib/weir:", entry, re.M)
