"""Dropout by sixteen random bits a value: rates, scale, seeds and resumption are those of torch's own."""

from __future__ import annotations

import pytest
import torch

from xitt import dropout


@pytest.mark.parametrize("rate", [0.0001, 0.1, 0.25, 0.5, 0.9])
def test_the_share_that_stays_and_its_scale(rate):
    torch.manual_seed(0)
    stays, more = dropout.stays(400_003, rate)
    assert len(stays) == 400_003
    share = stays.double().mean().item()
    assert abs(share - (1 - rate)) < 4 * (rate * (1 - rate) / 400_003) ** 0.5 + 1 / 2**16
    assert more == pytest.approx(1 / (1 - rate), rel=1e-4)


def test_neighbours_are_drawn_independently():
    torch.manual_seed(1)
    stays, _ = dropout.stays(1_000_000, 0.5)
    signs = stays.float() * 2 - 1
    for step in (1, 2, 3, 4, 5, 8, 64):
        assert abs((signs[:-step] * signs[step:]).mean().item()) < 4e-3


def test_torch_s_seed_and_random_state_decide():
    torch.manual_seed(3)
    first, _ = dropout.stays(1000, 0.3)
    state = torch.get_rng_state()
    second, _ = dropout.stays(1000, 0.3)
    torch.manual_seed(3)
    assert torch.equal(dropout.stays(1000, 0.3)[0], first)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(dropout.stays(1000, 0.3)[0], second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_s_dropouts_are_replaced_in_place(dtype):
    model = torch.nn.Sequential(torch.nn.Dropout(0.25), torch.nn.Identity(), torch.nn.Dropout(0.0))
    dropout.install(model)
    values = torch.ones(200, 300, dtype=dtype, requires_grad=True)
    torch.manual_seed(0)
    out = model(values)
    assert out.dtype == dtype
    assert out.unique().tolist() == pytest.approx([0, 4 / 3], rel=1e-2)
    assert out.float().mean().item() == pytest.approx(1, abs=0.01)
    out.sum().backward()
    assert torch.equal(values.grad, out.detach())
    assert torch.equal(model.eval()(values), values)
    assert model[2].p == 0
    assert [type(m).__name__ for m in model] == ["Dropout", "Identity", "Dropout"]
