"""The noise schedule: numbers by hand, diffusers' own schedulers, limits."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler, FlowMatchEulerDiscreteScheduler, PNDMScheduler

from tastemaker.base.errors import UserError
from tastemaker.process.schedule import from_scheduler, rectified_flow, variance_preserving

SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def test_levels_and_noise_by_hand():
    """ᾱ = 0.64 gives α = 0.8, σ = 0.6: x_t = 0.8·2 + 0.6·(−1) = 1, SNR = 0.64 / 0.36."""
    schedule = variance_preserving(torch.tensor([1.0, 0.64, 0.0]))
    alpha, sigma = schedule.levels(torch.tensor([1, 0, 2]))
    assert alpha.dtype == sigma.dtype == torch.float32
    torch.testing.assert_close(alpha, torch.tensor([0.8, 1.0, 0.0]))
    torch.testing.assert_close(sigma, torch.tensor([0.6, 0.0, 1.0]))
    x0, eps = torch.full((1, 4, 2, 2), 2.0), torch.full((1, 4, 2, 2), -1.0)
    torch.testing.assert_close(schedule.noised(x0, eps, torch.tensor([1])), torch.ones(1, 4, 2, 2))
    torch.testing.assert_close(
        schedule.snr(torch.tensor([1, 2])), torch.tensor([0.64 / 0.36, 0.0], dtype=torch.float64)
    )
    assert schedule.steps == 3


def test_each_row_has_its_own_level():
    schedule = variance_preserving(torch.tensor([1.0, 0.0]))
    x0, eps = torch.ones(2, 4, 2, 2), torch.full((2, 4, 2, 2), 7.0)
    x_t = schedule.noised(x0, eps, torch.tensor([0, 1]))
    assert torch.equal(x_t[0], x0[0])
    assert torch.equal(x_t[1], eps[1])


def test_sd15_agrees_with_diffusers_add_noise():
    scheduler = PNDMScheduler(**SD15)
    schedule = from_scheduler(scheduler)
    x0, eps, t = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 355, 999])
    torch.testing.assert_close(schedule.noised(x0, eps, t), scheduler.add_noise(x0, eps, t))


def test_sd15_signal_to_noise_of_the_methods_table():
    """(1−ᾱ)/ᾱ is 8.5e-4 at t = 0, 1 near t = 355 and 2.1e2 at t = 999."""
    inverse = 1 / from_scheduler(PNDMScheduler(**SD15)).snr(torch.tensor([0, 355, 999]))
    torch.testing.assert_close(inverse, torch.tensor([8.5e-4, 1.0, 2.1e2], dtype=torch.float64), rtol=0.03, atol=0)


def test_zero_terminal_signal_is_kept():
    schedule = from_scheduler(DDIMScheduler(**SD15, rescale_betas_zero_snr=True))
    alpha, sigma = schedule.levels(torch.tensor([999]))
    assert alpha.item() == 0
    assert sigma.item() == 1


def test_rectified_flow_by_hand():
    """s = 0.25: x = 0.75·2 + 0.25·(−1) = 1.25, SNR = (0.75 / 0.25)² = 9."""
    schedule = rectified_flow(torch.tensor([0.25, 1.0]))
    x0, eps = torch.full((1, 4, 2, 2), 2.0), torch.full((1, 4, 2, 2), -1.0)
    torch.testing.assert_close(schedule.noised(x0, eps, torch.tensor([0])), torch.full((1, 4, 2, 2), 1.25))
    assert schedule.snr(torch.tensor([0, 1])).tolist() == [9.0, 0.0]


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_flow_schedule_has_the_schedulers_own_levels(shift):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    _, sigma = from_scheduler(scheduler).levels(torch.arange(1000))
    torch.testing.assert_close(sigma, scheduler.sigmas.flip(0))


def test_a_shift_by_image_size_does_not_enter_training():
    schedule = from_scheduler(FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True))
    assert schedule.sigma[[0, 499, 999]].tolist() == [0.001, 0.5, 1.0]


def test_another_kind_of_scheduler_is_refused():
    with pytest.raises(UserError, match="EDMEulerScheduler: no noise schedule is known"):
        from_scheduler(EDMEulerScheduler())
