"""Is there enough in a gallery to learn from, and which images would be held out to prove it?"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled
from retrieval.core.settings import Settings, load_settings
from retrieval.datasets.checks import count, require_measurable, require_usable
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, gallery_set, grouped

Lack = Literal["labels", "pairs", "more"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a training on the gallery's labels would have.

    Attributes:
        images: in the gallery.
        labelled: of these, with a label that one can learn from.
        classes: different labels among them.
        alone: labels with one image, which teach nothing.
        train, choose, prove: images in each part of the split that a training would take.
        prove_classes: labels in the part that proves.
        new_classes: labels in the part that proves none of which trains.
        train_pairs: labels with two images or more in the part that trains.
        choose_classes: labels in the part that chooses.
        choose_pairs: of these, labels with two images or more there.
        lack: what is missing: ``"labels"`` (fewer than two labels), ``"pairs"`` (no label has two images), ``"more"``
            (a part of the split would be empty or without pairs); None where a training can begin.
    """

    images: int
    labelled: int
    classes: int
    alone: int
    train: int = 0
    choose: int = 0
    prove: int = 0
    prove_classes: int = 0
    new_classes: int = 0
    lack: Lack | None = None
    train_pairs: int = 0
    choose_classes: int = 0
    choose_pairs: int = 0

    @property
    def can_study(self) -> bool:
        """Whether temperatures can be compared: two labels or more that train in pairs, and a pair beside another label
        in the part that chooses.
        """
        return self.lack is None and self.train_pairs > 1 and self.choose_classes > 1 and self.choose_pairs > 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def readiness(folder: Path, settings: Settings | None = None) -> Readiness:
    """What a training on the gallery would have to learn from; nothing is drawn that is kept, nothing decoded.

    Args:
        folder: the gallery's.
        settings: from the environment by default.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    settings = settings or load_settings()
    with Gallery(folder, settings) as gallery:
        gallery.live_space()
        images = gallery.catalog.images.count()
        try:
            found = gallery_set(gallery)
        except BadValue:
            label_of = gallery.catalog.labels.chosen()
            return Readiness(images, len(label_of), len(set(label_of.values())), 0, lack="labels")
        labelled = Labelled(grouped(gallery, found.labelled.images, found.ids), found.labelled.source)
    sizes = count(labelled)
    ready = Readiness(images, sizes.images, sizes.classes, sizes.singletons)
    try:
        require_usable(labelled)
    except BadValue:
        return _lacking(ready, "pairs")
    try:
        split = split_store(settings, GALLERY, folder).preview(labelled)
        require_measurable(labelled, split)
    except BadValue:
        return _lacking(ready, "more")
    proving, training = (set(labelled.numbers[part].tolist()) for part in (split.test, split.train))
    learns, chooses = (np.unique(labelled.numbers[part], return_counts=True)[1] for part in (split.train, split.val))
    return Readiness(
        images=images,
        labelled=sizes.images,
        classes=sizes.classes,
        alone=sizes.singletons,
        train=len(split.train),
        choose=len(split.val),
        prove=len(split.test),
        prove_classes=len(proving),
        new_classes=len(proving - training),
        train_pairs=int(np.count_nonzero(learns > 1)),
        choose_classes=len(chooses),
        choose_pairs=int(np.count_nonzero(chooses > 1)),
    )


def _lacking(ready: Readiness, lack: Lack) -> Readiness:
    return Readiness(ready.images, ready.labelled, ready.classes, ready.alone, lack=lack)
