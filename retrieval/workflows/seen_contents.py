"""Which images a run has learned from without their labels, by content."""

from retrieval.core.labelled import Labelled
from retrieval.core.types import Ids
from retrieval.workflows.run_folder import CONTENTS, RunFolder

_BYTES = 32
"""Of a content's SHA-256."""


def keep_contents(run: RunFolder, labelled: Labelled) -> None:
    """Write the contents of the images that a run learns from; those that are not known are left out."""
    run.write_bytes(CONTENTS, b"".join(sorted({image.digest for image in labelled.images if image.digest})))


def contents_of(run: RunFolder) -> frozenset[bytes] | None:
    """The contents that a run has learned from; None where it does not say, as one of an earlier version."""
    try:
        kept = (run.folder / CONTENTS).read_bytes()
    except OSError:
        return None
    return frozenset(kept[at : at + _BYTES] for at in range(0, len(kept), _BYTES))


def count_seen(labelled: Labelled, part: Ids, contents: frozenset[bytes]) -> int:
    """How many images of a part are among ``contents``."""
    return sum(labelled.images[i].digest in contents for i in part.tolist())
