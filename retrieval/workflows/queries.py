"""What a search goes by: one picture or several, parts of them, and judgements of what was found."""

import hashlib
from dataclasses import dataclass

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.core.types import Region, Vectors
from retrieval.functional.feedback import rocchio, taught

MOST_EXAMPLES = 20
MOST_JUDGED = 500


@dataclass(frozen=True, slots=True)
class Example:
    """A picture to go by: an indexed image, an upload, or an upload that was kept; exactly one of them.

    Attributes:
        image_id: of an indexed image.
        data: an image file's bytes.
        region: only this part of it.
        kept: the key of a kept upload, see ``history``.
    """

    image_id: int | None = None
    data: bytes | None = None
    region: Region | None = None
    kept: str | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.image_id, self.data, self.kept)) != 1:
            raise ValueError("An example is an indexed image, an upload or a kept one, and only one of them.")


@dataclass(frozen=True, slots=True)
class Query:
    """All that a search goes by.

    Attributes:
        like: at least one; several are combined, see ``functional.feedback.rocchio``.
        unlike: what to move away from.
        judged: (image id, whether it is what was looked for), see ``functional.feedback.taught``.

    Raises BadValue for none, or more than can be taken in.
    """

    like: tuple[Example, ...]
    unlike: tuple[Example, ...] = ()
    judged: tuple[tuple[int, bool], ...] = ()

    def __post_init__(self) -> None:
        if not self.like:
            raise BadValue("A search needs a picture that shows what is wanted.", "Choose one.")
        if len(self.like) + len(self.unlike) > MOST_EXAMPLES or len(self.judged) > MOST_JUDGED:
            raise BadValue(
                f"A search takes at most {MOST_EXAMPLES} examples and {MOST_JUDGED} judgements.", "Take some away."
            )

    @property
    def is_one_picture(self) -> bool:
        """Whether scores are cosines to one picture, which is what probabilities and thresholds are about."""
        return len(self.like) == 1 and not self.unlike and not self.judged

    @property
    def left_out(self) -> frozenset[int]:
        """Indexed images that are examples themselves: they would only be found again."""
        return frozenset(one.image_id for one in (*self.like, *self.unlike) if one.image_id is not None)

    def direction(self, like: Vectors, unlike: Vectors, judged: Vectors, relevant: Vectors) -> Vectors:
        """[D] unit norm, where to search, from the embeddings of the examples [P, D] and [N, D], of what was judged
        [M, D], and the judgements [M], 1 or 0. Raises BadValue."""
        start = like[0] if len(like) == 1 and not len(unlike) else rocchio(like, unlike)
        return taught(start, judged, relevant) if len(judged) else np.asarray(start, np.float32)


def digest_of(data: bytes) -> bytes:
    """What an upload is known by, as images are: SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()
