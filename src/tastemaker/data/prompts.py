"""What may stand in a prompt.

Emoji, every script, joiners and direction marks are kept as they are, and so is the length. Control characters
(NUL and its like, but not tab and line ends) are refused: no tokenizer shows them, and a prompt is a key.
"""

from __future__ import annotations

LONG_CHARACTERS = 1000  # counted; a text encoder reads 77 tokens of them
MOST_CHARACTERS = 100_000
_CONTROLS = frozenset({*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))}) - frozenset("\t\n\r")


def prompt_problem(prompt: str) -> tuple[str, str] | None:
    """Why ``prompt`` cannot be used, as (reason, detail), or None for a good one."""
    if not prompt.strip():
        return "prompt_empty", "nothing but white space"
    if len(prompt) > MOST_CHARACTERS:
        return "prompt_too_long", f"{len(prompt)} characters, at most {MOST_CHARACTERS}"
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        return "prompt_not_utf8", repr(prompt[:80])
    if found := sorted(_CONTROLS.intersection(prompt)):
        return "prompt_control_characters", ", ".join(f"U+{ord(character):04X}" for character in found[:8])
    return None
