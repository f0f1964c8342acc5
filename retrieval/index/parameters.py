"""The kinds of FAISS index, and the numbers that describe one."""

from dataclasses import asdict, dataclass
from typing import Any

FLAT = "faiss-flat"
IVF_SQ8 = "faiss-ivf-sq8"
IVF_PQ = "faiss-ivf-pq"
KINDS = (FLAT, IVF_SQ8, IVF_PQ)


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a FAISS index was made and is searched.

    Attributes:
        kind: one of ``KINDS``.
        reason: why this kind, one sentence for people; may be empty.
        built_for: vectors it held when it was built (for IVF: when its lists were trained).
        lists: number of inverted lists; 0 for flat.
        nprobe: lists looked into per query.
        overfetch: candidates fetched per wanted match, before exact re-ranking.
        recall: recall@10 measured when it was built, or None where it is exact.
    """

    kind: str = FLAT
    reason: str = ""
    built_for: int = 0
    lists: int = 0
    nprobe: int = 0
    overfetch: int = 1
    recall: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind of index {self.kind!r}; known are {', '.join(KINDS)}.")

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> "Parameters":
        """From what ``to_json`` gave. Raises ValueError: other keys or values of another type."""
        try:
            parameters = cls(**value)
        except TypeError as error:
            raise ValueError(f"Not the parameters of an index: {error}") from None
        for name in ("built_for", "lists", "nprobe", "overfetch"):
            number = getattr(parameters, name)
            if not isinstance(number, int) or number < 0:
                raise ValueError(f"{name} is {number!r}, but must be a whole number.")
        return parameters
