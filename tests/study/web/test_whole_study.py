"""A whole study through HTTP: the rules find the bad raters, the result is the truth, and what was sent is kept.

120 prompts, of which the tuned model's image is the better one on exactly `TRUTH` of each question; five raters an
item, 12 repetitions, 12 gold items. Six people are honest, two err in a tenth of their answers, one always takes the
left, one takes any answer. Who is given what differs from run to run (ids of raters are secret draws), so what is
asserted has to hold whatever they are given; how improbable it is that it does not stands at the rules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from study.web.coloured import QUESTIONS, colour_of, judge, study
from study.web.process import Server, invited, opened, running
from tastemaker.data.store import ImageStore
from tastemaker.study import db, votes
from tastemaker.study.client import Client
from tastemaker.study.design import Design, Plan
from tastemaker.study.exclusion import Finding, Rules
from tastemaker.study.export import write_votes
from tastemaker.study.resample import Bootstrap
from tastemaker.study.results import Findings, Results, results
from tastemaker.study.simulated import Honest, LazyLeft, Noisy, Person, Random, Sent, answer_all
from tastemaker.study.vote import TIE, pseudonym

pytestmark = pytest.mark.slow
SEED = 6
PROMPTS = 120
TRUTH = {"preference": 0.7, "appeal": 0.8, "alignment": 0.6}
LAZY, RANDOM = "lazy", "random"
PEOPLE: dict[str, Person] = {
    **{f"honest {n}": Honest() for n in range(6)},
    **{f"noisy {n}": Noisy(flips=0.1) for n in range(2)},
    LAZY: LazyLeft(),
    RANDOM: Random(),
}
BAD = {LAZY, RANDOM}
RULES = Rules(
    gold_missed=0.4, self_disagreement=0.6, median_seconds=1.5, one_side=0.9, majority_agreement=0.6, evidence=15
)
"""A person does some 60 measured tasks and 12 checks, three questions each; how many checks are gold items varies.

A noisy person, who errs in 0.1 and so changes 0.18 of repeated answers, breaks a rule that rests on 15 answers or
more with a probability of at most P(Bin(15, 0.1) > 6) = 3.1e-4 (gold) and P(Bin(18, 0.18) > 10) = 5.9e-5 (repetitions),
and to agree with the others in under 0.6 of 180 is out of reach. Honest people never miss anything. The
random agree in a third (3 answers to a pair), the lazy in a half, with a deviation of 0.04 and less.
"""


@dataclass(frozen=True)
class Outcome:
    """A study that was run: what each person sent, what was found, the raw votes as exported."""

    design: Design
    names: Mapping[str, str]
    sent: Mapping[str, list[Sent]]
    found: Results
    status: votes.Status
    rows: list[dict[str, Any]]
    images: ImageStore

    @property
    def excluded(self) -> dict[str, list[Finding]]:
        """The rules that each excluded person broke."""
        by_name: dict[str, list[Finding]] = {}
        for finding in self.found.excluded:
            by_name.setdefault(self.names[finding.rater], []).append(finding)
        return by_name


def run(folder: Path, seed: int) -> Outcome:
    """The study of ``seed``, by ten people at once."""
    plan = Plan(title="t", questions=QUESTIONS, repeats=0.1, gold=0.1, rules=RULES, quota=80, seed=seed)
    design = study(folder, plan, PROMPTS, TRUTH, gold=PROMPTS // 10)
    links = invited(folder / "study", len(PEOPLE))
    with running(folder / "study") as server, ThreadPoolExecutor(len(PEOPLE)) as pool:
        work = [pool.submit(take_part, server, link, name, seed) for link, name in zip(links, PEOPLE, strict=True)]
        sent = dict(zip(PEOPLE, [each.result() for each in work], strict=True))
    return read(folder, design, sent, seed)


def take_part(server: Server, link: str, name: str, seed: int) -> list[Sent]:
    client = Client(server.url)
    client.join(link, name)
    return answer_all(client, PEOPLE[name], judge, (seed, name))


def read(folder: Path, design: Design, sent: Mapping[str, list[Sent]], seed: int) -> Outcome:
    """What the study's folder holds in the end."""
    with opened(folder / "study") as store:
        cast = votes.every(store)
        with store.read() as connection:
            names = {row.id: row.name for row in connection.execute(select(db.rater.c.id, db.rater.c.name))}
        status = votes.status(store)
    write_votes(folder, design.items, cast)
    found = results(design.items, cast, design.rules, bootstrap=Bootstrap(seed=seed))
    rows = pq.read_table(folder / "votes.parquet").to_pylist()
    return Outcome(design, names, sent, found, status, rows, ImageStore(folder / "study" / "data"))


