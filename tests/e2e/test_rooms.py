# SPDX-License-Identifier: MIT
"""The lint of rooms: refuses what it is there to refuse."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "runner"))

import rooms  # noqa: E402


def house(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(rooms.rooms(folder))


QUEUE = '#include "proxy/pool/queue.h"\n'
SOUND = {
    "core/base/base.h": "void base_end(void);\n",
    "core/base/base.c": '#include "base/base.h"\nvoid base_end(void)\n{\n}\n',
    "core/net/loop.h": '#include "base/base.h"\nvoid loop_end(void);\n',
    "core/net/loop.c": '#include "net/loop.h"\nvoid loop_end(void)\n{\n    base_end();\n}\n',
    "core/conf/conf.h": '#include "base/base.h"\n',
    "core/proxy/pool/queue.h": '#include "net/loop.h"\n#include "conf/conf.h"\n',
    "core/proxy/pool/queue.c": QUEUE + "void queue_end(void)\n{\n    loop_end();\n}\n",
    "tests/unit/proxy/pool/test_queue.c": QUEUE,
}


def test_a_sound_house_has_no_finding(tmp_path):
    assert house(tmp_path, SOUND) == []


@pytest.mark.parametrize("name, text, told", [
    ("core/net/loop.h", QUEUE, "core/net/loop.h:1: includes proxy/pool/queue.h"),
    ("core/http/codec.h", "\n" + QUEUE, "core/http/codec.h:2: includes proxy/pool/queue.h"),
    ("core/conf/conf.h", '#include "net/loop.h"\n', "core/conf/conf.h:1: includes net/loop.h"),
    ("core/module/host.h", QUEUE, "core/module/host.h:1: includes proxy/pool/queue.h"),
    ("core/proxy/plan/plan.h", QUEUE, "core/proxy/plan/plan.h:1: includes proxy/pool/queue.h"),
    ("tests/unit/net/test_loop.c", QUEUE, "tests/unit/net/test_loop.c:1: includes proxy/pool"),
])
def test_a_header_of_a_room_above_is_refused(tmp_path, name, text, told):
    findings = house(tmp_path, {**SOUND, name: text})
    assert any(finding.startswith(told) for finding in findings), findings


@pytest.mark.parametrize("name", [
    "../proxy/pool/queue.h", "../net/../proxy/pool/queue.h", "core/proxy/pool/queue.h",
])
@pytest.mark.parametrize("marks", ['""', "<>"])
def test_however_it_is_written(tmp_path, name, marks):
    line = f"#include {marks[0]}{name}{marks[1]}\n"
    told = f"core/net/loop.h:1: includes {name}, but core/net stands below core/proxy/pool"
    assert told in house(tmp_path, {**SOUND, "core/net/loop.h": line})


def test_a_function_of_a_room_above_is_refused(tmp_path):
    """Declared by hand; no circle yet, since the room above does not call back."""
    findings = house(tmp_path, {
        **SOUND,
        "core/net/timer.c": "void fill(void);\nvoid timer_end(void)\n{\n    fill();\n}\n",
        "core/proxy/plan/fill.c": "void fill(void)\n{\n}\n",
    })
    assert findings == ["core/net/timer.c:1: uses fill of core/proxy/plan/fill.c, but core/net "
                        "stands below core/proxy/plan"]


@pytest.mark.parametrize("files", [
    # the room below calls what the room above defines, without any header
    {"core/base/base.c": "void base_end(void)\n{\n    loop_end();\n}\n"},
    # two sources of one room call each other
    {"core/net/timer.c": "void timer_end(void)\n{\n    loop_end();\n}\n",
     "core/net/loop.c": "void loop_end(void)\n{\n    timer_end();\n}\n"},
    # by a table
    {"core/net/timer.c": "const struct ops timer_ops = {\n    .end = loop_end,\n};\n",
     "core/net/loop.c": "void loop_end(void)\n{\n    use(&timer_ops);\n}\n"},
])
def test_files_that_need_each_other_are_told(tmp_path, files):
    findings = house(tmp_path, {**SOUND, **files})
    assert any("need each other" in finding for finding in findings), findings


def test_one_state_machine_may_be_a_circle(tmp_path):
    assert house(tmp_path, {
        **SOUND,
        "core/net/conn_a.c": "void conn_a(void)\n{\n    conn_b();\n}\n",
        "core/net/conn_b.c": "void conn_b(void)\n{\n    conn_a();\n}\n",
    }) == []


def test_words_of_comments_and_strings_tie_nothing(tmp_path):
    assert house(tmp_path, {
        **SOUND,
        "core/base/base.c": 'void base_end(void)\n{\n    /* loop_end() */ say("loop_end");\n}\n',
    }) == []


def test_members_of_structs_tie_nothing(tmp_path):
    assert house(tmp_path, {
        **SOUND,
        "core/base/base.c": "void base_end(void)\n{\n    a.loop_end();\n    b->loop_end = 0;\n}\n",
    }) == []
