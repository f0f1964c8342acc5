"""Directions to search in when there is more than one picture to go by: examples, and judgements of what was found."""

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.core.types import Vectors

LIKE, UNLIKE = 0.75, 0.15
"""Weights of the two sides in ``rocchio``: the book's, which trusts what is wanted more than what is not."""

STRENGTH = 1.0
"""Of the prior in ``taught``: as much as one judgement."""

_SHORTEST = 1e-6


def rocchio(like: Vectors, unlike: Vectors | None = None) -> Vectors:
    """Where "more like these, less like those" points.

    q = normalise(0.75 * mean(like) - 0.15 * mean(unlike)), which is Rocchio's formula without a query beside the
    examples (J. J. Rocchio, Relevance feedback in information retrieval, in The SMART Retrieval System, 1971; C. D.
    Manning, P. Raghavan, H. Schütze, Introduction to Information Retrieval, 2008, equation 9.3 with alpha = 0). One
    example and nothing else gives the example.

    Args:
        like: [P, D] float, unit norm, P at least 1.
        unlike: [N, D] float, unit norm; None or N = 0 for none.

    Returns:
        [D] float32, unit norm.

    Raises:
        BadValue: the examples cancel each other out.
    """
    wanted = LIKE * np.asarray(like, np.float64).mean(0)
    if unlike is not None and len(unlike):
        wanted = wanted - UNLIKE * np.asarray(unlike, np.float64).mean(0)
    return _unit(wanted)


def taught(direction: Vectors, judged: Vectors, relevant: Vectors, strength: float = STRENGTH) -> Vectors:
    """A direction after judgements: a linear model of relevance that starts from the query and gives way to them.

    w minimises sum_i (y_i - w . x_i)^2 + strength * |w - q|^2, with y = 1 for relevant and 0 for not: ridge regression
    (A. E. Hoerl, R. W. Kennard, Technometrics 12, 1970) that shrinks towards the query instead of zero, which is the
    mean of Bayesian linear regression with that prior (C. M. Bishop, Pattern Recognition and Machine Learning, 2006,
    equation 3.50). Solved in its dual form, w = q + X' (X X' + strength I)^-1 (y - X q), a system of the size of the
    judgements. Where nothing is judged, w = q. Normalised, since only the order counts: ranking by cosine to it is
    ranking by the model.

    Args:
        direction: [D] float, unit norm: q.
        judged: [M, D] float, unit norm: X.
        relevant: [M] 1 or 0: y.
        strength: of the prior, above 0.

    Returns:
        [D] float32, unit norm.

    Raises:
        BadValue: nothing is left of the query.
    """
    prior, seen = np.asarray(direction, np.float64), np.asarray(judged, np.float64).reshape(-1, len(direction))
    if not len(seen):
        return _unit(prior)
    missed = np.asarray(relevant, np.float64) - seen @ prior
    weights = np.linalg.solve(seen @ seen.T + strength * np.eye(len(seen)), missed)
    return _unit(prior + seen.T @ weights)


def _unit(vector: np.ndarray) -> Vectors:
    length = float(np.linalg.norm(vector))
    if length < _SHORTEST:
        raise BadValue("These examples cancel each other out: nothing is left to search for.", "Take one of them away.")
    return np.asarray(vector / length, np.float32)
