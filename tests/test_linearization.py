"""Derivatives whose primal is done once; each generator's own are checked by `derivatives.py`."""

import copy
import logging
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lowrankgan.jacobian import Jacobian
from lowrankgan.linearization import Linearization, fast_tangents
from tests.test_mobilestylegan import small_mobilestylegan


@torch.no_grad()
def test_rounded_tangents_are_nearer_than_a_rounded_generator() -> None:
    seeded = torch.Generator().manual_seed(0)
    ws = torch.randn(8, 8, generator=seeded, dtype=torch.float64)

    def columns(dtype: torch.dtype, tangents: torch.dtype) -> Tensor:
        generator = small_mobilestylegan().to(dtype)
        return Jacobian(generator, ws.to(dtype), range(8), 16, tangents=tangents)[:].double()

    exact = columns(torch.float64, torch.float64)
    rounded = (columns(torch.float64, torch.bfloat16) - exact).norm() / exact.norm()
    generator = (columns(torch.bfloat16, torch.bfloat16) - exact).norm() / exact.norm()
    assert 1e-4 < rounded < 0.01
    assert generator > 2 * rounded


@torch.no_grad()
def test_rounding_leaves_the_generator_as_it_is() -> None:
    generator = small_mobilestylegan()
    before = copy.deepcopy(generator.state_dict())
    ws = torch.randn(8, 8, dtype=torch.float64)
    Jacobian(generator, ws, range(8), 16, tangents=torch.bfloat16)[:]
    for name, value in generator.state_dict().items():
        assert value.dtype == torch.float64 and torch.equal(value, before[name])


def test_what_rounding_loses_is_not_rounded(caplog: pytest.LogCaptureFixture) -> None:
    w = torch.randn(4, dtype=torch.float64)

    def image(latent: Tensor, offset: Tensor) -> Tensor:
        v = latent + offset
        return (v.sin() * 1e4 + v.cos()) - v.sin() * 1e4

    with torch.no_grad(), caplog.at_level(logging.WARNING):
        derivative = Linearization(image, w.shape).at(w, torch.bfloat16)
        found = derivative(torch.ones(1, 4, dtype=w.dtype))
    assert derivative.dtype == found.dtype == torch.float64
    torch.testing.assert_close(found[0], -w.sin())
    assert "off, taking torch.float64" in caplog.text


@torch.no_grad()
def test_latents_share_one_trace() -> None:
    seen = []

    def image(latent: Tensor, offset: Tensor) -> Tensor:
        seen.append(latent)
        return (latent + offset).sin() * latent[0]

    linearization = Linearization(image, [4])
    tangents = torch.randn(3, 4, dtype=torch.float64)
    for count, latent in enumerate(torch.randn(3, 4, dtype=torch.float64), start=1):
        derivative = linearization.at(latent)
        assert derivative.shape == (4,)
        torch.testing.assert_close(derivative(tangents), tangents * latent.cos() * latent[0])
        assert len(seen) == 1 + count  # traced at the first, then compared with jvp at each


@torch.no_grad()
def test_a_broadcast_leaves_no_copy() -> None:
    noise = torch.randn(1, 5)
    linearization = Linearization(lambda w, v: (w + v + noise) * 2, [3, 1])
    derivative, called = linearization.at(torch.randn(3, 1)), set()

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            called.add(func)
            return func(*args, **(kwargs or {}))

    tangents = torch.randn(2, 3, 1)
    with Calls():
        found = derivative(tangents)
    assert torch.ops.aten.mul.Tensor in called
    assert torch.ops.aten._to_copy.default not in called
    torch.testing.assert_close(found, (2 * tangents).expand(2, 3, 5))


@pytest.mark.parametrize(
    ("can", "expected"),
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_fast_is_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, can: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert fast_tangents(torch.zeros(1)) == expected
    assert fast_tangents(torch.zeros(1, dtype=torch.float64)) == torch.float64
