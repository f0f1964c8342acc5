"""Where the loop's batches come from."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from retrieval.functional.batch import Batch


class Source(Protocol):
    """Gives the batches of an epoch, the same ones in the same order every time it is asked.

    What is drawn for an example (its crop, its colours) may depend on nothing but seed, epoch and example.

    A source may offer more, and the loop asks for it by name:

    - ``logs()``: numbers by name for the log, such as how old its hard examples are;
    - ``saved(epoch, batch)``: told, on the first process, after every checkpoint, which batch a run that goes on from
      it will ask for first; whatever only earlier batches need may then be thrown away;
    - ``save_due()``: asked after every step; True has a checkpoint written before ``save_seconds`` are over.
    """

    def steps(self, epoch: int) -> int:
        """How many batches the epoch (from 0) has."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches ``start``, ``start + 1``, ... of the epoch, on the CPU."""

    def describe(self, ids: Tensor) -> list[str]:
        """For people: which examples these are, e.g. their file names."""
