"""What a study asks of whom: fixed before the study opens, written once to `STUDY/study.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tastemaker.base import config, files
from tastemaker.base.errors import UserError
from tastemaker.study.rules import Rules
from tastemaker.study.vote import Item, Kind

STUDY, DATA = "study.json", "data"
FLAGS = "flags"
"""The one question of a task of kind `flag`."""
Question = Literal["preference", "appeal", "alignment"]
Amount = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, le=1)]
"""A whole number is a number of items; one with a point is a share of the measured items."""


class Plan(BaseModel):
    """All that is fixed of a study but its items.

    The sides on which images stand are always drawn and balanced (`assign.shown`), so no field says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=200, description="what raters see at the top")
    kind: Kind = Field("pair", description="what is done with the images of a task")
    questions: tuple[Question, ...] = Field(("preference",), min_length=1, description="asked of every task")
    flags: tuple[str, ...] = Field((), description="names of the flags of a task of kind flag")
    raters_per_item: int = Field(5, ge=1, description="different people who answer each task")
    quota: int | None = Field(None, ge=1, description="most tasks one person is given, checks among them")
    repeats: Amount = Field(0, description="tasks asked a second time, a number or a share (0.1)")
    gold: Amount = Field(0, description="tasks with a known answer, a number or a share (0.1)")
    rules: Rules = Field(default_factory=Rules, description="who is left out of the results")
    minutes: float = Field(30, gt=0, description="after which a task that was begun may go to somebody else")
    seed: int = Field(0, ge=0, description="of every draw")
    consent: str = Field("", description="what people agree to before they begin")

    @field_validator("questions", "flags")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError(f"{', '.join(map(repr, names))}: give each name once, and none that is empty")
        return names

    @model_validator(mode="after")
    def _flags_fit(self) -> Plan:
        if (self.kind == "flag") != bool(self.flags):
            way = "name at least one, as in [hands, unsafe]" if self.kind == "flag" else "leave them out"
            raise ValueError(f"flags: {list(self.flags)} with tasks of kind {self.kind}; {way}")
        return self

    @property
    def asked(self) -> tuple[str, ...]:
        """The questions of a task: ``questions``, or of kind `flag` the one question `FLAGS`."""
        return (FLAGS,) if self.kind == "flag" else self.questions


class Design(Plan):
    """A whole study: the plan, and the tasks in the order drawn by `build.arrange`; images lie in `STUDY/data`."""

    items: tuple[Item, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _items_fit(self) -> Design:
        for place, item in enumerate(self.items):
            if wrong := self._misfit(place, item):
                raise ValueError(f"item {place}: {wrong}; make the study again with `tastemaker study create`")
        return self

    def _misfit(self, place: int, item: Item) -> str:
        """Why ``item`` cannot stand at ``place``, or nothing."""
        if item.id != place:
            return f"has the id {item.id}"
        if item.kind != self.kind:
            return f"is of kind {item.kind}, the study of kind {self.kind}"
        if item.repeats is None:
            return ""
        if not 0 <= item.repeats < place - 1:
            return f"repeats item {item.repeats}, which does not stand two or more places before it"
        original = self.items[item.repeats]
        alike = (original.images, original.prompt) == (item.images, item.prompt) and original.measured
        return "" if alike else f"repeats item {item.repeats}, which is another task"

    @property
    def sha(self) -> str:
        """Hex SHA-256 of all of it; votes belong to a design with this key."""
        return files.sha256_text(self.model_dump_json())

    @property
    def checks(self) -> int:
        """Number of gold items and repetitions."""
        return sum(not item.measured for item in self.items)


def read(study: Path) -> Design:
    """The design of the folder ``study``; raises `UserError` naming the file and the field that is wrong."""
    return config.validate(Design, files.read_json(study / STUDY), study / STUDY)


def write(study: Path, design: Design) -> None:
    """Write ``STUDY/study.json`` once; the same design again changes nothing. Raises `UserError` for another one."""
    if (study / STUDY).exists():
        if read(study) != design:
            raise UserError(f"{study / STUDY}: another design stands here, and it is fixed; choose another folder")
        return
    files.write_json(study / STUDY, design.model_dump(mode="json"))
