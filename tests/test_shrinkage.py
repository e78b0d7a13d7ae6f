"""Drawing Gram matrices of few images towards a prior, with a weight that carries over best."""

import numpy as np

from lowrankgan.arrays import Array
from lowrankgan.shrinkage import cross_validated_weight, shrink
from lowrankgan.subspace import rayleigh_optimum

D, RIDGE, WEIGHTS = 12, 0.05, (0.01, 0.5, 0.99)
TARGET = (np.eye(D), np.diag(np.arange(1.0, D + 1)))


def gram_of(generator: np.random.Generator, rows: int) -> Array:
    jacobian = generator.standard_normal((rows, D)) * np.arange(1, D + 1) ** -0.5
    return jacobian.T @ jacobian / rows


def images_of(rows: int, count: int = 4) -> list[tuple[Array, Array]]:
    seeded = np.random.default_rng(0)
    return [(gram_of(seeded, rows), gram_of(seeded, rows)) for _ in range(count)]


def test_shrinkage_goes_from_the_matrix_to_a_target_of_its_trace() -> None:
    ((gram, other),) = images_of(60, 1)
    np.testing.assert_array_equal(shrink(gram, other, 0.0), gram)
    target = shrink(gram, 7 * other, 1.0)
    np.testing.assert_allclose(target, other * np.trace(gram) / np.trace(other), atol=1e-15)
    np.testing.assert_allclose(shrink(gram, other, 0.3), 0.7 * gram + 0.3 * target, atol=1e-15)


def test_images_that_agree_need_no_prior() -> None:
    images = [(gram, other) for gram, other in images_of(60, 1) for _ in range(3)]
    assert cross_validated_weight(images, TARGET, WEIGHTS, RIDGE) == WEIGHTS[0]


def test_images_that_share_nothing_but_the_prior_follow_it() -> None:
    seeded = np.random.default_rng(0)
    axes = [np.linalg.qr(seeded.standard_normal((D, D)))[0] for _ in range(6)]
    noise = [20 * np.outer(axis[0], axis[0]) for axis in axes]  # each changes along its own
    images = [(np.diag(np.arange(D, 0.0, -1)), TARGET[1] + one) for one in noise]
    prior = (images[0][0], TARGET[1])
    assert cross_validated_weight(images, prior, WEIGHTS, RIDGE) == WEIGHTS[-1]


def test_it_is_the_least_leak_on_the_image_that_was_left_out() -> None:
    images, leaks = images_of(6), []
    for weight in WEIGHTS:
        found = []
        for i, (inside, outside) in enumerate(images):
            others = zip(*images[:i], *images[i + 1 :], strict=True)
            means = [np.mean(side, axis=0) for side in others]
            drawn = (shrink(gram, of, weight) for gram, of in zip(means, TARGET, strict=True))
            (v,) = rayleigh_optimum(*drawn, RIDGE, 1)
            found.append((v @ outside @ v) / (v @ inside @ v))
        leaks.append(np.exp(np.mean(np.log(found))))
    assert len(set(leaks)) == len(WEIGHTS)
    expected = WEIGHTS[int(np.argmin(leaks))]
    assert cross_validated_weight(images, TARGET, WEIGHTS, RIDGE) == expected
