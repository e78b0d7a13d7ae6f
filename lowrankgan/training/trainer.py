"""Adversarial training of a BigGAN (Brock et al., arXiv 1809.11096).

On a CPU it resumes bit for bit.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.files import replacing
from lowrankgan.generators.biggan import BigGAN
from lowrankgan.training.augmentation import augment
from lowrankgan.training.data import LabelledImages
from lowrankgan.training.discriminator import Discriminator
from lowrankgan.training.generator import calibrate, render, trainable_generator
from lowrankgan.training.settings import Settings

_CALIBRATION_BATCHES = 50
_BETAS = (0.0, 0.99)
_KEY = "settings"


class Trainer:
    """Hinge loss, one step of the discriminator, one of the generator, averaged weights.

    All that is drawn depends on the seed and the number of the step alone, so that a checkpoint
    needs no state of a random generator. On a GPU in bfloat16 where it loses nothing.

    Attributes:
        losses: of the discriminator and of the generator, one pair for each step that is done.
        averaged: the generator with exponentially averaged weights, what is kept in the end.
    """

    def __init__(self, settings: Settings, data: LabelledImages, device: torch.device) -> None:
        self.settings = settings
        self.losses: list[tuple[float, float]] = []
        self._data, self._device = data, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            generator = trainable_generator(settings, data.classes)
            discriminator = Discriminator(settings.discriminator, data.classes)
        self._generator, self._discriminator = generator.to(device), discriminator.to(device)
        self.averaged = copy.deepcopy(self._generator).requires_grad_(False)
        self._networks: dict[str, nn.Module] = {
            "generator": self._generator,
            "discriminator": self._discriminator,
            "averaged": self.averaged,
        }
        for network in self._networks.values():  # a sixth faster on a CPU
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rates = {
            "generator": settings.generator_rate,
            "discriminator": settings.discriminator_rate,
        }
        self._optimisers = {
            name: torch.optim.Adam(self._networks[name].parameters(), rate, _BETAS)
            for name, rate in rates.items()
        }

    @property
    def step(self) -> int:
        """Number of steps done."""
        return len(self.losses)

    def advance(self) -> None:
        """Do one step."""
        # torch takes the low 32 bits of a seed, so that of the settings is mixed into them.
        mixed = (self.settings.seed * 0x9E3779B1 + self.step + 1) % (1 << 32)
        random = torch.Generator().manual_seed(mixed)
        self.losses.append((self._discriminator_loss(random), self._generator_loss(random)))
        self._average()

    def calibrated(self) -> BigGAN:
        """The averaged generator ready to render, its statistics stored."""
        random = torch.Generator().manual_seed(self.settings.seed)
        batches = (self._latents(random) for _ in range(_CALIBRATION_BATCHES))
        generator = copy.deepcopy(self.averaged)
        calibrate(generator, batches)
        return generator

    def save(self, folder: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = json.dumps(asdict(self.settings))
        with replacing(folder / "state.safetensors") as temporary:
            save_file(dict(self._tensors()), temporary, {_KEY: settings})

    def resume(self, folder: Path) -> bool:
        """Go on from the checkpoint in a folder; False if there is none.

        Raises:
            LowRankGANError: it is broken, or of other settings.
        """
        path = folder / "state.safetensors"
        if not path.exists():
            return False
        try:
            with safe_open(path, framework="pt") as file:
                settings = json.loads(file.metadata()[_KEY])
                tensors = file.get_tensors()
            if settings | {"steps": self.settings.steps} != json.loads(
                json.dumps(asdict(self.settings))
            ):
                raise ValueError("it is of other settings")
            self._load(tensors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise LowRankGANError(f"{path}: cannot be resumed from ({error}); delete it") from error
        return True

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield "losses", torch.tensor(self.losses, dtype=torch.float64)
        for name, network in self._networks.items():
            for key, value in network.state_dict().items():
                yield f"{name}/{key}", value.cpu().contiguous()
        for name, optimiser in self._optimisers.items():
            for index, moments in optimiser.state_dict()["state"].items():
                for key, value in moments.items():
                    yield f"{name}_optimiser/{index}/{key}", value.cpu().contiguous()

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        self.losses = [(float(d), float(g)) for d, g in tensors["losses"].tolist()]
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = value
        for name, network in self._networks.items():
            network.load_state_dict(parts[name])
        for name, optimiser in self._optimisers.items():
            state: dict[int, dict[str, Tensor]] = defaultdict(dict)
            for key, value in parts[f"{name}_optimiser"].items():
                index, _, moment = key.partition("/")
                state[int(index)][moment] = value
            optimiser.load_state_dict(optimiser.state_dict() | {"state": dict(state)})

    def _discriminator_loss(self, random: torch.Generator) -> float:
        chosen = torch.randint(len(self._data.labels), (self.settings.batch,), generator=random)
        real, labels = self._data.batch(chosen, self._device)
        z, drawn = self._latents(random)
        with self._precision():
            with torch.no_grad():
                fake = render(self._generator, z, drawn)
            images = self._augment(torch.cat([real, fake]), random)
            scores = self._discriminator(images, torch.cat([labels, drawn]))
            on_real, on_fake = scores.chunk(2)
            loss = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
        return self._learn("discriminator", loss)

    def _generator_loss(self, random: torch.Generator) -> float:
        z, labels = self._latents(random)
        self._discriminator.requires_grad_(False)
        with self._precision():
            images = self._augment(render(self._generator, z, labels), random)
            loss = -self._discriminator(images, labels).mean()
        value = self._learn("generator", loss)
        self._discriminator.requires_grad_(True)
        return value

    def _learn(self, name: str, loss: Tensor) -> float:
        optimiser = self._optimisers[name]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        """Buffers, the vectors of spectral normalisation, are those of the latest weights."""
        decay = min(self.settings.ema, self.step / (self.step + 9))  # short at first
        weights = zip(self.averaged.parameters(), self._generator.parameters(), strict=True)
        for average, weight in weights:
            average.lerp_(weight, 1 - decay)
        buffers = zip(self.averaged.buffers(), self._generator.buffers(), strict=True)
        for kept, latest in buffers:
            kept.copy_(latest)

    def _latents(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        count = self.settings.batch
        z = torch.randn(count, self.settings.z_dim, generator=random)
        labels = torch.randint(self._data.classes, (count,), generator=random)
        return z.to(self._device), labels.to(self._device)

    def _augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        return augment(images, self.settings.translation, self.settings.cutout, random)

    def _precision(self) -> torch.autocast:
        kind = self._device.type
        return torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda")
