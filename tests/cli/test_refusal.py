"""tyro's boxes as a terminal shows them, in one line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tastemaker.cli.refusal import in_one_line

BOX = """\
\x1b[91m╭─ \x1b[0m\x1b[1mValue error\x1b[0m ────────────╮
│ Error parsing --limit: no type matching {None}|INT could be instantiated from │
│ ['many'].                 │
│                           │
│ Got errors:               │
│ - <class 'int'>: invalid  │
│ ───────────────────────── │
│ Argument helptext:        │
│     --limit {None}|INT    │
│         Read few rows.    │
│ ───────────────────────── │
│ For full helptext, see x  │
╰───────────────────────────╯
"""


def test_frames_colours_and_help_are_left_out() -> None:
    assert in_one_line(BOX, "x") == "Error parsing --limit: not understood: ['many']; see x --help"


def test_something_that_is_no_box_still_says_where_to_read() -> None:
    assert in_one_line("", "x") == "not understood; see x --help"


def test_on_a_terminal() -> None:
    """There tyro draws frames and colours."""
    here, there = pty.openpty()
    command = [sys.executable, "-m", "tastemaker.cli.app", "import", "pick", "--fromat", "x", "--out", "new"]
    assert subprocess.run(command, stdout=there, stderr=there, env=os.environ | {"TERM": "xterm"}).returncode == 2
    wrong = "Unrecognized options: --fromat, x, did you mean '--format'?"
    assert os.read(here, 10_000).decode() == f"tastemaker: {wrong}; see tastemaker import --help\r\n"
