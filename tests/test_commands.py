"""The command `lowrankgan`, as a user types it."""

from pathlib import Path

import pytest

from lowrankgan.__main__ import main
from lowrankgan.generators.loading import load_generator
from tests.conftest import ROOT
from tests.references import CHECKPOINTS, arrays, close


def test_inspect_says_what_a_checkpoint_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(CHECKPOINTS / "nv_sg2ada_uncond_r32.pkl")]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["architecture"] == "stylegan2"
    assert (shown["resolution"], shown["w_dim"], shown["classes"]) == ("32", "64", "none")
    assert shown["layers"] == "8"
    assert shown["layer_resolutions"] == "[4, 8, 8, 16, 16, 32, 32, 32]"


def test_what_convert_wrote_renders_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a b.safetensors"
    source = CHECKPOINTS / "nv_sg2ada_uncond_r32_clamp2.pkl"
    assert main(["convert", str(source), str(out), "--option", "noise=none"]) == 0
    again = tmp_path / "again.safetensors"
    assert main(["convert", str(out), str(again)]) == 0
    assert out.read_bytes() == again.read_bytes()
    assert main(["inspect", str(out)]) == 0
    assert "stylegan2" in capsys.readouterr().out
    generator = load_generator(out)
    reference = arrays("nv_sg2ada_uncond_r32_clamp2.npz")
    assert close(generator.synthesis(reference["ws_psi1"]), reference["img_psi1_none"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "none.pkl"], "none.pkl: "),
        (["inspect", str(ROOT / "README.md")], "README.md: "),
        (["inspect", str(ROOT)], f"{ROOT}: "),
        (["convert", "{pkl}", "out.pkl"], "out.pkl: expected a name that ends in .safetensors"),
        (["convert", "{pkl}", "none/out.safetensors"], "cannot be written"),
        (["inspect", "{pkl}", "--option", "noise"], "--option noise: expected NAME=VALUE"),
        (["inspect", "{pkl}", "--option", "nose=1"], "generator.options.nose: unknown"),
        (["inspect", "{pkl}", "--option", "noise=loud"], "loud"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    pickled = str(CHECKPOINTS / "nv_sg2ada_uncond_r32.pkl")
    assert main([argument.format(pkl=pickled) for argument in arguments]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert not list(tmp_path.iterdir())
