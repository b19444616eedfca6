# SPDX-License-Identifier: MIT
"""Checks of the sources that need no build; each yields what is wrong, one line a finding."""

import pathlib
import re
import subprocess

from build import source_files
from rooms import rooms

SOURCE_SUFFIXES = {".ac", ".am", ".c", ".cc", ".cpp", ".css", ".h", ".html", ".js", ".m4", ".mjs",
                   ".mk", ".py", ".sh"}
SPDX_LINES = 5
COLUMNS = 100
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
# What is built against the SDK alone, and would no longer be a stranger's example otherwise.
OUTSIDERS = ("modules", "sdk", "demo")
# What the fake host is built with as well, so that a module's test finds what the program does.
SHARED = ("conf/conf.h", "proxy/pool/ranking.h")


def c_files(source):
    return [name for name in source_files(source) if name.suffix in (".c", ".h")]


def formatting(source):
    """clang-format"""
    files = [str(name) for name in c_files(source)]
    if not files:
        return
    done = subprocess.run(["clang-format-14", "--dry-run", *files], cwd=source, check=False,
                          capture_output=True, text=True)
    findings = [line for line in done.stderr.splitlines() if "clang-format-violations" in line]
    seen = set()
    for line in findings:
        name = line.split(":")[0]
        if name not in seen:
            seen.add(name)
            number = line.split(":")[1]
            yield f"{name}:{number}: not formatted; run clang-format-14 -i {name}"
    if done.returncode != 0 and not findings:
        yield done.stderr.strip()


def columns(source):
    """lines of C, comments too, have at most 100 columns"""
    for name in c_files(source):
        if name.parts[:2] == ("tests", "abi"):
            continue
        text = (source / name).read_text(encoding="utf-8")
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > COLUMNS:
                yield f"{name}:{number}: {len(line)} columns, of at most {COLUMNS}"


def core_includes(source):
    """modules, SDK and demo include no core header"""
    for name in c_files(source):
        if name.parts[0] not in OUTSIDERS:
            continue
        text = (source / name).read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            path = match.group(1)
            if path in SHARED and name.parts[:2] == ("sdk", "testing"):
                continue
            beside = (source / name).parent / path
            inside = (source / "core").resolve() in beside.resolve().parents
            if inside or path == "config.h" or path.startswith("core/") or \
                    ((source / "core" / path).exists() and not beside.exists()):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{name}:{line}: includes {path}, which is the core's; the SDK has what a " \
                      "stranger may use"


def licences(source):
    """each source file has its SPDX line"""
    for name in source_files(source):
        path = source / name
        if not is_source(path):
            continue
        head = path.read_text(encoding="utf-8", errors="replace").splitlines()[:SPDX_LINES]
        if not any("SPDX-License-Identifier: MIT" in line for line in head):
            yield f"{name}:1: no SPDX-License-Identifier: MIT line"


def is_source(path):
    if path.suffix in SOURCE_SUFFIXES or pathlib.Path(path.stem).suffix in SOURCE_SUFFIXES:
        return True
    with open(path, "rb") as handle:
        return handle.read(2) == b"#!"


CHECKS = (formatting, columns, core_includes, rooms, licences)
