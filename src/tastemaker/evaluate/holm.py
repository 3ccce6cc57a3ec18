"""Several tests at once: p-values that still mean what they say when the smallest of them is looked at."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values of m tests, in the order given (Holm 1979, Scand. J. Statist. 6, 65-70).

    p̃_(i) = max_{j ≤ i} min(1, (m − j + 1) · p_(j)) for p_(1) ≤ … ≤ p_(m). To reject where p̃ ≤ α is the step-down
    rule: go up the sorted p-values while p_(j) ≤ α / (m − j + 1). The chance of any false rejection is at most α,
    however the tests depend on each other. `ValueError` for a number that is no probability.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p-values must lie between 0 and 1")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
