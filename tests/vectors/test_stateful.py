"""The store against a dictionary, through commits, crashes and reopenings."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from retrieval.vectors import VectorStore

D = 4


class StoreAgainstModel(RuleBasedStateMachine):
    """``committed`` is what the catalog would know; whatever was appended after it may vanish."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="retrieval-store-"))
        self.committed: list[tuple[int, np.ndarray]] = []
        self.appended: list[tuple[int, np.ndarray]] = []
        self.serial = 0

    @initialize()
    def open_empty(self) -> None:
        self.store = VectorStore(self.folder / "s", D, 0)
        self.reader = VectorStore(self.folder / "s", D, 0)

    @rule(keys=st.lists(st.integers(1, 12), max_size=5, unique=True))
    def append(self, keys: list[int]) -> None:
        """Overwrites whatever was appended before and not committed."""
        self.serial += 1
        vectors = np.random.default_rng(self.serial).uniform(-1, 1, (len(keys), D)).astype(np.float16)
        first = self.store.append(np.array(keys, np.int64), vectors.astype(np.float32))
        assert first == len(self.committed)
        fresh = list(zip(keys, vectors.astype(np.float32), strict=True))
        # What lay beyond a shorter append is a tail all the same.
        self.appended = fresh + self.appended[len(fresh) :]

    @rule(part=st.floats(0, 1))
    def commit(self, part: float) -> None:
        """The rows of the last append, or (as after a file was cut) only the first of them."""
        count = round(part * len(self.appended))
        self.committed += self.appended[:count]
        self.appended = self.appended[count:]
        self.store.refresh(len(self.committed))

    @rule(tear=st.integers(0, 30))
    def crash(self, tear: int) -> None:
        """The process dies; the files may end anywhere behind the committed rows."""
        for name, size in (("vectors.f16", 2 * D), ("rows.bin", 16)):
            path = self.folder / "s" / name
            if path.exists():
                keep = max(len(self.committed) * size, path.stat().st_size - tear)
                with open(path, "r+b") as file:
                    file.truncate(keep)
        self.appended = []
        self.store = VectorStore(self.folder / "s", D, len(self.committed))

    @rule()
    def cut(self) -> None:
        self.store.cut_tail()
        self.appended = []
        size = sum(path.stat().st_size for path in (self.folder / "s").glob("*"))
        assert size == len(self.committed) * (2 * D + 16)

    @rule()
    def another_process_looks(self) -> None:
        self.reader.refresh(len(self.committed))
        self.agrees(self.reader)

    @invariant()
    def the_store_is_what_was_committed(self) -> None:
        self.agrees(self.store)

    def agrees(self, store: VectorStore) -> None:
        model = dict(self.committed)
        assert store.rows == len(self.committed)
        everything = np.arange(0, 15)
        assert store.missing(everything).tolist() == [i for i in range(15) if i not in model]
        keys = np.array(sorted(model), np.int64)
        expected = np.array([model[i] for i in sorted(model)], np.float32).reshape(-1, D)
        assert np.array_equal(store.read(keys), expected)
        for key in set(range(15)) - set(model):
            with pytest.raises(KeyError):
                store.read(np.array([key]))

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


StoreAgainstModel.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestStore = StoreAgainstModel.TestCase
