# SPDX-License-Identifier: MIT
"""weir-module-check: all modules of the tree are good; of one that is wrong it says what, where, and what would be
right."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

from weirtest import weir as weir_program
from weirtest.wait import DEADLINE, SANITIZED

BUILD = pathlib.Path(weir_program.program()).resolve().parent
PROGRAM = BUILD / "weir-module-check"
MODULES = sorted(pathlib.Path(weir_program.module_dir()).glob("*.so"))
ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "modules" / "check_bad.c"
CC = shlex.split(os.environ.get("CC") or "cc")
FLAGS = [f"-I{ROOT / 'sdk' / 'include'}", "-std=gnu11", "-O1", "-g", "-fPIC", "-fvisibility=hidden", "-shared"]


def check(*arguments, program=(PROGRAM,), env=None):
    return subprocess.run([*map(str, program), *map(str, arguments)], text=True, capture_output=True,
                          timeout=40 * DEADLINE, check=False, env={**os.environ, **(env or {})})


def report(*arguments, status=1, **options):
    """What it says as JSON."""
    done = check("--json", *arguments, **options)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def build(folder, *macros, name="balance_bad", source=SOURCE):
    path = folder / f"{name}.so"
    done = subprocess.run([*CC, *FLAGS, *macros, f'-DNAME="{name}"', "-o", str(path), str(source), "-pthread"], text=True,
                          capture_output=True, timeout=20 * DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_modules_of_the_tree_are_good(module):
    found = report("--seeds", 12, module, status=0)
    assert found["good"] and found["findings"] == [] and found["exports"] == ["weir_module_entry"]
    assert found["module"]["name"] == module.stem and found["module"]["abi"].startswith("1.")
    names = [row["name"] for row in found["checks"]]
    for kind in found["module"]["kinds"]:
        assert {f"contract of the {kind}", f"leaks of the {kind}"} <= set(names)
    if module.stem.startswith("balance_") and "calls" in found:
        assert [row["servers"] for row in found["calls"]] == [10, 1000, 10000]
        assert all(row["ns"] > 0 and row["least_conn_ns"] > 0 for row in found["calls"])


def test_a_good_module_is_good(tmp_path):
    done = check(build(tmp_path))
    assert done.returncode == 0 and "WRONG" not in done.stdout, done.stdout
    assert "option    choices: integer, default 2, 1 to 16; How many are drawn." in done.stdout
    assert done.stderr == ""


BAD = [
    ("CRASH", "contract of the balancer", "it crashed: Segmentation fault at the address 0x10", "pick, at pick+"),
    ("LOOP", "contract of the balancer", "it did not come back within 2 s", "pick, at pick+"),
    ("WAIT", "contract of the balancer", "it did not come back within 2 s", "pick, at pick+"),
    ("SLEEP", "contract of the balancer", "calls slept, or waited for a lock", "pick"),
    ("SLOW", "contract of the balancer", " ms of the processor's time", "pick"),
    ("EXIT", "contract of the balancer", "it ended the process", "pick"),
    ("INDEX", "contract of the balancer", "which is out of range", "pick"),
    ("NONE", "contract of the balancer", "pick chose none, though a candidate is usable", "pick"),
    ("AFTER", "contract of the balancer", "it used the memory of an instance that is gone", "create, at create+"),
    ("VALUE", "contract of the balancer", "it used a value of the options of a block that is gone", "create, at create+"),
    ("KEEPS", "contract of the balancer", "it used the candidates before on_members", "pick, at pick+"),
    ("NAME", "contract of the balancer", "it used the candidates before on_members", "on_members, at on_members+"),
    ("STATE", "contract of the balancer", "it used the state of a handing over that is over", "pick, at pick+"),
    ("TIMER", "contract of the balancer", "has gone and left 1 timers", "destroy"),
    ("CONF", "configuration of the balancer", "the module has changed its options", "conf_"),
    ("LEAK_CONF", "options of the balancer", "bytes each time", "conf_create"),
    ("LEAK_REFUSED", "options of the balancer", "bytes each time", "conf_create"),
    ("LEAK_CREATE", "leaks of the balancer", "bytes each time", "create and destroy"),
    ("LEAK_CALL", "leaks of the balancer", "bytes each time", "the calls between create and destroy"),
    ("FILE", "leaks of the balancer", "it leaves 1.0 open files each time", "create and destroy"),
    ("THREAD", "leaks of the balancer", "it leaves 1.0 threads that run each time", "create and destroy"),
    ("ELSEWHERE", "contract of the balancer", "weir_now_ns was called from another thread", "create"),
    ("EXPORT", "exports", "it exports the symbol helper", "helper"),
    ("ENTRY", "exports", "it does not export weir_module_entry", "symbols"),
    ("ABI", "descriptor", "built for ABI 1.", "descriptor"),
    ("SIZE", "descriptor", "balancer says that it has", "balancer"),
    ("DEFAULT", "descriptor", "its option `choices` has a wrong default", "option choices"),
    ("DOCUMENT", "descriptor", "its option `choices` has no document", "option choices"),
]


@pytest.mark.parametrize("macro, test, what, where", BAD, ids=[row[0] for row in BAD])
def test_what_is_wrong_is_told(tmp_path, macro, test, what, where):
    if macro == "SLOW" and SANITIZED:
        pytest.skip("an instrumented host makes minutes of it")
    if macro == "THREAD" and SANITIZED:
        pytest.skip("an instrumented pthread_create waits for locks, which is told before the leak")
    found = report("--timeout", 30 if macro == "SLOW" else 2, build(tmp_path, f"-DBAD_{macro}"))
    told = [row for row in found["findings"] if row["check"] == test and what in row["what"]]
    assert told and told[0]["where"].startswith(where), found["findings"]
    assert all(row["right"] and row["what"] and row["where"] for row in found["findings"])
    assert not found["good"] and not next(row for row in found["checks"] if row["name"] == test)["good"] \
        if test != "exports" else not found["good"]


@pytest.mark.parametrize("macro, what, where", [
    ("REQUEST", "it used a request that is over", "on_request, at on_request+"),
    ("STRING", "it used a string of a request, of a callback that is over", "on_request, at on_request+"),
    ("SLICE", "it used a string of a request, of a callback that is over", "on_response, at on_response+"),
    ("FIELD", "it used a field of a message, of a callback that is over", "on_response, at on_response+"),
    ("PIECE", "it used a piece of a body that was read", "on_response_data, at on_response_data+"),
    ("DONE", "said WEIR_DONE without a whole reply", "on_request"),
])
def test_filters_that_keep_what_was_lent(tmp_path, macro, what, where):
    source = SOURCE.with_name("check_bad_filter.c")
    assert report("--seeds", 4, build(tmp_path, name="keeps", source=source), status=0)["good"]
    found = report("--seeds", 4, build(tmp_path, f"-DBAD_{macro}", name="keeps", source=source))["findings"]
    assert found[0]["check"] == "contract of the filter" and what in found[0]["what"], found
    assert found[0]["where"].startswith(where)


def test_symbols_that_nobody_has_are_named(tmp_path):
    found = report(build(tmp_path, "-DBAD_UNDEFINED"))
    told = {row["where"]: row for row in found["findings"]}
    assert set(told) == {"weir_does_it", "nobody_has_this"}
    assert "does not give by name" in told["weir_does_it"]["what"] and "table" in told["weir_does_it"]["right"]
    assert "neither libc" in told["nobody_has_this"]["what"]


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    done = check(build(tmp_path, "-DBAD_EXPORT", "-DBAD_DEFAULT", "-DBAD_SIZE"))
    lines = [line for line in done.stdout.splitlines() if "; right: " in line]
    assert done.returncode == 1 and len(lines) == 3, done.stdout
    assert all("balance_bad.so: " in line and "; in " in line for line in lines)


def test_a_seed_shows_it_again(tmp_path):
    module = build(tmp_path, "-DBAD_KEEPS")
    first = report("--seeds", 5, module)["findings"][0]
    again = report("--seeds", 1, "--seed", first["seed"], module)["findings"][0]
    assert again == first


def test_files_that_are_no_modules(tmp_path):
    (tmp_path / "text.so").write_text("#!/bin/sh\n")
    (tmp_path / "empty.so").write_bytes(b"")
    (tmp_path / "cut.so").write_bytes(MODULES[0].read_bytes()[:4000])
    shutil.copy(MODULES[0], tmp_path / "renamed.so")
    for name, told in (("text", "not a shared object"), ("empty", "not a shared object"), ("cut", "it is cut"),
                       ("none", "No such file"), ("renamed", "it calls itself")):
        found = report("--seeds", 1, tmp_path / f"{name}.so")
        assert told in found["findings"][0]["what"], found
    for arguments in ((), ("a.so", "b.so"), ("--seeds", "none", "a.so"), ("--no", "a.so")):
        assert check(*arguments).returncode == 2


def test_a_configuration_may_be_given(tmp_path):
    module = build(tmp_path)
    assert report("--conf", "choices = 3", "--seeds", 2, module, status=0)["good"]
    found = report("--conf", "choices = 99", module)
    assert found["findings"][0]["check"] == "configuration of the balancer"
    assert "choices" in found["findings"][0]["what"]


def test_weirctl_runs_it(tmp_path):
    weirctl = (BUILD / "weirctl", "module", "check")
    done = check("--seeds", 2, build(tmp_path), program=weirctl)
    assert done.returncode == 0 and "contract of the balancer" in done.stdout, done.stdout + done.stderr
    bad = build(tmp_path, "-DBAD_INDEX")
    found = check("--json", "--seeds", "2", bad, program=weirctl)
    assert found.returncode == 1 and not json.loads(found.stdout)["good"]
    assert check(program=weirctl).returncode == 2


@pytest.fixture(name="sdk")
def fixture_sdk(tmp_path):
    """weir-sdk for pkg-config, of the tree."""
    (tmp_path / "weir-sdk.pc").write_text("Name: weir-sdk\nDescription: of the tree\nVersion: 0\n"
                                          f"Cflags: -I{ROOT / 'sdk' / 'include'}\n")
    return {"PKG_CONFIG_PATH": str(tmp_path), "CC": " ".join(CC)}


def test_sanitizers_see_more(tmp_path, sdk):
    source = tmp_path / "balance_good.c"
    source.write_text(f'#include "{SOURCE}"\n')
    found = report("--seeds", 4, "--sanitize", source, env=sdk, status=0)
    assert found["good"]
    for macro, told in (("OVERRUN", "heap-buffer-overflow"), ("OVERFLOW", "signed integer overflow")):
        found = report("--seeds", 4, "--sanitize", source, env={**sdk, "CFLAGS": f"-DBAD_{macro}"})
        told_in = [row for row in found["findings"] if told in row["what"]]
        assert told_in and told_in[0]["where"].startswith("pick") and "check_bad.c:" in \
            told_in[0]["where"] + told_in[0]["what"], found["findings"]
    source.write_text("no C\n")
    assert "cannot be built" in check("--sanitize", source, env=sdk).stderr
