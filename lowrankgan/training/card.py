"""The model card: what was trained on what, how, and how good it became."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

_TEXT = """\
# {name}

A class-conditional BigGAN of {resolution} px that this project trained itself. Everything below,
numbers included, is written by `make train` (`scripts/card.py`).

![samples]({name}_samples.png)

One column a class, {classes}; not selected, truncation 1.

- **Data:** {description}; {images:,} images to train on.
- **Recipe:** {steps} steps of {batch} images, one step of the discriminator for each of the
  generator; hinge loss, Adam at {generator_rate:g} (generator) and
  {discriminator_rate:g} (discriminator); spectral normalisation in both, projection
  discriminator, average of the generator's weights with decay {ema:g}; images shifted by up to
  {shift} px and a square of {square} px blanked (differentiable augmentation). Statistics of the
  norms were computed anew for the averaged weights.
- **Size:** {parameters:,} numbers, {size:,} bytes; z of {z_dim} in chunks of {chunk}, one
  for each of {layers} layers; class embedding of {embedding}; channels {channels} from 4 px up.
- **Seed:** {seed}; {versions}.
- **Weights:** MIT, as this project; SHA-256 `{sha256}`.

## Quality

{count:,} samples of balanced classes at truncation 1, judged by a small classifier of the real
labels. The Frechet distance is in the classifier's 64 features: it is **not** the FID of
InceptionV3, and only compares within this table.

{summary}

{per_class}

![curves]({name}_curves.png)

## Limits

Trained to show the method on a generator that anyone can run, not to be the best one of this data
set. {limits}
"""


def model_card(values: Mapping[str, Any], summary: pd.DataFrame, per_class: pd.DataFrame) -> str:
    """The card as Markdown.

    Args:
        values: what the text names.
        summary: one row a set of images.
        per_class: one row a class.
    """
    tables = {
        "summary": summary.to_markdown(index=False, floatfmt=".3g"),
        "per_class": per_class.to_markdown(index=False, floatfmt=".3g"),
    }
    return _TEXT.format_map(dict(values) | tables)
