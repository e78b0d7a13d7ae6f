"""What a state dict in a file may hold."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.formats.state_dict import not_averaged, positive, take, unwrapped
from lowrankgan.generators.reading import read_checkpoint
from tests.references import CHECKPOINTS


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3, 0), r"w has the shape \[3, 0\], expected any x any"),
        (torch.zeros(3), r"w has the shape \[3\], expected any x any"),
        (torch.zeros(3, 2, dtype=torch.complex64), "w holds torch.complex64, expected real"),
        ([[1.0]], "w is missing, expected a tensor"),
    ],
)
def test_what_is_no_weight_is_refused(value: Any, message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        take({"w": value}, "w", -1, -1)


@pytest.mark.parametrize(
    ("file", "average", "training"),
    [
        ("rosinality_uncond_r32.pt", "g_ema", "g"),
        ("genforce_ada_cond_r16.pth", "generator_smooth", "generator"),
        ("progan_fading.pth", "generator_smooth", "generator"),
    ],
)
def test_weights_in_training_are_not_taken_for_their_average_in_silence(
    file: str, average: str, training: str, tmp_path: Path
) -> None:
    content = torch.load(CHECKPOINTS / file, weights_only=True)
    weights = content.get(average, content.get(training))
    sentence = f"the file has no {average}, the average of the weights; {training} is taken"

    def assumed(**networks: dict[str, Tensor]) -> tuple[str, ...]:
        rest = {key: value for key, value in content.items() if key not in (average, training)}
        torch.save({**rest, **networks}, tmp_path / "model.pth")
        return read_checkpoint(tmp_path / "model.pth", {}).assumed

    assert sentence in assumed(**{training: weights})
    assert sentence not in assumed(**{training: weights, average: weights})


def test_an_average_is_found_in_any_wrapper_and_its_lack_is_said_there() -> None:
    average, training = {"w": 1}, {"w": 2}
    for content in (
        {"state_dict": {"g": training, "g_ema": average}},
        {"state_dict": training, "g_ema": average},
        {"models": {"generator": training, "generator_smooth": {"module.w": 1}}},
    ):
        assert unwrapped(content) == average
        assert not not_averaged(content)
    for content in ({"state_dict": {"g": training}}, {"state": {"state_dict": {"g": training}}}):
        assert unwrapped(content) == training
        assert not_averaged(content) == (
            "the file has no g_ema, the average of the weights; g is taken",
        )
    circle: dict[str, Any] = {}
    circle["state"] = circle
    assert unwrapped(circle)


@pytest.mark.parametrize(
    "value", [10**400, -(10**5000), True, "1", 0, math.nan], ids=lambda value: type(value).__name__
)
def test_what_is_no_positive_number_is_refused_in_a_few_words(value: Any) -> None:
    with pytest.raises(LowRankGANError, match=r"eps is .*expected a positive number") as caught:
        positive("eps", value)
    assert len(str(caught.value)) < 80


def test_a_pickle_of_nvlabs_without_an_average_says_so() -> None:
    found = read_checkpoint(CHECKPOINTS / "nv_sg2_orig_cond_r16.pkl", {}).assumed
    assert "the file has no G_ema, the average of the weights; G is taken" in found
    assert not read_checkpoint(CHECKPOINTS / "nv_sg2ada_uncond_r32.pkl", {}).assumed
