"""People say in a browser which of a round's images are better: each round is a study that a server shows them.

The study lies in `round-000/study`; `tastemaker study serve RUN` opens the rounds one by one. Votes are in the study's
database: beside it, or in the PostgreSQL database that the environment variable `TASTEMAKER_DATABASE` names. That is no
field of the recipe, because recipes are published and the URL may hold a password.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from tastemaker.base import files
from tastemaker.base.config import validate
from tastemaker.base.errors import UserError
from tastemaker.rollout.config import Source
from tastemaker.study import design as designs
from tastemaker.study.design import FLAGS, Plan
from tastemaker.study.rules import Rules
from tastemaker.study.vote import Kind

if TYPE_CHECKING:
    from tastemaker.rollout.choices import Choice
    from tastemaker.rollout.feedback import Round
    from tastemaker.study import build
    from tastemaker.study.db import Store
    from tastemaker.study.votes import Status

DATABASE = "TASTEMAKER_DATABASE"
PREFERENCE: Literal["preference"] = "preference"
CHOICES: dict[Kind, Callable[[int], int]] = {
    "pair": lambda images: images * (images - 1) // 2,
    "best": lambda images: images - 1,
    "rank": lambda images: images * (images - 1) // 2,
    "flag": lambda images: images // 2 * -(-images // 2),
}
"""The most choices that come of a prompt's images: of flags where half of them are flagged."""


