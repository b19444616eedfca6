# SPDX-License-Identifier: MIT
"""weirctl module new: what it makes builds without a warning, passes its own test and the check of modules, against an
installation and nothing else; what it cannot make it says."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from weirtest.wait import DEADLINE, SANITIZED

BUILD = pathlib.Path(os.environ["WEIR_BUILD"]) if "WEIR_BUILD" in os.environ else None
SANITIZE = os.environ.get("WEIR_SANITIZE")

pytestmark = pytest.mark.skipif(BUILD is None or shutil.which("make") is None,
                                reason="needs the folder that Weir was built in")

#: What `new` is asked for, and the module's file.
TEMPLATES = [("balancer", "c", "mine", "balance_mine"), ("filter", "c", "my_filter", "my_filter"),
             ("router", "c", "route_mine", "route_mine"), ("sticky", "c", "mine", "sticky_mine"),
             ("health", "c", "health_mine", "health_mine"), ("logger", "c", "my_log", "my_log"),
             ("handler", "c", "my_page", "my_page"), ("balancer", "c++", "mine", "balance_mine"),
             ("balancer", "rust", "mine", "balance_mine")]
#: What the templates call themselves.
OWN_NAMES = ("two_choices", "field_stamp", "host_table", "server_hint", "line_probe", "slow_requests", "hello_page",
             "least_time")
#: What builds them, and Debian's package.
COMPILERS = {"c": "cc", "c++": "g++", "rust": "cargo"}


def run(*command, cwd=None, env=None):
    return subprocess.run([str(part) for part in command], cwd=cwd, env=env, text=True, capture_output=True,
                          timeout=20 * DEADLINE, check=False)


def good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="installed")
def fixture_installed(tmp_path_factory):
    """An installation of the SDK and its programs in a folder of its own: its root, the environment that finds it."""
    root = tmp_path_factory.mktemp("installed")
    good(run("make", "-s", "-C", BUILD, "install-binPROGRAMS", "install-data-am", f"DESTDIR={root}"))
    (pkgconfig,) = root.glob("**/pkgconfig")
    (weirctl,) = root.glob("**/bin/weirctl")
    env = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(root), "PATH": f"{weirctl.parent}:{os.environ['PATH']}",
           "PKG_CONFIG_PATH": f"{pkgconfig}:{os.environ.get('PKG_CONFIG_PATH', '')}",
           "CFLAGS": "-O1 -g -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror",
           "CXXFLAGS": "-O1 -g -Wall -Wextra -Wpedantic -Wshadow -Werror"}
    if SANITIZE:
        env["CFLAGS"] += f" -fsanitize={SANITIZE}"
        env["CXXFLAGS"] += f" -fsanitize={SANITIZE}"
        env["LDFLAGS"] = f"-fsanitize={SANITIZE}"
    return root, env


@pytest.mark.parametrize("kind, language, name, module", TEMPLATES, ids=[f"{row[0]}-{row[1]}" for row in TEMPLATES])
def test_what_is_made_is_a_good_module(installed, tmp_path, kind, language, name, module):
    _, env = installed
    if shutil.which(COMPILERS[language]) is None:
        pytest.skip(f"there is no {COMPILERS[language]}")
    if SANITIZED and language == "rust":
        pytest.skip("it is not instrumented")
    made = json.loads(good(run("weirctl", "--json", "module", "new", name, "--kind", kind, "--language", language,
                               cwd=tmp_path, env=env)))
    assert (made["module"], made["folder"], made["kind"]) == (module, name, kind)
    folder = tmp_path / name
    assert sorted(path.name for path in folder.iterdir()) == made["files"]
    assert {"Makefile", "README.md"} <= set(made["files"])
    text = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir())
    assert module in text and not [word for word in OWN_NAMES if word in text]
    built = run("make", cwd=folder, env=env)
    assert "warning" not in good(built) + built.stderr
    assert "100%" in good(run("make", "check", cwd=folder, env=env))
    found = run("weir-module-check", "--json", "--seeds", "12", folder / f"{module}.so", env=env)
    assert json.loads(good(found))["module"]["name"] == module
    if (kind, language) == ("balancer", "c") and not SANITIZED:
        assert "good" in good(run("make", "verify", cwd=folder, env=env))
    good(run("make", "install", f"MODULEDIR={tmp_path / 'modules'}", cwd=folder, env=env))
    assert os.access(tmp_path / "modules" / f"{module}.so", os.X_OK)


def test_the_build_folder_has_templates_too(tmp_path):
    said = good(run(BUILD / "weirctl", "module", "new", "balance_mine", cwd=tmp_path))
    assert "balance_mine/balance_mine.c" in said and "cd balance_mine && make" in said
    assert (tmp_path / "balance_mine" / "test_mine.c").exists()


def test_what_cannot_be_made_is_told(tmp_path):
    def refused(status, text, *arguments):
        done = run(BUILD / "weirctl", "module", "new", *arguments, cwd=tmp_path)
        assert (done.returncode, text in done.stderr) == (status, True), done.stderr
        assert done.stdout == ""

    refused(2, "say its kind by --kind: balancer, filter, router", "mine")
    refused(2, 'there is no template of the kind "balanced"; there are balancer, filter', "mine", "--kind", "balanced")
    refused(2, 'there is no template of a filter in "cobol"; there are c', "mine", "--kind", "filter", "--language",
            "cobol")
    refused(2, "sticky_mine is the name of a sticky; a balancer is called balance_NAME", "sticky_mine", "--kind",
            "balancer")
    for name in ("Mine", "../mine", "a/b", "9", "_a", "a-b", "", "é", "mine.so"):
        refused(2, "is no module's name: lower-case letters, digits and _", name, "--kind", "filter")
    refused(2, "lacks a name behind it", "balance_", "--kind", "balancer")
    refused(2, "has at most 63 letters, and balance_", "a" * 60, "--kind", "balancer")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.c").write_text("/* mine */")
    refused(1, "mine: there is one already", "mine", "--kind", "filter")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work.c"]
    if os.getuid() != 0:
        tmp_path.chmod(0o555)
        refused(1, "Permission denied", "other", "--kind", "filter")


def test_what_is_half_made_goes_again(installed, tmp_path):
    """A file of the template cannot be read."""
    root, _ = installed
    copy = tmp_path / "copy"
    (weirctl,) = root.glob("**/bin/weirctl")
    (templates,) = root.glob("**/share/weir")
    (copy / "bin").mkdir(parents=True)
    shutil.copy(weirctl, copy / "bin")
    for name in ("template", "templates"):
        shutil.copytree(templates / name, copy / "share" / "weir" / name)
    (copy / "share" / "weir" / "template" / "README.md").unlink()
    done = run(copy / "bin" / "weirctl", "module", "new", "mine", "--kind", "filter", cwd=tmp_path)
    assert done.returncode == 1 and "README.md: No such file" in done.stderr
    assert not (tmp_path / "mine").exists()


def test_completion(tmp_path):
    def complete(*words):
        return good(run(BUILD / "weirctl", "--complete", "module", "new", *words, cwd=tmp_path)).split()

    assert complete("mine", "--kind", "") == [row[0] for row in TEMPLATES if row[1] == "c"]  # each once
    assert complete("mine", "--kind", "fi") == ["filter"]
    assert complete("mine", "--language", "") == ["c", "c++", "rust"]
    assert "--kind" in complete("mine", "--k")
