"""Confidence intervals by the bootstrap over faces."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

_RESAMPLED = 1 << 22  # values at a time


def bootstrap_interval(
    values: NDArray[np.floating[Any]],
    statistic: Callable[..., Any],
    seed: int,
    resamples: int,
    level: float,
) -> tuple[float, float]:
    """Percentile interval of a statistic, resampling faces with replacement.

    Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.

    Args:
        values: [N], one value a face, finite or NaN. Faces without a value (NaN) are left out.
        statistic: a reduction that takes `axis`, such as `numpy.median`.
        seed: of the resampling; the same seed gives the same interval.
        resamples: number of resamples, such as 2000.
        level: confidence level in (0, 1), such as 0.95.

    Returns:
        Lower and upper end; NaN both where fewer than two faces have a value.
    """
    values = values[~np.isnan(values)]
    if values.size < 2:
        return float("nan"), float("nan")
    interval = bootstrap(
        (values,),
        statistic,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _RESAMPLED // values.size),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