class Asked(Source):
    """People vote on a round's images in a browser; `tastemaker study serve RUN` shows them."""

    scorers: ClassVar[tuple[str, ...]] = ()

    kind: Literal["study"] = "study"
    task: Kind = "pair"
    """What is done with a prompt's images: two are compared, the best is taken, all are ranked, or flags are set."""
    flags: tuple[str, ...] = ()
    """Names of the flags of task: flag, as in [hands, unsafe]; a flagged image loses against one that is not."""
    raters: int = Field(1, ge=1)
    """Different people who do each task; most of them decide, and equal halves are a tie."""
    title: str = Field("Which images are better?", min_length=1, max_length=200)
    """What people see at the top."""
    consent: str = ""
    """What people agree to before they begin."""
    minutes: float = Field(30, gt=0, allow_inf_nan=False)
    """After which a task that was begun may go to somebody else."""
    repeats: float = Field(0, ge=0, le=0.5)
    """Share of the tasks that are asked a second time, to see who is steady."""
    rules: Rules = Rules()
    """Whose votes do not count."""
    wait: bool = True
    """Whether the command waits for people; else it ends, and is run again when they are done."""
    poll_seconds: float = Field(2.0, gt=0, le=60)
    """Seconds between two looks at how far people are."""

    @model_validator(mode="after")
    def _possible(self) -> Asked:
        self.plan(0)
        if self.rules.gold_missed is not None:
            raise ValueError("rules.gold_missed: no answer to a round's images is known beforehand; leave it out")
        if self.rules.self_disagreement is not None and not self.repeats:
            raise ValueError("rules.self_disagreement: nothing is asked twice; set repeats, as in 0.1, or leave it out")
        return self

    @property
    def poll(self) -> float | None:
        """``poll_seconds``, or None without ``wait``."""
        return self.poll_seconds if self.wait else None

    def missing(self) -> list[str]:
        """What is not installed."""
        lines = {
            "sqlalchemy": f"feedback.kind: study needs sqlalchemy, {_get('study')}",
            "psycopg": f"{DATABASE}: PostgreSQL needs psycopg, {_get('postgresql')}",
        }
        needed = ["sqlalchemy", *(["psycopg"] if _url() else [])]
        return [lines[name] for name in needed if find_spec(name) is None]

    def work(self, prompts: int, images: int) -> dict[str, int]:
        """Of a round with so many prompts, each with so many images that all differ."""
        tasks = prompts * (CHOICES["pair"](images) if self.task == "pair" else 1)
        return {
            "tasks a round": tasks + round(tasks * self.repeats),
            "people a task": self.raters,
            "choices a round, at most": prompts * CHOICES[self.task](images),
        }

    def plan(self, seed: int) -> Plan:
        """What is fixed of a round's study; raises `UserError` where fields do not fit together."""
        own = {"title", "consent", "minutes", "flags", "rules", "repeats"}
        fixed = {"kind": self.task, "questions": (PREFERENCE,), "raters_per_item": self.raters, "seed": seed}
        return validate(Plan, self.model_dump(include=own) | fixed, "the study")

    def choices(self, round: Round) -> list[Choice] | str:
        """The choices of people who are done, or one line that says how far they are; the study is there then.

        They are done when every task has its answers, or somebody closed the study; where nothing was decided then, it
        is opened again. It is closed before it is read, so that no more tasks are given; a vote that comes in later on
        a task already given is kept there, and counts only where the choices were not written down yet. To be called
        while the run's folder is locked.

        Raises `UserError` when the study that is there asks about other images, and as `study.db.open_study` does; of
        a database that is out of reach for a while, a run that waits only hears.
        """
        from tastemaker.study import db, series

        source = _source(round, self.task)
        if not source.tasks:  # all images of every prompt are the same
            return []
        study = round.folder / series.ROUND
        patient = self.wait and study.exists()
        self._make(study, round, source)
        try:
            with closing(db.open_study(study, _url(), series.schema_of(study))) as store:
                return self._answers(store, round)
        except db.Unavailable as error:
            if not patient:
                raise
            return f"{error} (looking again)"

    def _make(self, study: Path, round: Round, source: build.Source) -> None:
        from tastemaker.base import draw
        from tastemaker.study import build

        plan = self.plan(draw.seed("ask", round.seed, round.number))
        if not study.exists():
            files.clear_temporaries(round.folder)  # a killed run's half of it
            build.create(study, plan, source)
        elif designs.read(study) != build.arrange(plan, source.tasks):
            raise UserError(
                f"{study}: asks about other images than those of this round (another machine may have drawn them); "
                "move it away to ask anew"
            )

    def _answers(self, store: Store, round: Round) -> list[Choice] | str:
        from tastemaker.study import db, votes

        status = votes.status(store)
        whole, run = status.settled == status.items, round.folder.parent.parent
        if status.state != "closed" and not whole:
            return self._lack(status, run)
        db.set_state(store, "closed")
        found = self._read(store, round)
        if whole or any(choice.label != "tie" for choice in found):
            return found
        db.set_state(store, "open")
        return f"closed before anything was decided, so open again; {_where(run)}"

    def _lack(self, status: Status, run: Path) -> str:
        state = f" ({status.state})" if status.state != "open" else ""
        done = f"{status.settled} of {status.items} tasks have their answers{state}"
        again = "" if self.wait else "; run the same command again when they are done"
        return f"{done}; {_where(run)}{again}"

    def _read(self, store: Store, round: Round) -> list[Choice]:
        """What the votes of those who are not excluded say of every two different images, sorted."""
        from tastemaker.rollout.choices import Choice
        from tastemaker.study import exclusion, export, votes

        items, cast = store.design.items, votes.every(store)
        counted = exclusion.kept(cast, exclusion.exclusions(items, cast, self.rules))
        found = export.comparisons(items, counted, FLAGS if self.task == "flag" else PREFERENCE)
        said = {(each.prompt, *each.images): each.label for one in found for each in (one.swap(), one)}
        keys = ((p, a, b, (round.prompts[p], round.shas[p][a], round.shas[p][b])) for p, a, b in round.duels)
        return [Choice(p, a, b, said[key]) for p, a, b, key in keys if key in said]


def _source(round: Round, task: Kind) -> build.Source:
    """The tasks of a round, each once: of equal images the first stands for all, and one alone is no task."""
    from tastemaker.study import build

    rows = dict.fromkeys((prompt, tuple(dict.fromkeys(row))) for prompt, row in _rows(round))
    found = build.from_round(round.folder, [row for row in rows if len(row[1]) > 1], task)
    return replace(found, bytes=lambda: (png for images in round.pngs for png in images))


def _rows(round: Round) -> Iterator[tuple[str, Sequence[str]]]:
    return zip(round.prompts, round.shas, strict=True)


def _where(run: Path) -> str:
    return f"`tastemaker study serve {run}` is where people answer"


def _url() -> str:
    return os.environ.get(DATABASE, "")


def _get(extra: str) -> str:
    return f"which is not installed; get it with: pip install 'tastemaker[{extra}]'"
