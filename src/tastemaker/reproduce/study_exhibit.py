"""QSD's figure 5: blind judgements of images of DPO against those of DPO-QSD; three questions, five raters, majority.

In the small world nobody is asked: raters are simulated (`study_simulated`), and every line says so. Elsewhere people
are asked: the stage makes the study, the page says how to open it, and the votes are read when they are there. What
they say is counted in `study_majorities` and put into words in `study_page`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce import study_page
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import MOST_SEEDS, Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.study_majorities import DPO, QSD, Cast
from tastemaker.reproduce.study_simulated import PROMPTS, QUESTIONS, RATERS, categories, make, simulate, worth
from tastemaker.world.assets import BASE_MODEL

ANSWER_SECONDS = 0.01
"""Of one simulated answer, for the list of costs."""
VOTES, STUDY, DESIGN, DATABASE = "study-votes.json", "study", "study.json", "study.sqlite"


@dataclass(frozen=True)
class Study:
    """Share of the majorities that prefer QSD, by question (`exhibit.Exhibit`); ``simulated``: no people are asked."""

    key: str
    paper: Paper
    title: str
    model: str
    baseline: Arm
    chosen: Arm
    simulated: bool

    @property
    def arms(self) -> list[Arm]:
        """Both."""
        return [self.baseline, self.chosen]

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """A study of each seed's images; people are asked about the first seed alone."""
        yield from (self.asked(shop, seed) for seed in (seeds if self.simulated else seeds[:1]))

    def asked(self, shop: Shop, seed: int) -> Stage:
        """The study of a seed: made, and with simulated raters answered."""
        needs = tuple(shop.scored(arm, seed) for arm in self.arms)
        place, profile = shop.place(self.chosen, seed), shop.profile
        folders = {DPO: shop.place(self.baseline, seed) / "images", QSD: place / "images"}
        name = f"study {self.chosen.name} seed {seed}"
        if not self.simulated:

            def put() -> None:
                make(place / STUDY, folders, profile.groups())

            return Stage(name, "make a study", place / STUDY / DESIGN, put, 5, needs)
        seconds = PROMPTS * RATERS * len(QUESTIONS) * ANSWER_SECONDS

        def answer() -> None:
            shutil.rmtree(place / STUDY, ignore_errors=True)  # a killed one is begun again: nobody's time is lost
            design = make(place / STUDY, folders, categories(profile.test()))
            votes = simulate(place / STUDY, worth(shop.build, place / STUDY, design), seed)
            write_json(place / VOTES, [asdict(vote) for vote in votes])

        return Stage(name, "simulated study", place / VOTES, answer, seconds, needs)

    def write(self, results: Results, folder: Path) -> str:
        """The shares with intervals, agreement, the paper's figures beside them; or how to ask people."""
        cast = self._cast(results.shop)
        if not cast:
            return self._invitation(results.shop)
        told = study_page.told(list(cast.values()), self.simulated)
        write_json(folder / f"{self.key}.json", {"seeds": list(cast), **told.plain})
        heading = f"{self.title}; simulated raters, no people" if self.simulated else self.title
        return "\n".join([f"### {heading}", "", *told.lines, ""])

    def _invitation(self, shop: Shop) -> str:
        """Where a study for people stands and nobody has voted yet."""
        places = [shop.place(self.chosen, seed) / STUDY for seed in range(MOST_SEEDS)]
        ready = [place for place in places if (place / DESIGN).exists()]
        if self.simulated or not ready:
            return ""
        command = f"tastemaker study invite {ready[0]} --count {RATERS}` and `tastemaker study serve {ready[0]}"
        return (
            f"### {self.title}\n\nNobody has voted yet. `{command}` open it; run `reproduce` again when it is done.\n"
        )

    def _cast(self, shop: Shop) -> dict[int, Cast]:
        """Seed → items and votes, of every study that has votes."""
        places = {seed: shop.place(self.chosen, seed) for seed in range(MOST_SEEDS)}
        if self.simulated:
            return {seed: _kept(place) for seed, place in places.items() if (place / VOTES).exists()}
        there = {seed: place / STUDY for seed, place in places.items() if (place / STUDY / DATABASE).exists()}
        found = {seed: _opened(study) for seed, study in there.items()}
        return {seed: (items, votes) for seed, (items, votes) in found.items() if votes}


def exhibits(profile: Profile, chosen: Callable[[str], Arm]) -> Iterator[Study]:
    """The study of every model; ``chosen`` gives the arm of its best pairs."""
    for model, settings in profile.models.items():
        key = "study" if len(profile.models) == 1 else f"study-{model}"
        simulated = settings.base == str(BASE_MODEL)
        yield Study(key, "qsd", f"QSD, figure 5: blind study ({model})", model, Arm(model), chosen(model), simulated)


def _kept(place: Path) -> Cast:
    """A simulated study, from the votes beside it."""
    from tastemaker.study import design
    from tastemaker.study.vote import Vote, canonical

    rows = read_json(place / VOTES)
    votes = [Vote(**{**row, "answer": canonical(row["answer"]), "shown": tuple(row["shown"])}) for row in rows]
    return design.read(place / STUDY).items, votes


def _opened(study: Path) -> Cast:
    """A study of people, from its database."""
    from tastemaker.study import votes
    from tastemaker.study.db import open_study

    store = open_study(study)
    try:
        return store.design.items, votes.every(store)
    finally:
        store.close()
