"""Links: how a pair or an image is judged. Costs of a batch in, one loss each out; no step, no model, no mean.

A link is a frozen model that says what it reads (``reference``, ``loser``) and whether it only adds costs up
(``linear``), and computes in ``__call__``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tastemaker.method.odds import Odds
from tastemaker.method.pairwise import Hinge, Logistic, Squared
from tastemaker.method.pointwise import Pointwise, Sft

Reads = Literal["required", "optional", "no"]
"""Whether a link reads a thing: always, when it is there, never."""

Link = Annotated[Logistic | Squared | Hinge | Odds | Pointwise | Sft, Field(discriminator="kind")]
