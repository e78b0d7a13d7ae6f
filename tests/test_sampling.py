import numpy as np
import pytest
import torch

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.images import contact_sheet, to_bytes, to_unit
from lowrankgan.sampling import sample_latents


def test_a_face_depends_on_its_seed_alone(dcgan: Generator) -> None:
    z, _ = sample_latents(dcgan, [3, 7], 1.0)
    alone, _ = sample_latents(dcgan, [7], 1.0)
    torch.testing.assert_close(z[1:], alone, rtol=0, atol=0)
    expected = np.random.RandomState(7).randn(100)
    np.testing.assert_allclose(alone[0].numpy(), expected, rtol=1e-6)


def test_truncation_is_applied_to_w(mobilestylegan: Generator) -> None:
    z, ws = sample_latents(mobilestylegan, [5], 0.5, cutoff=3)
    w = mobilestylegan.mapping(z)
    torch.testing.assert_close(
        ws[:, :3], mobilestylegan.broadcast((w + mobilestylegan.w_mean) / 2)[:, :3]
    )
    torch.testing.assert_close(ws[:, 3:], mobilestylegan.broadcast(w)[:, 3:], rtol=0, atol=0)


def test_a_label_without_classes_is_refused(dcgan: Generator) -> None:
    with pytest.raises(LowRankGANError, match=r"sample\.label: 3, expected none"):
        sample_latents(dcgan, [0], 1.0, label=3)


def test_images_are_clamped_and_rounded() -> None:
    images = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    np.testing.assert_array_equal(to_bytes(to_unit(images))[0, 0, :, 0], [0, 0, 128, 255, 255])


def test_contact_sheet_holds_every_face(tmp_path) -> None:
    from PIL import Image

    faces = [np.full((8, 8, 3), 20 * i, dtype=np.uint8) for i in range(8)]
    contact_sheet(faces, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (16, 48, 3)
    assert [sheet[4, 8 * i + 4, 0] for i in range(6)] == [20 * i for i in range(6)]
    assert sheet[12, 12, 0] == 140
