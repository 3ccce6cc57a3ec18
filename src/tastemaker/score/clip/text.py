"""From prompts to the tokens of a CLIP text encoder, cleaned as open_clip does or raw as Hugging Face's processors do.

There is one byte-pair vocabulary, OpenAI's of 49,408 entries (arXiv 2103.00020); only the cleaning differs, in about
1 % of real prompts: curly quotes, HTML entities, broken encodings.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.score.checkpoint import find_folder

if TYPE_CHECKING:
    import numpy as np
    from transformers import CLIPTokenizer

OPENAI = "openai/clip-vit-large-patch14"
"""Hub id of a small folder of tables that every CLIP of OpenAI, OpenCLIP and HPSv2 can be given."""
TABLES = ("vocab.json", "merges.txt")
WHOLE = "tokenizer.json"
START, END = "<|startoftext|>", "<|endoftext|>"
MARKS = re.compile(r"<\|(startoftext|endoftext)\|>", re.IGNORECASE)


@dataclass(frozen=True)
class ClipText:
    """Tokens by the tables of ``checkpoint``: `vocab.json` and `merges.txt`, or the `tokenizer.json` that holds both.

    Of the tokenizer's other settings none is read, so that none can change a score: some folders pad with "!" and
    then drop every "!!" at a prompt's end.
    """

    scorer: str
    checkpoint: str = OPENAI
    cleaned: bool = True

    def __str__(self) -> str:
        return "clean" if self.cleaned else "raw"

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The tables; raises `UserError` where there are none."""
        folder = find_folder(self.scorer, self.checkpoint, *TABLES, WHOLE)
        for names in (TABLES, (WHOLE,)):
            files = tuple(folder / name for name in names)
            if all(file.is_file() for file in files):
                return files
        raise UserError(
            f"{self.scorer}: {self.checkpoint}: no tokenizer there ({' and '.join(TABLES)}, or {WHOLE}); "
            f"give one with tokenizer=FOLDER, such as tokenizer={OPENAI}"
        )

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(_tokenizer(self.scorer, self.files))

    def tokens(self, prompts: Sequence[str], length: int) -> np.ndarray:
        """Int64 [n, length]: start, at most ``length`` − 2 tokens of the prompt, then the end, repeated as padding."""
        import numpy as np

        rows = np.full((len(prompts), length), self._end, np.int64)
        for row, ids in zip(rows, self._whole(prompts), strict=True):
            kept = ids[: length - 1]
            row[: len(kept)] = kept
        return rows

    def truncated(self, prompts: Sequence[str], length: int) -> int:
        """How many of the prompts lose their end, for their tokens do not fit into ``length``."""
        return sum(len(ids) > length for ids in self._whole(prompts))

    def _whole(self, prompts: Sequence[str]) -> list[list[int]]:
        """Start, all tokens and end, of each prompt."""
        texts = [clean(prompt) if self.cleaned else prompt for prompt in prompts]
        # verbose=False: it would warn of long prompts on stderr; they are counted instead
        return _tokenizer(self.scorer, self.files)(texts, verbose=False)["input_ids"] if texts else []

    @property
    def _end(self) -> int:
        return int(_tokenizer(self.scorer, self.files).eos_token_id)


def clean(text: str) -> str:
    """``text`` such that Hugging Face's tokenizer gives open_clip's tokens of it.

    Encoding mended, HTML entities resolved twice, single spaces; the marks of start and end are words like others.
    """
    import ftfy

    tidy = " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())
    return MARKS.sub(r"<| \1 |>", tidy)


@cache
def _tokenizer(scorer: str, files: tuple[Path, ...]) -> CLIPTokenizer:
    from transformers import CLIPTokenizer

    try:
        vocabulary, merges = _read(files)
        tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges)
    except UserError:
        raise
    except Exception as error:  # whatever the library raises on other tables
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{scorer}: {files[0]}: not the tables of a CLIP tokenizer ({said}); give another") from None
    if not {START, END} <= vocabulary.keys():
        raise UserError(f"{scorer}: {files[0]}: not CLIP's vocabulary: {START} or {END} is missing; give another")
    return tokenizer


def _read(files: tuple[Path, ...]) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    if len(files) == 1:
        model = read_json(files[0])["model"]
        vocabulary, merges = model["vocab"], model["merges"]
    else:
        vocabulary = read_json(files[0])
        lines = files[1].read_text(encoding="utf-8").split("\n")
        merges = [line for line in lines if line and not line.startswith("#version")]
    return vocabulary, [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in merges]
