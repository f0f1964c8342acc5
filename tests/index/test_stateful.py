"""Random histories of an index against a plain dictionary."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from .support import MemorySource, check, empty_index

D = 4
# Few ids and few directions, so that replacing, tying and removing what is there happen all the time.
IDS = st.sampled_from([*range(12), 2**40, 2**62])
ROW = st.lists(st.integers(-2, 2), min_size=D, max_size=D).filter(any)
BATCH = st.dictionaries(IDS, ROW, max_size=8)


class History(RuleBasedStateMachine):
    kind = "exact"

    @initialize()
    def begin(self):
        self.index, self.source = empty_index(self.kind, D)
        self.model = MemorySource(D)

    @rule(batch=BATCH)
    def add(self, batch):
        ids = np.array(list(batch), dtype=np.int64)
        vectors = np.array(list(batch.values()), dtype=np.float32).reshape(-1, D)
        self.model.put(ids, vectors)
        self.index.add(ids, self.source.put(ids, vectors))

    @rule(ids=st.lists(IDS, max_size=8))
    def remove(self, ids):
        there = {key for key in ids if self.model.rows.pop(key, None) is not None}
        assert self.index.remove(np.array(ids, dtype=np.int64)) == len(there)

    @rule(query=ROW, k=st.integers(1, 20), allowed=st.none() | st.lists(IDS, max_size=12))
    def search(self, query, k, allowed):
        some = None if allowed is None else np.array(allowed, dtype=np.int64)
        check(self.index, self.model, np.array([query], dtype=np.float32), k, some)

    @invariant()
    def holds_the_same(self):
        if hasattr(self, "index"):
            assert self.index.ids().tolist() == sorted(self.model.rows)
            assert len(self.index) == len(self.model.rows)


class FlatHistory(History):
    kind = "faiss-flat"


@pytest.mark.parametrize("machine", [History, FlatHistory])
def test_any_history(machine):
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
