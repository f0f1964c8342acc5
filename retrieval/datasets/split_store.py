"""A split is made once, stored, and never redrawn: new images join it, known ones never change sides.

One JSON document holds a split of each kind that was asked for. An image is known by its content, and by its path where
the content is not known or has changed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from retrieval.core.errors import BadValue, GalleryDamaged
from retrieval.core.files import write_atomically
from retrieval.core.labelled import Labelled, LabelledImage, Split
from retrieval.core.text import shown
from retrieval.datasets.leaks import from_sides, sides_of, without_leaks
from retrieval.datasets.parts import SIDES, TRAIN, VAL
from retrieval.datasets.sides import (
    CLASS_DISJOINT,
    GIVEN,
    KINDS,
    class_sides,
    disjoint_by,
    given_sides,
    grouped_sides,
    natural_kind,
)

FORMAT = 1


@dataclass(slots=True)
class _Stored:
    """One split in the file.

    Attributes:
        seed: with which it was first drawn; it stays.
        images: side by ``sha256:…`` and ``path:…``.
        classes: side by label; only for class-disjoint splits.
    """

    seed: int
    images: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)


class Place(Protocol):
    """Where the document is kept; its ``str`` names it for people."""

    def read(self) -> bytes | None:
        """The document; None where there is none yet."""

    def write(self, content: bytes) -> None:
        """Keep it: all of it or nothing."""


@dataclass(frozen=True)
class _File:
    path: Path

    def __str__(self) -> str:
        return shown(str(self.path))

    def read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, content)


class SplitStore:
    """The splits of one dataset or gallery, in one JSON document.

    Args:
        place: where it is kept: a file, made by the first ``split``, or a ``Place``.
    """

    def __init__(self, place: Path | Place) -> None:
        self._place = _File(place) if isinstance(place, Path) else place

    def split(self, labelled: Labelled, kind: str = "auto", seed: int = 0) -> Split:
        """The stored split of these images; drawn at the first call, extended by images that it does not know yet.

        Nothing stands on two sides of what is returned: an image that has meanwhile got a near-duplicate on a more
        protected side, or a label whose class is on another side, is in no part until that changes back; it never
        moves to another side.

        Args:
            labelled: with digests and groups where they are known.
            kind: one of ``sides.KINDS``, or ``"auto"``: what was stored first, else ``sides.natural_kind``.
            seed: counts only when the split is first drawn; ``Split.seed`` says with which one that was.

        Raises:
            BadValue: as the functions that draw.
            GalleryDamaged: the file is damaged, or written by a newer version.
            OSError: it cannot be read or written.
        """
        everything, kind, stored = self._asked(labelled, kind, seed)
        before = json.dumps(_packed(stored))
        split = _extended(labelled, kind, stored)
        if kind not in everything or json.dumps(_packed(stored)) != before:
            everything[kind] = stored
            self._write(everything)
        return split

    def preview(self, labelled: Labelled, kind: str = "auto", seed: int = 0) -> Split:
        """What ``split`` would give, without keeping anything. Raises as it does."""
        _, kind, stored = self._asked(labelled, kind, seed)
        return _extended(labelled, kind, stored)

    def _asked(self, labelled: Labelled, kind: str, seed: int) -> tuple[dict[str, _Stored], str, _Stored]:
        """All that is stored, the kind that is meant, and what is stored of it."""
        everything = self._read()
        if kind == "auto":
            kind = next(iter(everything), None) or natural_kind(labelled)
        if kind not in KINDS:
            raise BadValue(f"There is no split {kind!r}.", f"Use one of: {', '.join(KINDS)}, auto.")
        return everything, kind, everything.get(kind) or _Stored(seed)

    @property
    def exists(self) -> bool:
        """Whether a split was drawn already. Raises GalleryDamaged."""
        return bool(self._read())

    @property
    def kinds(self) -> list[str]:
        """The kinds of the splits that were drawn, the first one first. Raises GalleryDamaged."""
        return list(self._read())

    def _read(self) -> dict[str, _Stored]:
        content = self._place.read()
        if content is None:
            return {}
        where = str(self._place)
        try:
            values = json.loads(content.decode())
            if type(values["format"]) is int and values["format"] > FORMAT:
                raise GalleryDamaged(f"{where} was written by a newer version of this program.", "Install it.")
            return {str(kind): _unpacked(value) for kind, value in values["splits"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise GalleryDamaged(
                f"The stored split {where} is damaged.",
                "Restore it from a backup; without it the test images are not known any more.",
            ) from error

    def _write(self, everything: Mapping[str, _Stored]) -> None:
        values = {"format": FORMAT, "splits": {kind: _packed(stored) for kind, stored in everything.items()}}
        # ASCII: labels and paths may hold bytes that are no UTF-8.
        self._place.write((json.dumps(values, indent=1, ensure_ascii=True) + "\n").encode())


def _extended(labelled: Labelled, kind: str, stored: _Stored) -> Split:
    """The split of these images; what is new in it is added to ``stored``."""
    known = [_known(image, stored.images) for image in labelled.images]
    if kind == CLASS_DISJOINT:
        stored.classes = class_sides(labelled.classes, stored.classes, stored.seed)
        split = disjoint_by(labelled, stored.classes, stored.seed, known)
        _remember(labelled, sides_of(labelled, split), stored.images)
        return split
    if kind == GIVEN:
        sides = given_sides(labelled, known, stored.seed)
        _remember(labelled, _drawn_of_given(labelled, sides), stored.images)
    else:
        sides = [*grouped_sides(labelled, known, stored.seed)]
        _remember(labelled, sides, stored.images)
    return without_leaks(labelled, from_sides(sides, kind, stored.seed))


def _drawn_of_given(labelled: Labelled, sides: Sequence[str | None]) -> list[str | None]:
    """What chance decided: which of the training images validate. The rest is the user's to change."""
    drawn = [side if image.part == TRAIN else None for side, image in zip(sides, labelled.images, strict=True)]
    return drawn if VAL in drawn else [None] * len(drawn)


def _known(image: LabelledImage, sides: Mapping[str, str]) -> str | None:
    return next((sides[key] for key in _keys(image) if key in sides), None)


def _remember(labelled: Labelled, sides: Sequence[str | None], into: dict[str, str]) -> None:
    for image, side in zip(labelled.images, sides, strict=True):
        if side is not None:
            for key in _keys(image):
                into.setdefault(key, side)


def _keys(image: LabelledImage) -> list[str]:
    """Content first: a file that moved keeps its side. Then the place: so does one that was saved anew."""
    path = f"path:{os.fsdecode(image.path)}"
    return [path] if image.digest is None else [f"sha256:{image.digest.hex()}", path]


def _packed(stored: _Stored) -> dict[str, Any]:
    return {"seed": stored.seed, "images": stored.images, "classes": stored.classes}


def _unpacked(value: Mapping[str, Any]) -> _Stored:
    stored = _Stored(value["seed"], dict(value["images"]), dict(value["classes"]))
    sides = (*stored.images.values(), *stored.classes.values())
    if type(stored.seed) is not int or not all(side in SIDES for side in sides):
        raise ValueError("a value that no split has")
    return stored
