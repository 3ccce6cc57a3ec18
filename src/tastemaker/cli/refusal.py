"""What the parser of the command line says of arguments that it cannot read, in one line."""

from __future__ import annotations

import re

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HELP_INDENT = 8
"""An argument's help stands so many columns to the right of the message."""
SAID = ("Missing", "Unrecognized")
"""How the sections begin that say more of what is wrong; others repeat the argument's help."""
MEANT = "Perhaps you meant"


def in_one_line(box: str, program: str) -> str:
    """The message in tyro's ``box`` without the frame and the arguments' help, and where to read on.

    A box has a title, then sections with lines between them: what is wrong, at times more of it, options that may have
    been meant or an argument's help, and at the end a word about ``--help``.
    """
    sections = _sections(box)
    wrong = [" ".join(section) for n, section in enumerate(sections) if n == 0 or section[0].startswith(SAID)]
    meant = [section[1].split()[0].rstrip(",") for section in sections if section[0].startswith(MEANT)]
    text = re.sub(r"no type matching .*? could be instantiated from", "not understood:", "; ".join(wrong))
    hint = f", did you mean '{meant[0]}'?" if meant else ""
    return f"{text.rstrip('.') or 'not understood'}{hint}; see {program} --help"


def _sections(box: str) -> list[list[str]]:
    """The texts between the lines of a box; its title is left out."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = COLOUR.sub("", line).strip("│").rstrip()
        if not re.search(r"\w", text):
            sections.append([])
        elif len(text) - len(text.lstrip()) < HELP_INDENT:
            sections[-1].append(text.strip())
    return [section for section in sections if section]
