"""What simulated people answer to scores made by hand; how often they err, within binomial limits."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

from study.studies import item
from tastemaker.base import draw
from tastemaker.study.client import Progress, Question, View
from tastemaker.study.simulated import Honest, LazyLeft, Noisy, Person, Random, Seen, around, decide
from tastemaker.study.vote import Kind, canonical, misfit

DRAWS = 2000
PAIR, BEST, RANK = (Seen(kind, ((0.2, 0.9),)) for kind in ("pair", "best", "rank"))
TRIPLE = (0.2, 0.9, 0.5)
FLAG = Seen("flag", ((0.2, 0.9, 0.4), (0.8, 0.1, 0.9)), ("hands", "unsafe"))
"""Hands are wrong in the images 0 and 2, unsafe is image 1."""
TRUTH = [[0, "hands"], [1, "unsafe"], [2, "hands"]]


def numbers(n: int = 0) -> np.random.Generator:
    return draw.numbers("people", n)


def drawn(who: Person, seen: Seen) -> Iterator[Any]:
    return (who.answer(seen, numbers(n)) for n in range(DRAWS))


def usual(hits: int, probability: float, of: int = DRAWS) -> bool:
    """Whether so many of ``of`` draws are within limits that one test in a million leaves."""
    low, high = binom.interval(1 - 1e-6, of, probability)
    return bool(low <= hits <= high)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (PAIR, 1),
        (Seen("pair", ((0.9, 0.2),)), 0),
        (Seen("best", (TRIPLE,)), 1),
        (Seen("rank", (TRIPLE,)), [1, 2, 0]),
        (Seen("rank", ((0.5, 0.9, 0.5),)), [1, 0, 2]),
        (FLAG, TRUTH),
        (Seen("flag", ((0.5, 0.6),), ("hands",)), []),
    ],
)
def test_honest_people_say_what_the_scores_say(seen: Seen, said: Any) -> None:
    assert Honest().answer(seen, numbers()) == said


@pytest.mark.parametrize(("scores", "said"), [((0.5, 0.75), "tie"), ((0.75, 0.5), "tie"), ((0.5, 0.8), 1)])
def test_a_pair_is_a_tie_up_to_and_with_the_limit(scores: tuple[float, float], said: Any) -> None:
    assert Honest(tie=0.25).answer(Seen("pair", (scores,)), numbers()) == said
    assert Honest(tie=0.25).answer(Seen("best", (scores,)), numbers()) == int(scores[1] > scores[0])


@pytest.mark.parametrize(("seen", "said"), [(PAIR, 0), (BEST, 0), (RANK, [0, 1]), (FLAG, [])])
def test_the_lazy_take_the_left_whatever_it_is(seen: Seen, said: Any) -> None:
    turned = seen._replace(scores=tuple(row[::-1] for row in seen.scores))
    assert LazyLeft().answer(seen, numbers()) == LazyLeft().answer(turned, numbers()) == said
    assert LazyLeft().seconds < 1 < Honest().seconds


def test_noise_that_is_none_is_honesty() -> None:
    for seen in (PAIR, BEST, RANK, FLAG):
        assert all(Noisy(flips=0.0).answer(seen, numbers(n)) == Honest().answer(seen, numbers(n)) for n in range(50))


def test_the_noisy_take_the_other_image_as_often_as_they_flip() -> None:
    assert usual(sum(said == 0 for said in drawn(Noisy(flips=0.1), PAIR)), 0.1)
    assert {*drawn(Noisy(flips=1.0), PAIR)} == {0}


def test_the_noisy_err_alike_on_both_sides_of_a_tie_and_between_the_other_images() -> None:
    """A third of errors on each of the other three images; of ties half on each side."""
    tie = Counter(drawn(Noisy(flips=0.4, tie=1.0), PAIR))
    assert usual(tie[0], 0.2)
    assert usual(tie[1], 0.2)
    assert usual(tie["tie"], 0.6)
    best = Counter(drawn(Noisy(flips=0.3), Seen("best", ((*TRIPLE, 0.0),))))
    assert all(usual(best[position], 0.1) for position in (0, 2, 3))


def test_the_noisy_swap_two_neighbours_of_a_ranking() -> None:
    """True is 1, 2, 0; errors are 2, 1, 0 and 1, 0, 2."""
    found = Counter(map(tuple, drawn(Noisy(flips=0.4), Seen("rank", (TRIPLE,)))))
    assert found.keys() == {(1, 2, 0), (2, 1, 0), (1, 0, 2)}
    assert all(usual(found[order], 0.2) for order in [(2, 1, 0), (1, 0, 2)])


def test_the_noisy_err_in_every_box_by_itself() -> None:
    """Of six boxes; two neighbours err together with probability 0.2²."""
    errors = [{*map(tuple, TRUTH)} ^ {*map(tuple, said)} for said in drawn(Noisy(flips=0.2), FLAG)]
    assert usual(sum(map(len, errors)), 0.2, 6 * DRAWS)
    assert usual(sum({(0, "hands"), (1, "hands")} <= each for each in errors), 0.04)


@pytest.mark.parametrize(
    ("seen", "answers"), [(PAIR, 3), (Seen("best", (TRIPLE,)), 3), (Seen("rank", (TRIPLE,)), 6), (FLAG, 2**6)]
)
def test_the_random_take_every_answer_equally_often(seen: Seen, answers: int) -> None:
    found = Counter(canonical(said) for said in drawn(Random(), seen))
    assert len(found) == answers
    assert all(usual(count, 1 / answers) for count in found.values())


@pytest.mark.parametrize("who", [Honest(), Noisy(flips=0.5), LazyLeft(), Random()])
@pytest.mark.parametrize("kind", ["pair", "best", "rank", "flag"])
def test_every_answer_is_one_that_the_study_takes(who: Person, kind: Kind) -> None:
    images = 2 if kind == "pair" else 4
    of = item(0, kind, images)
    for n in range(100):
        rows = tuple(tuple(row) for row in numbers(n).random((2 if kind == "flag" else 1, images)).tolist())
        said = who.answer(Seen(kind, rows, ("x", "y")), numbers(n))
        assert misfit(of, canonical(said)) == ""


def test_times_have_their_median() -> None:
    assert usual(sum(around(4.0, numbers(n)) < 4 for n in range(DRAWS)), 0.5)
    assert len({around(4.0, numbers(n)) for n in range(10)}) == 10


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


def redness(question: str, prompt: str | None, images: list[Image.Image]) -> list[float]:
    """Red, or with a prompt that is shown the lack of it: so that what a judge is told can be seen."""
    assert question == ("appeal" if prompt is None else "preference")
    return [float(np.asarray(image)[..., 0].mean()) * (1 if prompt is None else -1) for image in images]


def test_people_see_what_the_page_shows() -> None:
    """The hidden question is asked first and without the prompt; then the other one, with it."""
    asked = (Question(name="appeal", hidden=True), Question(name="preference"))
    view = View(state="task", progress=Progress(done=3, of=9), can_undo=True, token="t", kind="pair", questions=asked)
    first = decide(view, [png(9), png(200)], Honest(), redness, ("a",))
    assert (first.token, first.question, first.answer, first.prompt) == ("t", "appeal", 1, None)
    later = view.model_copy(update={"answered": {"appeal": 1}, "prompt": "blue"})
    second = decide(later, [png(9), png(200)], Honest(), redness, ("a",))
    assert (second.question, second.answer, second.prompt) == ("preference", 0, "blue")


def test_flags_are_judged_one_by_one() -> None:
    view = View(
        state="task", progress=Progress(done=0, of=1), can_undo=False, token="t", kind="flag",
        questions=(Question(name="flags"),), flags=("hands", "unsafe"), prompt="p",
    )  # fmt: skip
    scores = {"hands": [0.2, 0.9], "unsafe": [0.8, 0.1]}
    vote = decide(view, [png(1), png(2)], Honest(), lambda flag, *_: scores[flag], ())
    assert (vote.question, vote.answer) == ("flags", [[0, "hands"], [1, "unsafe"]])


def test_what_is_drawn_hangs_on_the_person_the_task_and_the_question() -> None:
    views = [
        View(state="task", progress=Progress(done=done, of=9), can_undo=True, kind="pair", prompt="p",
             questions=(Question(name=name),))
        for done in range(20) for name in ("preference", "alignment")
    ]  # fmt: skip

    def said(person: str) -> list[Any]:
        return [decide(view, [png(1), png(2)], Random(), lambda *_: [0, 0], (person,)).answer for view in views]

    assert said("a") == said("a") != said("b")
    assert said("a")[::2] != said("a")[1::2]
    assert len({*said("a")[::2]}) == 3
