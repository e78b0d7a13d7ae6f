"""The command `lowrankgan`: looks at checkpoints, exports them, and verifies results."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowrankgan.errors import LowRankGANError
from lowrankgan.manifest import verify
from lowrankgan.memory import shortage_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 on a user's error, which is one line."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.command(chosen)
    except LowRankGANError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        print(f"error: {shortage_line(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lowrankgan", description=__doc__)
    commands = parser.add_subparsers(required=True)
    inspect = commands.add_parser("inspect", help="say what a checkpoint holds")
    inspect.set_defaults(command=_inspect)
    convert = commands.add_parser("convert", help="export a checkpoint as safetensors")
    convert.set_defaults(command=_convert)
    check = commands.add_parser("verify", help="check results against their manifests")
    check.set_defaults(command=_verify)
    check.add_argument("results", type=Path, help="the folder of results, or one experiment's")
    for command in (inspect, convert):
        command.add_argument("file", type=Path, help="a file, or a Hugging Face folder")
        command.add_argument(
            "--option",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="what the file cannot tell, such as noise=none; may be given more than once",
        )
    convert.add_argument("out", type=Path, help="the safetensors file to write")
    return parser


def _inspect(chosen: argparse.Namespace) -> None:
    checkpoint, generator = _read(chosen)
    rows = {
        "format": checkpoint.format,
        "architecture": checkpoint.architecture,
        "resolution": generator.resolution,
        "z_dim": generator.z_dim,
        "w_dim": generator.w_dim,
        "classes": generator.num_classes or "none",
        "parameters": f"{sum(value.numel() for value in checkpoint.state.values()):,}",
        "layers": generator.num_layers,
        "layer_resolutions": list(generator.layer_resolutions),
    }
    rows |= {f"option {key}": _shortened(value) for key, value in checkpoint.settings.items()}
    for key, value in rows.items():
        print(f"{key:<22} {value}")
    for sentence in checkpoint.assumed or ("nothing",):
        print(f"{'assumed':<22} {sentence}")


def _convert(chosen: argparse.Namespace) -> None:
    from lowrankgan.generators.checkpoint import save_checkpoint

    if chosen.out.suffix != ".safetensors":
        raise LowRankGANError(f"{chosen.out}: expected a name that ends in .safetensors")
    checkpoint, _ = _read(chosen)
    save_checkpoint(checkpoint, chosen.out)
    print(f"{chosen.out}: {checkpoint.architecture} from {checkpoint.format}")


def _verify(chosen: argparse.Namespace) -> None:
    code = Path(__file__).resolve().parent.parent
    problems, changed, files = verify(chosen.results, code)
    for line in (*problems, *(f"note: {line}" for line in changed)):
        print(line)
    if problems:
        raise LowRankGANError(f"{chosen.results}: {len(problems)} of {files} files do not hold")
    print(f"{chosen.results}: {files} files are what their manifests say")


def _read(chosen: argparse.Namespace) -> tuple[Any, Any]:
    """The checkpoint and its generator; torch is imported here, so that --help is quick."""
    from lowrankgan.generators.loading import build_generator
    from lowrankgan.generators.reading import read_checkpoint

    checkpoint = read_checkpoint(chosen.file, _options(chosen.option))
    return checkpoint, build_generator(checkpoint)


def _options(pairs: Sequence[str]) -> Mapping[str, Any]:
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise LowRankGANError(f"--option {pair}: expected NAME=VALUE")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    sys.exit(main())
