"""Tokens: every golden prompt, cleaning, truncation by hand, the tables' mistakes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from support.clip import LENGTH, PROMPTS, VOCABULARY, save_tokenizer, tokens_of
from tastemaker.base.errors import UserError
from tastemaker.score.clip.text import ClipText, clean

END = len(VOCABULARY) - 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tokenizer(tmp_path / "tokenizer")


@pytest.mark.parametrize(("cleaned", "made_by"), [(True, "open_clip"), (False, "hf_raw")])
def test_golden_tokens_of_2966_prompts(shared_data: Path, cleaned: bool, made_by: str) -> None:
    """Hashes of the tokens to the end; behind it our rows repeat it, to their full length."""
    known = json.loads((shared_data / "golden" / "clip_tokens.json").read_text())
    assert len(known) == 2966
    text = ClipText("test", str(shared_data / "golden"), cleaned)
    end = text.size - 1
    for row, tokens in zip(known, text.tokens([row["prompt"] for row in known], 77).tolist(), strict=True):
        while tokens[-2] == end:
            tokens.pop()
        assert hashlib.sha256(" ".join(map(str, tokens)).encode()).hexdigest()[:16] == row[made_by], row["prompt"]


def test_golden_prompts_that_are_cut(shared_data: Path) -> None:
    """25 golden prompts fill all 77 places; two of them fit exactly."""
    prompts = [row["prompt"] for row in json.loads((shared_data / "golden" / "clip_tokens.json").read_text())]
    text = ClipText("test", str(shared_data / "golden"))
    assert text.truncated(prompts, 77) == 23
    assert text.truncated(prompts, 78) < 23


def test_tokens_by_hand(folder: Path) -> None:
    found = ClipText("test", str(folder)).tokens(PROMPTS, LENGTH).tolist()
    for prompt, row in zip(PROMPTS, found, strict=True):
        by_hand = tokens_of(prompt)
        last = by_hand.index(END)
        assert row == [*by_hand[: last + 1], *[END] * (LENGTH - 1 - last)]


def test_the_last_tokens_are_cut_and_the_end_stays(folder: Path) -> None:
    """Ten letters and two marks fill twelve places; an eleventh letter is one too many."""
    text = ClipText("test", str(folder))
    fits, long = "a b c d e f g h i j", "a b c d e f g h i j k"
    assert text.truncated([fits, long, long], LENGTH) == 2
    same, cut = text.tokens([fits, long], LENGTH).tolist()
    assert same == cut
    assert cut[-1] == END


def test_no_prompts_at_all(folder: Path) -> None:
    text = ClipText("test", str(folder))
    assert text.tokens([], LENGTH).shape == (0, LENGTH)
    assert text.truncated([], LENGTH) == 0


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("a  cat\n on\ta mat ", "a cat on a mat"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("a < b &amp;amp; c", "a < b & c"),  # where there is a "<", ftfy leaves entities alone
        ("\u201ccurly\u201d it\u2019s", '"curly" it\'s'),
        ("schÃ¶n", "schön"),
        ("LOUD", "LOUD"),
        ("a <|endoftext|> <|StartOfText|>", "a <| endoftext |> <| StartOfText |>"),
        ("", ""),
    ],
)
def test_cleaning(prompt: str, cleaned: str) -> None:
    assert clean(prompt) == cleaned


def test_cleaning_changes_tokens_and_can_be_left_out(folder: Path) -> None:
    cleaned, raw = (ClipText("test", str(folder), cleaned) for cleaned in (True, False))
    assert cleaned.tokens(["a&amp;a"], LENGTH).tolist() == raw.tokens(["a&a"], LENGTH).tolist()
    assert cleaned.tokens(["a&amp;a"], LENGTH).tolist() != raw.tokens(["a&amp;a"], LENGTH).tolist()
    assert (str(cleaned), str(raw)) == ("clean", "raw")


def test_tokenizer_json_gives_the_same_tokens(folder: Path, tmp_path: Path) -> None:
    """As transformers 5 saves it: no other table beside it."""
    from transformers import CLIPTokenizer

    vocabulary = json.loads((folder / "vocab.json").read_text())
    CLIPTokenizer(vocab=vocabulary, merges=[("c", "a"), ("ca", "t</w>")]).save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved" / "vocab.json").exists()
    text = ClipText("test", str(tmp_path / "saved"))
    assert [file.name for file in text.files] == ["tokenizer.json"]
    assert text.tokens(PROMPTS, LENGTH).tolist() == ClipText("test", str(folder)).tokens(PROMPTS, LENGTH).tolist()


def test_a_padding_token_of_the_folder_does_not_eat_prompts(folder: Path) -> None:
    """Stable Diffusion 2's tokenizer pads with "!"; "a !!" must keep both."""
    before = ClipText("test", str(folder)).tokens(["a !!"], LENGTH).tolist()
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "!"}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "!"}))
    mark = VOCABULARY.index("!")
    assert ClipText("again", str(folder)).tokens(["a !!"], LENGTH).tolist() == before
    assert before[0][2:5] == [mark, VOCABULARY.index("!</w>"), END]


def test_a_folder_without_tables_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(UserError, match=r"no tokenizer there .* give one with tokenizer=FOLDER") as caught:
        ClipText("pickscore", str(tmp_path)).tokens(["a"], 9)
    assert str(caught.value).startswith(f"pickscore: {tmp_path}: ")


@pytest.mark.parametrize(
    ("vocabulary", "merges", "message"),
    [
        ("[", "", "not readable as JSON"),
        ("[1]", "", "not the tables of a CLIP tokenizer"),
        ('{"a": 0}', "a b\n", "not the tables of a CLIP tokenizer"),
        ('{"a": 0, "a</w>": 1}', "", "not CLIP's vocabulary"),
    ],
)
def test_damaged_tables(tmp_path: Path, vocabulary: str, merges: str, message: str) -> None:
    (tmp_path / "vocab.json").write_text(vocabulary)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(UserError, match=message) as caught:
        ClipText("clip", str(tmp_path)).tokens(["a"], 9)
    assert "\n" not in str(caught.value)
