"""Near-duplicates below the first of them, and pages."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.workflows.copies import first_of_each
from retrieval.workflows.ranking import Ranked, Wanted, ranked


def hashes(*values: int) -> np.ndarray:
    return np.array(values, np.uint64).view(np.int64)


CHECKS = 0x5555555555555555
OTHER = 0x3333333333333333


def same(count: int) -> np.ndarray:
    return np.repeat(np.eye(1, 4, dtype=np.float32), count, 0)


def test_near_hashes_are_copies_and_far_ones_are_not() -> None:
    assert first_of_each(same(4), hashes(CHECKS, OTHER, CHECKS ^ 0xFF, CHECKS ^ 0x1FF)).tolist() == [0, 1, 0, 3]


def test_an_embedding_may_object_and_an_even_picture_joins_nothing() -> None:
    vectors = np.eye(2, 4, dtype=np.float32)
    assert first_of_each(vectors, hashes(CHECKS, CHECKS)).tolist() == [0, 1]
    assert first_of_each(same(3), hashes(0, 0, 0b111)).tolist() == [0, 1, 2]


@given(st.lists(st.sampled_from([CHECKS, CHECKS ^ 1, CHECKS ^ 0xFFF, OTHER, OTHER ^ 0x3F, 0]), max_size=25))
def test_what_is_decided_of_the_first_does_not_change_with_more(values: list[int]) -> None:
    whole = first_of_each(same(len(values)), hashes(*values)).tolist()
    for length in range(len(values)):
        assert first_of_each(same(length), hashes(*values[:length])).tolist() == whole[:length]
    for place, leader in enumerate(whole):
        assert leader <= place
        assert whole[leader] == leader


class Source:
    """A ranking of ``total`` images with falling scores; every ``family`` of them are copies."""

    def __init__(self, total: int, family: int) -> None:
        self.rows = [(n + 1, 1 - n / 10_000) for n in range(total)]
        self.family = family
        self.asked: list[int] = []

    def search(self, depth: int) -> list[tuple[int, float]]:
        self.asked.append(depth)
        return self.rows[:depth]

    def leaders(self, ids: list[int]) -> np.ndarray:
        first: dict[int, int] = {}
        return np.array([first.setdefault((i - 1) // self.family, n) for n, i in enumerate(ids)], np.int64)

    def page(self, start: int, k: int, *, left_out: tuple[int, ...] = (), **more: object) -> Ranked:
        wanted = Wanted(start, k, more.get("least"), bool(more.get("together", True)))  # type: ignore[arg-type]
        return ranked(self.search, left_out, self.leaders, wanted)  # type: ignore[arg-type]


def test_pages_cover_the_ranking_once() -> None:
    source = Source(1000, 3)
    seen: list[int] = []
    for start in range(0, 400, 7):
        page = source.page(start, 7)
        seen += [i for group in page.groups for i, _ in group]
        assert page.more == (start + 7 < 334)
    assert seen == list(range(1, 1001))


def test_what_is_left_out_or_below_the_score_is_in_no_group() -> None:
    source = Source(30, 1)
    page = source.page(0, 100, left_out=(1, 5), least=0.9985)
    assert [i for group in page.groups for i, _ in group] == [n for n in range(1, 17) if n not in (1, 5)]
    assert page.first == source.search(7)[1:4] + source.search(7)[5:]
    assert not page.more
    assert source.page(0, 10, least=1.5).groups == []
    assert source.page(0, 10, least=1.5).first == source.search(5)


def test_many_copies_make_it_look_deeper_until_nothing_is_left() -> None:
    source = Source(5000, 1000)
    page = source.page(0, 5)
    assert [len(group) for group in page.groups] == [1000] * 5
    assert not page.more
    assert source.asked == [256, 1024, 4096, 16384]
    assert [len(group) for group in Source(5000, 1000).page(0, 5, together=False).groups] == [1] * 5


def test_an_empty_ranking_has_an_empty_page() -> None:
    assert Source(0, 1).page(0, 5) == Ranked([], [], False)
