"""Judgements, against a dict that is told the same."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.catalog import Catalog
from retrieval.catalog.judgements import Judgement
from retrieval.core.types import Region

from .support import digest_of

HERE = Region(0.1, 0.2, 0.5, 0.75)
Q, A, B = (digest_of(name) for name in (b"query", b"a", b"b"))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog.sqlite3")


def test_a_judgement_is_kept_with_who_when_and_which_part(catalog: Catalog) -> None:
    first = catalog.judgements.add(Judgement(Q, A, True, HERE, "anna"))
    (kept,) = catalog.judgements.standing()
    assert (kept.query, kept.image, kept.relevant, kept.region, kept.judge) == (Q, A, True, HERE, "anna")
    assert kept.operation == first
    assert kept.at is not None
    assert catalog.judgements.of(Q, HERE) == {A: True}
    assert catalog.judgements.of(Q) == {}


def test_the_newest_of_a_pair_counts_and_saying_it_twice_changes_nothing(catalog: Catalog) -> None:
    assert catalog.judgements.add(Judgement(Q, A, True)) is not None
    assert catalog.judgements.add(Judgement(Q, A, True)) is None
    assert catalog.judgements.add(Judgement(Q, A, False)) is not None
    assert catalog.judgements.of(Q) == {A: False}
    assert catalog.judgements.count() == 1


def test_undoing_gives_back_what_was_taken_away(catalog: Catalog) -> None:
    catalog.judgements.add(Judgement(Q, A, True))
    changed = catalog.judgements.add(Judgement(Q, A, False, judge="bob"))
    undoing = catalog.judgements.undo(changed or 0)
    assert catalog.judgements.of(Q) == {A: True}
    assert catalog.judgements.undo(undoing or 0) is not None
    assert catalog.judgements.of(Q) == {A: False}
    assert catalog.judgements.standing()[0].judge == "bob"
    removed = catalog.judgements.remove(Judgement(Q, A, True))
    assert catalog.judgements.of(Q) == {}
    assert catalog.judgements.remove(Judgement(Q, A, True)) is None
    catalog.judgements.undo(removed or 0)
    assert catalog.judgements.of(Q) == {A: False}
    assert catalog.judgements.undo(10_000) is None


def test_what_was_said_since_is_not_overwritten_by_an_undoing(catalog: Catalog) -> None:
    catalog.judgements.add(Judgement(Q, A, True))
    removed = catalog.judgements.remove(Judgement(Q, A, True))
    catalog.judgements.add(Judgement(Q, A, False))
    assert catalog.judgements.undo(removed or 0) is None
    assert catalog.judgements.of(Q) == {A: False}


actions = st.lists(
    st.tuples(st.sampled_from([A, B]), st.sampled_from([None, HERE]), st.sampled_from([True, False, None])), max_size=12
)


@settings(max_examples=25, deadline=None)
@given(actions)
def test_any_order_of_judgements_leaves_what_a_dict_holds(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[bytes, Region | None, bool | None]]
) -> None:
    catalog = Catalog(tmp_path_factory.mktemp("judged") / "catalog.sqlite3")
    held: dict[tuple[bytes, Region | None], bool] = {}
    for image, region, relevant in said:
        if relevant is None:
            changed = catalog.judgements.remove(Judgement(Q, image, True, region))
            assert (changed is None) == (held.pop((image, region), None) is None)
        else:
            changed = catalog.judgements.add(Judgement(Q, image, relevant, region))
            assert (changed is None) == (held.get((image, region)) == relevant)
            held[image, region] = relevant
    assert {(one.image, one.region): one.relevant for one in catalog.judgements.standing()} == held
    assert catalog.judgements.count() == len(held)
    catalog.close()
