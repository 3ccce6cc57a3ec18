"""What is reproduced: tables of arms with the published figures beside them, and claims about two arms."""

from __future__ import annotations

from dataclasses import dataclass

from tastemaker.reproduce.arm import Arm


@dataclass(frozen=True)
class Row:
    """A line of a table: ``published`` are the paper's figures under ``Table.metrics``, empty where it has none."""

    label: str
    arm: Arm | None
    """None is the base."""
    against: Arm | None = None
    """With whom the difference is taken."""
    published: tuple[float, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper: ``better`` lies above ``worse`` (None: the base)."""

    says: str
    better: Arm | None
    worse: Arm | None


@dataclass(frozen=True)
class Table:
    """A table of a paper; ``key`` is what `--only` takes."""

    key: str
    title: str
    model: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    metrics: tuple[str, ...] = ()
    """Names of the published columns."""

    @property
    def arms(self) -> list[Arm]:
        """Every arm that it needs, each once."""
        named = [row.arm for row in self.rows] + [row.against for row in self.rows]
        named += [arm for claim in self.claims for arm in (claim.better, claim.worse)]
        return list(dict.fromkeys(arm for arm in named if arm is not None))


@dataclass(frozen=True)
class Curve:
    """A figure of a metric against samples used: two arms that read their pairs once."""

    key: str
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]