def table(outcome: Outcome) -> Iterator[str]:
    """Who broke which rule, and the figures before and after, for people."""
    for name, findings in sorted(outcome.excluded.items()):
        yield f"{name}: " + ", ".join(f"{each.rule} {each.value:.2f} ({each.answers})" for each in findings)
    for one, other in zip(outcome.found.before, outcome.found.after, strict=True):
        for stage, each in (("before", one), ("after", other)):
            (win,) = each.win_rates
            agreed, rate = each.agreement.raw.value, win.rate
            yield (
                f"{each.question} {stage}: truth {1 - TRUTH[each.question]:.2f}, share {win.share.value:.3f}, win rate "
                f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f}), raw agreement {agreed:.3f}"
            )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    done = run(tmp_path_factory.mktemp("whole"), SEED)
    print(*table(done), sep="\n")
    return done


def off(found: Findings, truth: float) -> float:
    """How far the share of the votes that the base model got is from the truth."""
    (win,) = found.win_rates
    assert (win.a, win.b, win.prompts) == ("base", "tuned", PROMPTS)
    return abs(win.share.value - (1 - truth))


def test_every_item_is_settled_and_everybody_took_part(outcome: Outcome) -> None:
    assert (outcome.status.settled, outcome.status.complete) == (PROMPTS, PROMPTS)
    assert outcome.status.raters == len(PEOPLE)
    assert {question.question for question in outcome.found.after} == set(QUESTIONS)


def test_exactly_the_bad_ones_are_excluded(outcome: Outcome) -> None:
    rules = {name: {finding.rule for finding in findings} for name, findings in outcome.excluded.items()}
    assert rules.keys() == BAD
    assert rules[LAZY] >= {"median_seconds", "one_side"}
    assert "majority_agreement" in rules[RANDOM]


def test_the_interval_covers_the_truth(outcome: Outcome) -> None:
    for found in outcome.found.after:
        (win,) = found.win_rates
        truth = 1 - TRUTH[found.question]
        assert win.rate.low <= truth <= win.rate.high
        assert win.rate.wilson_low <= truth <= win.rate.wilson_high


def test_with_the_bad_ones_the_estimate_is_further_away(outcome: Outcome) -> None:
    """Two of ten whose share is a half move it by 0.2·|truth − ½|, 0.04 on average, with a deviation of 0.01."""
    before, after = (
        sum(off(found, TRUTH[found.question]) for found in stage)
        for stage in (outcome.found.before, outcome.found.after)
    )
    assert after < before


def test_those_who_stay_agree_better(outcome: Outcome) -> None:
    for before, after in zip(outcome.found.before, outcome.found.after, strict=True):
        assert after.agreement.raw.value > before.agreement.raw.value
        assert after.agreement.alpha.value > before.agreement.alpha.value


def test_the_exported_votes_are_what_was_sent(outcome: Outcome) -> None:
    """By what the person saw: the images from the left, the one that was taken, the question, the seconds."""
    expected = Counter(
        (name, vote.question, *map(colour_of, vote.images), said(vote), vote.seconds)
        for name, sent in outcome.sent.items()
        for vote in sent
    )
    assert expected.total() == len(outcome.rows) > 5 * len(QUESTIONS) * PROMPTS
    assert Counter(exported(outcome)) == expected


def said(vote: Sent) -> Any:
    return TIE if vote.answer == TIE else colour_of(vote.images[vote.answer])


def exported(outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    names = {pseudonym(rater): name for rater, name in outcome.names.items()}
    colours = {sha: colour_of(outcome.images.read(sha)) for sha in outcome.images.shas}
    for row in outcome.rows:
        assert row["stands"]
        shas, shown, answer = json.loads(row["images"]), json.loads(row["shown"]), json.loads(row["answer"])
        screen = [colours[shas[place]] for place in shown]
        taken = TIE if answer == TIE else colours[shas[answer]]
        yield (names[row["rater"]], row["question"], *screen, taken, row["seconds"])
