#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The rooms of the core and what they may know: run alone, it prints each wrong include and circle.

A room includes its own headers and those of rooms below it, and calls nothing of a room above without
a header either. No two files need each other, but within one state machine. The plan of the house is docs/ARCHITECTURE.md.
"""

import os
import pathlib
import re
import sys

# Lowest first.
ROOMS = ("base", "net", "http", "proxy/plan", "proxy/pool", "proxy/upstream", "proxy/downstream",
         "proxy/stream", "proxy", "control/api", "control/change", "control", "")
# These serve all rooms and know none of them, but for what they stand on themselves.
SERVANTS = {"conf": {"base"}, "module": {"base", "conf", "net"}}
# Each is one machine in several files, which call each other in a circle: a path's beginning.
MACHINES = ("core/http/h1_down", "core/net/conn", "core/proxy/stream/stream")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
FUNCTION = re.compile(r"^(?!static\b|typedef\b)[A-Za-z_][^;{}()=\n]*?\b(\w+)\([^;{}]*\)\s*\n\{",
                      re.MULTILINE)
TABLE = re.compile(r"^(?!static\b|typedef\b|extern\b)[A-Za-z_][\w \t*]*?\b(\w+)(?:\[\w*\])?\s*=",
                   re.MULTILINE)
INLINE = re.compile(r"^static inline [^;{}]*?\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
OWN = re.compile(r"^static\b[^;{}()=\n]*?\b(\w+)(?:\([^;{}]*\)\s*\n\{|(?:\[\w*\])?\s*=)",
                 re.MULTILINE)
# But members of structs, which may be called like a function.
WORD = re.compile(r"(?<![\w.])(?<!->)[A-Za-z_]\w*\b")


def room_of(path):
    """The room of a path below core/."""
    folder = path.parent.as_posix()
    return "" if folder == "." else folder


def may_include(room, other):
    if room == other:
        return True
    if room in SERVANTS:
        return other in SERVANTS[room]
    if other in SERVANTS:
        return room != "base"
    return room in ROOMS and other in ROOMS and ROOMS.index(other) < ROOMS.index(room)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def included(core, path, name):
    """The header of the core that `path` means by `name`, as core/...; None: none of ours.
    However it is written: beside the file, by the way through other folders, from the top."""
    for folder in (path.parent, core, core.parent):
        target = pathlib.Path(os.path.normpath(folder / name))
        if core in target.parents and target.exists():
            return target.relative_to(core.parent).as_posix()
    return None


def stands_below(name, tie, room, other):
    return f"{name}: {tie}, but core/{room} stands below core/{other}"


def wrong_includes(source):
    """Of the core, and of unit tests, which stand in a room like what they test."""
    core = source / "core"
    for top in (core, source / "tests" / "unit"):
        for path in sorted(top.rglob("*.[ch]")):
            room = room_of(path.relative_to(top))
            if top != core and room not in ROOMS[:-1] and room not in SERVANTS:
                continue
            text = path.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                header = included(core, path, match.group(1))
                if header is None:
                    continue
                other = room_of(pathlib.PurePosixPath(header).relative_to("core"))
                if not may_include(room, other):
                    yield stands_below(f"{path.relative_to(source)}:{line_of(text, match.start())}",
                                       f"includes {match.group(1)}", room, other)


class File:
    """A header or source, and which others it cannot do without."""

    def __init__(self, source, path):
        self.name = name = path.relative_to(source).as_posix()
        text = path.read_text(encoding="utf-8")
        self.needs = {included(source / "core", path, other): f'#include "{other}"'
                      for other in INCLUDE.findall(text)}
        text = NOISE.sub(" ", text)
        if name.endswith(".c"):
            self.defines = set(FUNCTION.findall(text)) | set(TABLE.findall(text))
            self.words = set(WORD.findall(text)) - self.defines - set(OWN.findall(text))
        else:  # what a header declares, it does not call
            self.defines = set()
            self.words = set(WORD.findall(" ".join(INLINE.findall(text))))


def files_of(source):
    files = {}
    for path in sorted((source / "core").rglob("*.[ch]")):
        file = File(source, path)
        files[file.name] = file
    home = {symbol: file.name for file in files.values() for symbol in file.defines}
    for file in files.values():
        file.needs = {other: tie for other, tie in file.needs.items() if other in files}
        for word in file.words & home.keys():
            if home[word] != file.name:
                file.needs.setdefault(home[word], word)
    return files


def wrong_calls(files):
    """What is declared by hand, or comes with a header of a room between."""
    for file in files.values():
        for other, tie in file.needs.items():
            rooms_of_both = [room_of(pathlib.PurePosixPath(name).relative_to("core"))
                             for name in (file.name, other)]
            if not tie.startswith("#") and not may_include(*rooms_of_both):
                yield stands_below(f"{file.name}:1", f"uses {tie} of {other}", *rooms_of_both)


def circles(files):
    """Tarjan's strongly connected components, those of more than one file."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        on_stack.add(name)
        for other in files[name].needs:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in on_stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            circle = set()
            while not circle or name not in circle:
                circle.add(stack.pop())
            on_stack.difference_update(circle)
            if len(circle) > 1:
                found.append(circle)

    sys.setrecursionlimit(10000)
    for name in files:
        if name not in index:
            visit(name)
    return found


def wrong_circles(files):
    for circle in circles(files):
        stems = {name.rpartition(".")[0] for name in circle}
        if len(stems) == 1 or any(all(stem.startswith(machine) for stem in stems)
                                  for machine in MACHINES):
            continue
        ties = [f"{name} -> {other} ({tie})" for name in sorted(circle)
                for other, tie in sorted(files[name].needs.items()) if other in circle]
        yield f"{sorted(circle)[0]}:1: {len(circle)} files need each other:\n    " + \
              "\n    ".join(ties)


def rooms(source):
    """rooms of the core know those below them alone, and no two files need each other"""
    yield from wrong_includes(source)
    files = files_of(source)
    yield from wrong_calls(files)
    yield from wrong_circles(files)


if __name__ == "__main__":
    ROOT = pathlib.Path(__file__).resolve().parents[2]
    FINDINGS = list(rooms(ROOT))
    print("\n".join(FINDINGS))
    sys.exit(1 if FINDINGS else 0)
