"""What a batch draws: functions of seed, pair and visit, whatever else is in it."""

from __future__ import annotations

import pytest
import torch

from support.keyed import PAIRS, SEED, SINGLES, FakeCache, batch_of, pair
from tastemaker.encode.cache import EMPTY
from tastemaker.method.method import Method
from tastemaker.train.batch import Batch, Side, draws


def test_draws_are_functions_of_seed_pair_and_visit_alone():
    when = Method().credit.when

    def drawn(pairs, visits, seed=SEED):
        t, eps = draws(batch_of(pairs, visits), when, 1000, seed)
        return list(zip(t.tolist(), eps, strict=True))

    def equal(one, other):
        return one[0] == other[0] and torch.equal(one[1], other[1])

    base = drawn(PAIRS, [0, 0, 0, 0])
    assert all(equal(one, other) for one, other in zip(base, drawn(PAIRS[::-1], [0] * 4)[::-1], strict=True))
    assert equal(base[2], drawn([PAIRS[2]], [0])[0])
    for changed in (drawn([PAIRS[2]], [1])[0], drawn([PAIRS[2]], [0], seed=8)[0], base[1]):
        assert changed[0] != base[2][0]
        assert not torch.equal(changed[1], base[2][1])


def test_times_are_uniform_over_the_schedule():
    pairs = [pair(number) for number in range(2000)]
    batch = Batch(
        [one.pair_id for one in pairs], [0] * 2000, Side(torch.zeros(2000, 1, 1, 1), torch.zeros(2000, 6)), None, {}
    )
    t, eps = draws(batch, Method().credit.when, 1000, SEED)
    counts = (t // 100).bincount(minlength=10)
    assert ((counts > 150) & (counts < 250)).all(), counts  # mean 200, standard deviation 13.4
    assert abs(float(eps.mean())) < 0.1
    assert abs(float(eps.std()) - 1) < 0.1


def test_latents_are_drawn_from_the_moments_with_noise_shared_inside_a_pair():
    moments = FakeCache()
    batch = batch_of(PAIRS)
    winner, loser = (moments.moments([getattr(one, side) for one in PAIRS]) for side in ("winner", "loser"))
    noise = (batch.winner.x0 - winner.mean) / winner.std
    torch.testing.assert_close(batch.loser.x0, loser.at(noise), rtol=1e-3, atol=1e-3)
    again, later = batch_of(PAIRS), batch_of(PAIRS, [1] * 4)
    assert torch.equal(again.winner.x0, batch.winner.x0)
    assert not torch.isclose(later.winner.x0, batch.winner.x0).all(1).any()
    assert torch.equal(batch_of([PAIRS[3]]).loser.x0[0], batch.loser.x0[3])


def test_captions_are_dropped_by_key_at_the_given_rate():
    pairs = [pair(number) for number in range(400)]
    empty = FakeCache().condition([EMPTY])["embeds"][0]

    def dropped(pairs, p):
        return [torch.equal(row, empty) for row in batch_of(pairs, drop_caption=p).condition["embeds"]]

    assert not any(dropped(pairs, 0.0))
    assert all(dropped(pairs, 1.0))
    tenth = dropped(pairs, 0.1)
    assert 20 <= sum(tenth) <= 60  # mean 40, standard deviation 6
    assert dropped(pairs[::-1], 0.1)[::-1] == tenth


def test_pairs_and_single_images_do_not_share_a_batch():
    with pytest.raises(AssertionError, match="pairs or single images"):
        batch_of([*PAIRS, *SINGLES])
