"""Which images a run has learned from without their labels, by content."""

from retrieval.core.labelled import UNLABELLED, Labelled
from retrieval.core.types import Ids
from retrieval.workflows.run_folder import CONTENTS, LABELLED, RunFolder

_BYTES = 32
"""Of a content's SHA-256."""


def contents(labelled: Labelled) -> frozenset[bytes]:
    """Of some images, as far as they are known."""
    return frozenset(image.digest for image in labelled.images if image.digest)


def keep_contents(run: RunFolder, labelled: Labelled, *, labels: bool = False) -> None:
    """Write the contents of the images that a run learns from; with ``labels`` those whose labels it learns, too."""
    run.write_bytes(CONTENTS, b"".join(sorted(contents(labelled))))
    if labels:
        taught = frozenset(image.digest for image in labelled.images if image.digest and image.label != UNLABELLED)
        run.write_bytes(LABELLED, b"".join(sorted(taught)))


def contents_of(run: RunFolder, *, labels: bool = False) -> frozenset[bytes] | None:
    """What a run itself has learned from, not what the encoder that it began with had; None where it does not say, as
    one of an earlier version. With ``labels`` only what it has learned labels of."""
    try:
        kept = (run.folder / (LABELLED if labels else CONTENTS)).read_bytes()
    except OSError:
        return None
    return frozenset(kept[at : at + _BYTES] for at in range(0, len(kept), _BYTES))


def count_seen(labelled: Labelled, part: Ids, learned: frozenset[bytes]) -> int:
    """How many images of a part are among the contents that were learned from."""
    return sum(labelled.images[i].digest in learned for i in part.tolist())
