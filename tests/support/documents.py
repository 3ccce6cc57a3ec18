"""The commands that pages document."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator


def section(text: str, heading: str) -> str:
    """What stands between a second-level heading of a page and the next one."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def shell_blocks(text: str) -> Iterator[str]:
    """The insides of fenced ```bash (or sh, shell, console) blocks."""
    yield from re.findall(r"^```(?:bash|sh|shell|console)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in the shell blocks of a page; pipes and `&&` separate, prompts are cut."""
    for block in shell_blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|&;")
            lexer.whitespace_split = True
            command: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;"):
                    while command and re.fullmatch(r"\w+=.*", command[0]):
                        command = command[1:]
                    if command:
                        yield command
                    command = []
                else:
                    command.append(word)
