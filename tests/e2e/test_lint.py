# SPDX-License-Identifier: MIT
"""The lint of lines: refuses what is too wide, and nothing else."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "runner"))

import lint  # noqa: E402


def test_lines_of_c_have_at_most_100_columns(tmp_path):
    (tmp_path / "tests" / "abi").mkdir(parents=True)
    wide = "/* " + "x" * 95 + " */\n"
    (tmp_path / "wide.c").write_text("int a;\n" + wide, encoding="utf-8")
    (tmp_path / "fits.h").write_text("/* " + "\u00e9" * 94 + " */\n", encoding="utf-8")
    (tmp_path / "tests" / "abi" / "old.h").write_text(wide, encoding="utf-8")
    assert list(lint.columns(tmp_path)) == ["wide.c:2: 101 columns, of at most 100"]
