"""The proof: what two encoders find for labelled images that neither has learned from."""

from dataclasses import dataclass

import numpy as np

from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.labelled import Labelled, Split
from retrieval.core.types import Ids, Vectors
from retrieval.evaluation.calibrate import Measured, calibrate, confirm
from retrieval.evaluation.comparison import Comparison, compare
from retrieval.evaluation.retrieval import MAP_AT_R, RetrievalResult, retrieve
from retrieval.evaluation.vectors import LabelledVectors


@dataclass(frozen=True)
class Proof:
    """Start against result on the test part of a split.

    Attributes:
        comparison: of the two, query by query; ids are places in the dataset.
        calibration: of the result's scores, fitted on the validation part; None where that is too small.
        confirmed: the same calibration, measured on the test part.
        way: how the queries searched, in words.
    """

    comparison: Comparison
    calibration: Measured | None
    confirmed: Measured | None
    way: str


def search_part(labelled: Labelled, vectors: Vectors, split: Split, part: Ids) -> RetrievalResult:
    """Search with the images of one part.

    Where they are of classes that train, they search among the training images, as photos of known things do.
    Otherwise they search each other, leave one out, as photos of things never seen do.

    Args:
        labelled: the dataset.
        vectors: [N, D] of all its images.
        split: says which images train.
        part: [n] ids of the queries.

    Raises:
        BadValue: the part holds no query with an image of its label.
    """
    numbers = labelled.numbers
    if not len(part):
        raise BadValue("There is no image to search with in this part of the split.", "Label more images.")
    queries = LabelledVectors(vectors[part], numbers[part], part)
    base = split.train if shares_classes(labelled, split, part) else part
    try:
        return retrieve(vectors[base], numbers[base], base, queries, seed=split.seed)
    except RetrievalError as error:
        raise BadValue(error.message, error.hint) from error


def shares_classes(labelled: Labelled, split: Split, part: Ids) -> bool:
    """Whether images of a part are of classes that train."""
    return bool(np.isin(labelled.numbers[part], labelled.numbers[split.train]).any())


def prove(labelled: Labelled, before: Vectors, after: Vectors, split: Split) -> Proof:
    """Compare two encoders on the test part, which is opened here and nowhere else.

    Args:
        labelled: the dataset.
        before, after: [N, D] embeddings of all its images by the start encoder and by the trained one.
        split: with the test part.
    """
    results = [search_part(labelled, vectors, split, split.test) for vectors in (before, after)]
    calibration = _calibrate(labelled, after, split)
    confirmed = None if calibration is None else confirm(calibration.calibration, results[1], seed=split.seed)
    shared = shares_classes(labelled, split, split.test)
    way = f"among {len(split.train):,} training images" if shared else "among each other, leave one out"
    return Proof(compare(results[0], results[1], seed=split.seed), calibration, confirmed, way)


def validation_score(labelled: Labelled, vectors: Vectors, split: Split) -> float:
    """MAP@R of the validation part: by what epochs, rates and blends are chosen."""
    found = retrieve_quietly(labelled, vectors, split)
    return float(np.nanmean(found.values[MAP_AT_R]))


def retrieve_quietly(labelled: Labelled, vectors: Vectors, split: Split) -> RetrievalResult:
    """``search_part`` of the validation part without intervals, which cost more than the search."""
    numbers, part = labelled.numbers, split.val
    base = split.train if shares_classes(labelled, split, part) else part
    queries = LabelledVectors(vectors[part], numbers[part], part)
    return retrieve(vectors[base], numbers[base], base, queries, resamples=1)


def _calibrate(labelled: Labelled, vectors: Vectors, split: Split) -> Measured | None:
    try:
        return calibrate(search_part(labelled, vectors, split, split.val), seed=split.seed)
    except RetrievalError:
        # Too few validation images of too few labels: the encoder may be good all the same.
        return None
