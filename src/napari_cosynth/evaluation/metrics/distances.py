"""Distances between two sets of feature vectors: Fréchet's, and the unbiased kernel distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def frechet_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """|mean_a - mean_b|² + tr(A + B - 2 (A B)^½) of features (N, D), (M, D); NaN below two rows.

    Heusel et al. 2017; A and B are the covariances with N - 1 and M - 1 degrees of freedom. For centred
    features X and Y the trace of the root is the sum of the singular values of X Yᵀ over
    sqrt((N - 1)(M - 1)). This needs no root of a matrix and holds for covariances without full rank. The
    distance is biased: small samples lie farther apart, so compare at equal N and M.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(x), len(y)) < 2:
        return float("nan")
    means = x.mean(0), y.mean(0)
    # X Yᵀ and R_x R_yᵀ have the same singular values, and R has no more than D rows.
    rx, ry = (
        (np.linalg.qr(v, mode="r") if len(v) > v.shape[1] else v) / np.sqrt(len(v) - 1)
        for v in (x - means[0], y - means[1])
    )
    roots = np.linalg.svd(rx @ ry.T, compute_uv=False).sum()
    gap = ((means[0] - means[1]) ** 2).sum()
    return float(max(0.0, gap + (rx**2).sum() + (ry**2).sum() - 2 * roots))


def kernel_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The unbiased squared maximum mean discrepancy of features (N, D), (M, D); it can be below 0.

    Bińkowski et al. 2018: kernel (x·y / D + 1)³ over all pairs of different rows. NaN below two rows.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    n, m = len(x), len(y)
    if min(n, m) < 2:
        return float("nan")

    def kernel(u: Floats, v: Floats) -> Floats:
        return np.asarray((u @ v.T / u.shape[1] + 1) ** 3, np.float64)

    xx, yy = kernel(x, x), kernel(y, y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * kernel(x, y).mean())


def inception_score(logits: npt.ArrayLike) -> float:
    """The Inception score of logits (N, C): exp of the mean divergence of p(y|x) from p(y).

    Salimans et al. 2016. It is 1 if all predictions are alike, at most C, and NaN without a row. It is
    taken over the whole set, not as the mean over ten splits, because small splits are biased low.
    """
    z = np.asarray(logits, np.float64)
    if not len(z):
        return float("nan")
    z = z - z.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    p = np.exp(log_p)
    marginal = p.mean(0)
    log_marginal = np.log(np.where(marginal > 0, marginal, 1))
    return float(np.exp((p * (log_p - log_marginal)).sum(1).mean()))
