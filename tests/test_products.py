"""Float32 products by oneDNN: the same numbers as torch's to rounding, and torch's own wherever they do not apply."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from xitt import products, search

needs = pytest.mark.skipif(products.by() != "oneDNN", reason="torch was built without oneDNN")


def pair(width: int, out: int, bias: bool = True) -> tuple[torch.nn.Linear, torch.nn.Linear]:
    torch.manual_seed(0)
    plain = torch.nn.Linear(width, out, bias=bias)
    products.install(ours := copy.deepcopy(plain))
    return plain, ours


@needs
@pytest.mark.parametrize(
    ("rows", "width", "out", "bias"), [(16, 96, 96, True), (801, 96, 288, True), (433, 384, 17, False)]
)
def test_a_layer_and_its_gradients(rows, width, out, bias):
    plain, ours = pair(width, out, bias)
    assert type(ours) is products.Linear
    exact = plain.double()
    torch.manual_seed(1)
    values, grad = torch.randn(1, rows, width, requires_grad=True), torch.randn(1, rows, out)
    expected = values.detach().double().requires_grad_()
    exact(expected).backward(grad.double())
    made = ours(values)
    made.backward(grad)
    got = [made, values.grad, *(p.grad for p in ours.parameters())]
    want = [exact(expected), expected.grad, *(p.grad for p in exact.parameters())]
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape
        assert (a.detach().double() - b.detach()).abs().max() < 5e-6 * b.detach().abs().max()
    with torch.no_grad():
        assert torch.equal(ours(values), made)


@needs
def test_only_what_is_asked_for_is_computed(monkeypatch):
    _, ours = pair(96, 32)
    calls, linear = [], products._linear
    monkeypatch.setattr(products, "_linear", lambda *x: calls.append(x) or linear(*x))
    ours(torch.randn(20, 96)).sum().backward()  # values without gradient, as after frozen embeddings
    assert len(calls) == 2
    ours.weight.requires_grad_(False)
    ours(torch.randn(20, 96, requires_grad=True)).sum().backward()
    assert len(calls) == 4


@pytest.mark.parametrize("case", ["half precision", "few rows", "no rows", "double", "switched off"])
def test_elsewhere_torch(case, monkeypatch):
    plain, ours = pair(96, 32)
    monkeypatch.setattr(products, "_linear", None)  # whoever calls it fails
    rows = {"few rows": products.LEAST - 1, "no rows": 0}.get(case, 64)
    values = torch.randn(rows, 96)
    if case == "double":
        plain, ours, values = plain.double(), ours.double(), values.double()
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=case == "half precision"),
        products.by_torch() if case == "switched off" else nullcontext(),
    ):
        assert torch.equal(ours(values), plain(values))


def test_install_leaves_everything_else():
    class Own(torch.nn.Linear):
        pass

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), Own(4, 4), torch.nn.LayerNorm(4))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    products.install(model)
    products.install(model)
    assert [type(m) for m in model] == [products.Linear, Own, torch.nn.LayerNorm]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@needs
def test_search_by_either(monkeypatch):
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal((n, 64)).astype(np.float32) for n in (700, 900))
    second[450] = second[3]  # equal vectors in one block: equal scores, the lower row first
    ours = search.both_ways(first, second, 4)
    monkeypatch.setattr(products, "_linear", None)
    with products.by_torch():
        plain = search.both_ways(first, second, 4)
    for a, b in zip(ours, plain, strict=True):
        assert (a.rows == b.rows).all()
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5, atol=1e-5)
    for row in ours[0].rows:
        if 450 in row:
            assert list(row).index(3) + 1 == list(row).index(450)
