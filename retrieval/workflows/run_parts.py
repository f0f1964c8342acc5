"""Which images of a gallery a training run has learned from, and which it has chosen or proven by.

A run keeps the contents (SHA-256) of its images, so that copies and files that have moved are known again; a run of an
older version kept paths only.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrieval.catalog import TrainedRun
from retrieval.core.errors import RetrievalError
from retrieval.core.labelled import Labelled, Split
from retrieval.core.text import path_text, shown
from retrieval.core.types import Ids
from retrieval.workflows.encoder_runs import recorded_run
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labels import image_ids
from retrieval.workflows.live_index import Say
from retrieval.workflows.run_folder import WITHOUT_LABELS, RunFolder
from retrieval.workflows.seen_contents import contents_of

FILE = "split.json"
PARTS = ("train", "val", "test")
_DIGESTS = "digests"


def split_document(labelled: Labelled, split: Split) -> dict[str, Any]:
    """JSON-ready: the paths of each part, and their contents under ``digests``, None where they are not known."""
    parts: dict[str, list[str]] = {}
    digests: dict[str, list[str | None]] = {}
    for part in PARTS:
        images = [labelled.images[i] for i in getattr(split, part).tolist()]
        parts[part] = [path_text(image.path) for image in images]
        digests[part] = [None if image.digest is None else image.digest.hex() for image in images]
    return {"kind": split.kind, "seed": split.seed, **parts, _DIGESTS: digests}


def part_ids(gallery: Gallery, run: RunFolder, part: str) -> Ids:
    """[n] ids, ascending, of the images of a gallery that a run had in a part; none where the run does not say."""
    try:
        found = run.read(FILE)
        paths = [str(path) for path in found[part]]
        digests = _digests(found.get(_DIGESTS), part, len(paths))
    except (RetrievalError, AttributeError, KeyError, TypeError, ValueError):
        return np.empty(0, np.int64)
    by_content = gallery.catalog.images.by_digests([digest for digest in digests if digest is not None])
    asked = [os.fsencode(path) for path, digest in zip(paths, digests, strict=True) if digest is None]
    ids = {*by_content.values(), *image_ids(gallery.catalog, asked).values()}
    return np.array(sorted(ids), np.int64)


def _digests(said: object, part: str, number: int) -> Sequence[bytes | None]:
    of_part = said.get(part) if isinstance(said, Mapping) else None
    if of_part is None:
        return [None] * number
    digests = [None if digest is None else bytes.fromhex(digest) for digest in of_part]
    if len(digests) != number:
        raise ValueError("Paths and contents do not fit.")
    return digests


def learned_from(gallery: Gallery, fingerprint: str, say: Say = lambda _: None) -> Ids:
    """[n] ids, ascending, of the images of a gallery whose labels have trained an encoder.

    Those of the run that made it, of the runs that made the encoder which that one began with and the one that taught
    it, and so on. Runs without labels do not count: they have not learned which images belong together by label.

    Args:
        gallery: opened; it knows the runs whose encoders it has switched to.
        fingerprint: of the encoder.
        say: told where a run is known, but not what it has learned from.
    """
    found = [np.empty(0, np.int64)]
    seen: set[str] = set()
    pending = [fingerprint]
    while pending:
        one = pending.pop()
        known = [] if one in seen else gallery.catalog.runs.all(one)
        seen.add(one)
        if known:
            found.append(_own_lessons(gallery, known[-1], recorded_run(gallery, one), say))
            pending += taught_by(known[-1].recipe, known[-1].metrics)
    return np.unique(np.concatenate(found))


def taught_by(recipe: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Fingerprints of the encoders that a run began with and learned from, as its documents say."""
    said = [document.get(role) for role in ("start", "teacher") for document in (recipe, metrics)]
    return list(
        dict.fromkeys(str(one["fingerprint"]) for one in said if isinstance(one, Mapping) and "fingerprint" in one)
    )


def learns_labels(recipe: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    """Whether a run has learned from labels, as its documents say: one "without labels" may have a term that does."""
    if metrics.get("kind") != WITHOUT_LABELS:
        return True
    measured, values = metrics.get("labelled"), recipe.get("recipe")
    options = values.get("options") if isinstance(values, Mapping) else None
    supervised = isinstance(options, Mapping) and bool(options.get("supervised"))
    return supervised or (isinstance(measured, Mapping) and bool(measured.get("learned")))


def _own_lessons(gallery: Gallery, known: TrainedRun, run: RunFolder | None, say: Say) -> Ids:
    """The images whose labels a run itself has learned from."""
    if not learns_labels(known.recipe, known.metrics):
        return np.empty(0, np.int64)
    if run is not None and (run.folder / FILE).exists():
        return part_ids(gallery, run, "train")
    contents = None if run is None else contents_of(run, labels=True)
    if contents is None:
        folder = shown(os.fsdecode(known.folder)) if run is None else shown(str(run.folder))
        say(f"Which images have trained the encoder is not known: the run {folder} does not say it any more.")
        return np.empty(0, np.int64)
    return np.array(sorted(gallery.catalog.images.by_digests(sorted(contents)).values()), np.int64)
