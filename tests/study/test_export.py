"""Raw votes out, and a study as a data folder: read back by the readers that `rank` and `score` use."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.pictures import jpeg
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.store import ImageStore, read_comparisons, write_images
from tastemaker.rank.choose import Cut
from tastemaker.rank.ranking import rank
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.runner import score
from tastemaker.study.export import COLUMNS, comparisons, rows, write_data, write_votes
from tastemaker.study.vote import TIE, Answer, Image, Item, Kind, Vote, pseudonym

PICTURES = [jpeg(seed) for seed in range(3)]
SHAS = [sha256_bytes(picture) for picture in PICTURES]
MODELS = ("base", "tuned", "other")
PICTURED = tuple(map(Image, SHAS, MODELS))


def item(kind: Kind, number: int = 0, images: tuple[Image, ...] = PICTURED, prompt: str = "größe") -> Item:
    return Item(id=number, kind=kind, prompt=prompt, images=images[:2] if kind == "pair" else images)


def cast(*answers: Answer | None, number: int = 0) -> list[Vote]:
    return [Vote(f"rater-{r}", number, "q", answer, 2.5, 7.0, shown=(1, 0)) for r, answer in enumerate(answers)]


def test_shares_of_a_pair_by_hand() -> None:
    """0, 0, 1, tie: (2 + ½)/4 = 0.625 for image a."""
    (found,) = comparisons([item("pair")], cast(0, 0, 1, TIE), "q", "my study")
    assert (found.image_a, found.image_b, found.model_a, found.model_b) == (*SHAS[:2], "base", "tuned")
    assert (found.share, found.votes, found.label) == (0.625, 4, "a")
    assert (found.prompt, found.source, found.judge) == ("größe", "my study: item 0", "people: q")
    assert comparisons([item("pair")], cast(0, 1), "q")[0].label == "tie"
    assert comparisons([item("pair")], cast(1, 1, 0), "q")[0].label == "b"


def test_the_last_votes_of_the_question_count() -> None:
    votes = cast(0, 0)
    votes += [replace(votes[0], answer=1, revision=1), replace(votes[1], answer=None, revision=1)]
    votes.append(replace(votes[0], question="other"))
    (found,) = comparisons([item("pair")], votes, "q")
    assert (found.share, found.votes) == (0.0, 1)


def test_best_and_rank_become_pairs() -> None:
    """Best 0, 0, 2: 0 against 1 2 : 0, 0 against 2 2 : 1, 1 against 2 0 : 1. Rankings: every pair by every rater."""
    best = comparisons([item("best")], cast(0, 0, 2), "q")
    assert [(one.votes, one.label) for one in best] == [(2, "a"), (3, "a"), (1, "b")]
    assert best[1].share == pytest.approx(2 / 3)
    rank = comparisons([item("rank")], cast((2, 0, 1), (0, 2, 1)), "q")
    assert [(one.votes, one.share) for one in rank] == [(2, 1.0), (2, 0.5), (2, 0.0)]


def test_flagged_images_lose_against_the_unflagged_of_their_prompt() -> None:
    """Flagged by 0 of 2, by 2 of 2, and (in an item of its own) by 1 of 2, which is not most: shares 1 and ¾."""
    items = [item("flag", 0, PICTURED[:2]), item("flag", 1, PICTURED[2:]), item("flag", 2, PICTURED[:1], "elsewhere")]
    votes = cast(((1, "hands"),), ((1, "unsafe"),)) + cast((), ((0, "hands"),), number=1) + cast((), number=2)
    found = comparisons(items, votes, "q")
    assert [(one.image_a, one.image_b, one.share, one.label, one.votes) for one in found] == [
        (SHAS[0], SHAS[1], 1.0, "a", 2), (SHAS[2], SHAS[1], 0.75, "a", 2),
    ]  # fmt: skip


def test_a_rater_flags_an_image_once_however_often_it_is_asked() -> None:
    """Image 0 in two items: r flags it in the first only, s never; that is 1 of 2 raters, which is not most.

    Image 1 is flagged by r, who alone was asked: of 2 and of 1 raters the smaller number stands.
    """
    items = [item("flag", 0, PICTURED[:1]), item("flag", 1, PICTURED[:1]), item("flag", 2, PICTURED[1:2])]
    votes = cast(((0, "x"),), ()) + cast((), (), number=1) + cast(((0, "x"),), number=2)
    (found,) = comparisons(items, votes, "q")
    assert (found.image_a, found.share, found.votes) == (SHAS[0], 0.75, 1)


def test_checks_and_equal_images_are_no_data() -> None:
    gold = item("pair").model_copy(update={"gold": 0})
    repeat = item("pair").model_copy(update={"repeats": 5})
    twins = item("pair", images=(Image(SHAS[0], "base"), Image(SHAS[0], "tuned")))
    for one in (gold, repeat, twins):
        assert comparisons([one], cast(0, 0), "q") == []


def test_ids_are_stable_and_unique() -> None:
    items = [item("rank"), item("rank", 1)]
    votes = cast((0, 1, 2)) + cast((0, 1, 2), number=1)
    ids = [one.pair_id for one in comparisons(items, votes, "q")]
    assert len({*ids}) == 6
    more = comparisons(items, [*votes, replace(votes[0], rater="late", answer=(2, 1, 0))], "q")
    assert [one.pair_id for one in more] == ids


def test_a_study_is_a_data_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "data", PICTURES)
    images = ImageStore(tmp_path / "data")
    written = write_data(tmp_path / "out", [item("pair")], cast(0, 0, 1), "q", images)
    assert read_comparisons(tmp_path / "out") == written
    store = ImageStore(tmp_path / "out")
    assert {sha: store.read(sha) for sha in store.shas} == dict(zip(SHAS[:2], PICTURES[:2], strict=True))
    with pytest.raises(UserError, match=r"comparisons\.parquet: is there already; choose another folder"):
        write_data(tmp_path / "out", [item("pair")], cast(0), "q", images)


def test_nothing_to_export(tmp_path: Path) -> None:
    write_images(tmp_path / "data", PICTURES[:1])
    images = ImageStore(tmp_path / "data")
    with pytest.raises(UserError, match="no votes on 'appeal' compare two images; wait for votes or name another"):
        write_data(tmp_path / "out", [item("pair")], cast(0), "appeal", images)
    with pytest.raises(UserError, match=f"the image {SHAS[1]} is not here"):
        write_data(tmp_path / "out", [item("pair")], cast(0), "q", images)
    assert not (tmp_path / "out" / "comparisons.parquet").exists()


def test_raw_votes_as_csv_and_parquet(tmp_path: Path) -> None:
    votes = cast(0, TIE)
    votes.append(replace(votes[0], answer=None, revision=1))
    write_votes(tmp_path, [item("pair")], votes)
    read = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert read == list(rows([item("pair")], votes))
    assert [row["stands"] for row in read] == [False, True, False]
    assert [json.loads(row["answer"]) for row in read] == [0, "tie", None]
    assert (read[0]["shown"], read[0]["seconds"], read[0]["at"]) == ("[1, 0]", 2.5, 7.0)
    assert json.loads(read[0]["images"]) == SHAS[:2]
    with (tmp_path / "votes.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert [row["prompt"] for row in table] == ["größe"] * 3


def test_no_rater_is_named(tmp_path: Path) -> None:
    write_votes(tmp_path, [item("pair")], cast(0, 1))
    for name in ("votes.csv", "votes.parquet"):
        assert b"rater-" not in (tmp_path / name).read_bytes()
    assert pseudonym("rater-0") == pseudonym("rater-0") != pseudonym("rater-1")


def test_votes_of_every_kind_have_one_table(tmp_path: Path) -> None:
    items = [item("best"), item("rank", 1), item("flag", 2)]
    votes = cast(1) + cast((2, 1, 0), number=1) + cast(((0, "ö"),), number=2)
    write_votes(tmp_path, items, votes)
    answers = [json.loads(row["answer"]) for row in pq.read_table(tmp_path / "votes.parquet").to_pylist()]
    assert answers == [1, [2, 1, 0], [[0, "ö"]]]
    write_votes(tmp_path, items, [])
    assert pq.read_table(tmp_path / "votes.parquet").num_rows == 0


def test_score_and_rank_read_a_study(tmp_path: Path) -> None:
    """The scorer counts bytes; three raters of one mind make image 1 the winner, and rank has it so."""
    write_images(tmp_path / "data", PICTURES)
    write_data(tmp_path / "out", [item("pair")], cast(1, 1, 1), "q", ImageStore(tmp_path / "data"))
    score(tmp_path / "out", JpegSize())
    rank(tmp_path / "out", "jpeg-size", tmp_path / "ranked", Cut(fraction=1.0))
    (pair,) = pq.read_table(tmp_path / "ranked" / "pairs.parquet").to_pylist()
    assert (pair["winner"], pair["loser"], pair["prompt"]) == (SHAS[1], SHAS[0], "größe")
