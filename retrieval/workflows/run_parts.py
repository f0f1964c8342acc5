"""Which images of a gallery a training run has learned from, and which it has chosen or proven by.

A run keeps the contents (SHA-256) of its images, so that copies and files that have moved are known again; a run of an
older version kept paths only.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrieval.core.errors import RetrievalError
from retrieval.core.labelled import Labelled, Split
from retrieval.core.text import path_text, shown
from retrieval.core.types import Ids
from retrieval.workflows.encoder_runs import recorded_run
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labels import image_ids
from retrieval.workflows.live_index import Say
from retrieval.workflows.run_folder import WITHOUT_LABELS, RunFolder

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
    """[n] ids, ascending, of the images of a gallery that have trained an encoder.

    Those of the run that made it, of the run that made the encoder which that one began with, and so on. Runs without
    labels do not count: they have not learned which images belong together by label.

    Args:
        gallery: opened; it knows the runs whose encoders it has switched to.
        fingerprint: of the encoder.
        say: told where a run is known, but not what it has learned from.
    """
    found = [np.empty(0, np.int64)]
    seen: set[str] = set()
    while fingerprint not in seen:
        seen.add(fingerprint)
        known = gallery.catalog.runs.all(fingerprint)
        run = recorded_run(gallery, fingerprint)
        labelled = bool(known) and known[-1].metrics.get("kind") != WITHOUT_LABELS
        if labelled and (run is None or not (run.folder / FILE).exists()):
            folder = shown(os.fsdecode(known[-1].folder)) if run is None else shown(str(run.folder))
            say(f"Which images have trained the encoder is not known: the run {folder} does not say it any more.")
        if run is not None:
            found.append(part_ids(gallery, run, "train"))
        start = known[-1].metrics.get("start") if known else None
        fingerprint = str(start.get("fingerprint")) if isinstance(start, Mapping) else fingerprint
    return np.unique(np.concatenate(found))
