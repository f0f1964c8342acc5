"""Labelled images without files, and pictures in files."""

import hashlib
from collections.abc import Sequence

from retrieval.core.labelled import Labelled, LabelledImage


def labelled(
    labels: Sequence[str],
    groups: Sequence[int | None] | None = None,
    parts: Sequence[str | None] | None = None,
    names: Sequence[str] | None = None,
) -> Labelled:
    """Images that exist nowhere; the digest follows the name (by default the position)."""
    count = len(labels)
    names = names or [f"{i:05d}" for i in range(count)]
    groups, parts = groups or [None] * count, parts or [None] * count
    images = [
        LabelledImage(f"/nowhere/{name}.jpg".encode(), label, part, hashlib.sha256(name.encode()).digest(), group)
        for name, label, part, group in zip(names, labels, parts, groups, strict=True)
    ]
    return Labelled(images, "nowhere")
