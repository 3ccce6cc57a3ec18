"""Which rule of exclusion catches whom, over many seeds, as the table of docs/results/study.md.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/study_rules.py [--seeds 200] [--evidence 15]

People, plan, rules and truth are those of tests/study/web/test_whole_study.py, where ten people vote through HTTP.
Here is no server: votes are made in memory, from keyed draws alone. Only who does what is drawn more simply.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from study.web.coloured import MODELS, QUESTIONS  # noqa: E402
from study.web.test_whole_study import BAD, PEOPLE, PROMPTS, RULES, TRUTH, off  # noqa: E402
from tastemaker.base.draw import numbers  # noqa: E402
from tastemaker.base.progress import bar  # noqa: E402
from tastemaker.study.assign import shown  # noqa: E402
from tastemaker.study.build import Task, arrange  # noqa: E402
from tastemaker.study.design import Design, Plan  # noqa: E402
from tastemaker.study.resample import Bootstrap  # noqa: E402
from tastemaker.study.results import Results, results  # noqa: E402
from tastemaker.study.rules import Rules  # noqa: E402
from tastemaker.study.simulated import Seen, around  # noqa: E402
from tastemaker.study.vote import TIE, Image, Item, Vote  # noqa: E402

GOLD = PROMPTS // 10
UNEVEN = 3.0
"""Tasks by which the load of people may differ; with 0 the same two halves of the people would take turns."""
Better = Mapping[tuple[str, str], int]
"""(prompt, question) → the place of the better image."""


def study(seed: int, rules: Rules) -> tuple[Design, Better]:
    """The design, and the truth that only people see."""
    prompts, known = [f"prompt {n}" for n in range(PROMPTS)], [f"gold prompt {n}" for n in range(GOLD)]
    gold = numbers(seed, "gold").integers(0, 2, GOLD).tolist()
    better = {(prompt, question): place for prompt, place in zip(known, gold, strict=True) for question in QUESTIONS}
    for question in QUESTIONS:
        tuned = numbers(seed, "truth", question).permutation(PROMPTS) < round(TRUTH[question] * PROMPTS)
        better |= {(prompt, question): int(wins) for prompt, wins in zip(prompts, tuned, strict=True)}
    checks = [Task(prompt, _images(prompt), gold=place) for prompt, place in zip(known, gold, strict=True)]
    plan = Plan(title="t", questions=QUESTIONS, repeats=0.1, gold=0.1, rules=rules, quota=80, seed=seed)
    return arrange(plan, [Task(prompt, _images(prompt)) for prompt in prompts], checks), better


def _images(prompt: str) -> tuple[Image, ...]:
    return tuple(Image(f"{model} {prompt}", model) for model in MODELS)


def tasks(design: Design) -> dict[str, list[Item]]:
    """Who does what: an item goes to those with the least to do, and checks in proportion to what each has done."""
    drawn, given = numbers(design.seed, "given"), {name: list[Item]() for name in PEOPLE}
    for item in (item for item in design.items if item.measured):
        load = {name: len(own) + UNEVEN * drawn.random() for name, own in given.items()}
        for name in sorted(load, key=load.__getitem__)[: design.raters_per_item]:
            given[name].append(item)
    for own in given.values():
        done = {item.id for item in own}
        checks = [item for item in design.items if item.gold is not None or item.repeats in done]
        due = round(len(own) * design.checks / (len(design.items) - design.checks))
        own += [checks[place] for place in drawn.permutation(len(checks))[:due]]
        assert len(own) <= (design.quota or len(own))
    return given


def votes(design: Design, better: Better) -> Iterator[Vote]:
    """What everybody says."""
    slots = Counter[int]()
    for name, own in tasks(design).items():
        for item in own:
            stood = shown(design, item.id, slots[item.id])
            slots[item.id] += 1
            for question in QUESTIONS:
                yield _vote(design.seed, name, item, question, stood, better[item.prompt, question])


def _vote(seed: int, name: str, item: Item, question: str, stood: tuple[int, ...], better: int) -> Vote:
    who, drawn = PEOPLE[name], numbers(seed, "vote", name, item.id, question)
    said = who.answer(Seen("pair", (tuple(float(place == better) for place in stood),)), drawn)
    answer = said if said == TIE else stood[said]
    return Vote(name, item.id, question, answer, around(who.seconds, drawn), at=0.0, shown=stood)


class Tally:
    """Counts over studies."""

    def __init__(self) -> None:
        self.studies = self.exact = self.nearer = self.covered = self.agree = 0
        self.caught = Counter[tuple[str, str]]()

    def add(self, found: Results) -> None:
        """One more study."""
        broken = {(finding.rule, kind(finding.rater)) for finding in found.excluded}
        self.caught.update(broken | {("any", who) for _, who in broken})
        self.studies += 1
        self.exact += {finding.rater for finding in found.excluded} == BAD
        for before, after in zip(found.before, found.after, strict=True):
            truth, (win,) = TRUTH[after.question], after.win_rates
            self.nearer += off(after, truth) < off(before, truth)
            self.covered += win.rate.low <= 1 - truth <= win.rate.high
            self.agree += after.agreement.raw.value > before.agreement.raw.value

    def table(self, rules: Rules) -> Iterator[str]:
        """By rule, the number of studies in which it caught somebody of each kind; then the other counts."""
        people = Counter(map(kind, PEOPLE))
        yield "| rule | " + " | ".join(f"{who} ({number})" for who, number in people.items()) + " |"
        yield "| --- " * (1 + len(people)) + "|"
        for rule in [*rules.model_dump(exclude={"evidence"}, exclude_none=True), "any"]:
            yield f"| {rule} | " + " | ".join(str(self.caught[rule, who]) for who in people) + " |"
        questions = self.studies * len(QUESTIONS)
        yield f"\nExactly the bad raters excluded: {self.exact} of {self.studies} studies"
        yield f"Share of the votes nearer to the truth: {self.nearer} of {questions} questions"
        yield f"Raw agreement higher: {self.agree} of {questions}"
        yield f"Interval of the win rate covers the truth: {self.covered} of {questions}"


def kind(name: str) -> str:
    """What somebody is, of a name as in ``honest 3``."""
    return name.split()[0]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="how many studies")
    parser.add_argument("--evidence", type=int, default=RULES.evidence, help="answers behind a share before it counts")
    asked = parser.parse_args()
    rules, tally = RULES.model_copy(update={"evidence": asked.evidence}), Tally()
    for seed in bar(range(asked.seeds), "studies", unit="study"):
        design, better = study(seed, rules)
        tally.add(results(design.items, votes(design, better), rules, bootstrap=Bootstrap(seed=seed)))
    print("\n".join(tally.table(rules)))


if __name__ == "__main__":
    main()
