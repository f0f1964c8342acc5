"""Near-duplicates: everything within the distance is found, nothing else is joined."""

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.core.preprocessing import Preprocessing
from retrieval.datasets.grouping import THUMBNAIL_SIDE, connected, hash_pairs, near_duplicate_groups
from retrieval.images.decode import decode
from tests.conftest import picture
from tests.images.conftest import draw_photo


def as_hashes(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64).view(np.int64)


def components(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """The smallest member of each one's component, by repeated relabelling: slow and obvious."""
    label = list(range(count))
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            low = min(label[a], label[b])
            changed |= (label[a], label[b]) != (low, low)
            label[a] = label[b] = low
    return label


# Hashes in clusters a few bits apart, and some with hardly any bits: what line drawings give.
CLUSTERED = st.lists(
    st.tuples(
        st.sampled_from([0, 0x0F0F_3C3C_5A5A_9999, 0xFFFF_FFFF_0000_0000]), st.sets(st.integers(0, 63), max_size=7)
    ),
    max_size=24,
).map(lambda rows: [base ^ sum(1 << bit for bit in bits) for base, bits in rows])


@settings(max_examples=80, deadline=None)
@given(hashes=CLUSTERED, distance=st.integers(0, 12))
def test_exactly_the_pairs_within_the_distance_are_found(hashes: list[int], distance: int) -> None:
    found = {
        tuple(sorted(pair)) for block in hash_pairs(np.array(hashes, np.uint64), distance) for pair in block.tolist()
    }
    assert found == {
        (a, b) for a, b in combinations(range(len(hashes)), 2) if (hashes[a] ^ hashes[b]).bit_count() <= distance
    }


def test_large_runs_of_equal_pieces_are_searched_exactly_too() -> None:
    generator = np.random.default_rng(0)
    # Half of the bits never set: most pieces are shared by thousands.
    hashes = generator.integers(0, 1 << 20, 3000, dtype=np.uint64) << np.uint64(22)
    found = {tuple(sorted(pair)) for block in hash_pairs(hashes, 2) for pair in block.tolist()}
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]) <= 2
    assert found == {(int(a), int(b)) for a, b in np.argwhere(np.triu(near, 1))}
    assert len(found) > 100


@settings(max_examples=60, deadline=None)
@given(hashes=CLUSTERED, data=st.data())
def test_groups_are_the_components_of_hashes_digests_and_given_groups(hashes: list[int], data: st.DataObject) -> None:
    count = len(hashes)
    digests = data.draw(st.lists(st.none() | st.sampled_from([b"a", b"b"]), min_size=count, max_size=count))
    given_groups = data.draw(st.lists(st.none() | st.integers(0, 2), min_size=count, max_size=count))
    edges = [
        (a, b)
        for a, b in combinations(range(count), 2)
        if (digests[a] is not None and digests[a] == digests[b])
        or (given_groups[a] is not None and given_groups[a] == given_groups[b])
        or ((hashes[a] ^ hashes[b]).bit_count() <= 3 and all(8 <= hashes[i].bit_count() <= 56 for i in (a, b)))
    ]
    groups = near_duplicate_groups(as_hashes(hashes), digests, given=given_groups)
    assert groups.tolist() == components(count, edges)


def looked_at(image: Image.Image, kind: str = "PNG", **options: object) -> tuple[int, np.ndarray]:
    out = io.BytesIO()
    image.save(out, kind, **options)
    facts, pixels = decode(out.getvalue(), Preprocessing(input_size=64, fit="stretch"))
    small = Image.fromarray(pixels).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return facts.phash, np.asarray(small)


def groups_of(looks: list[tuple[int, np.ndarray]], **options: object) -> list[int]:
    return near_duplicate_groups(
        np.array([h for h, _ in looks], np.int64), thumbnails=np.stack([t for _, t in looks]), **options
    ).tolist()


def test_saved_again_smaller_or_brighter_it_is_the_same_picture() -> None:
    looks = []
    for seed in range(6):
        image = draw_photo(160, 120, seed)
        looks += [
            looked_at(image),
            looked_at(image, "JPEG", quality=40),
            looked_at(image.resize((80, 60), Image.Resampling.BICUBIC), "JPEG", quality=80),
            looked_at(image.point(lambda value: min(255, round(value * 1.05)))),
        ]
    assert groups_of(looks) == [4 * (n // 4) for n in range(24)]


def test_a_thumbnail_tells_apart_what_hashes_alike() -> None:
    def drawing(column: int) -> tuple[int, np.ndarray]:
        pixels = np.full((120, 120, 3), 255, np.uint8)
        pixels[20:100, column : column + 3] = 0
        return looked_at(Image.fromarray(pixels))

    looks = [drawing(column) for column in (30, 60, 90)]
    assert all((a ^ b).bit_count() <= 31 for (a, _), (b, _) in combinations(looks, 2))
    assert groups_of(looks, distance=31) == [0, 1, 2]
    assert groups_of([looks[0], looks[0], looks[1]], distance=31) == [0, 0, 2]


def test_another_colour_is_another_picture() -> None:
    image = np.asarray(picture(3, (64, 64)))
    looks = [looked_at(Image.fromarray(np.ascontiguousarray(image[..., order]))) for order in ([0, 1, 2], [2, 0, 1])]
    same_hash = [(looks[0][0], thumbnail) for _, thumbnail in looks]
    assert groups_of(same_hash) == [0, 1]


def test_flat_pictures_are_not_joined_by_nothing() -> None:
    flat = [np.full((THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3), value, np.uint8) for value in (10, 200)]
    assert groups_of([(0, thumbnail) for thumbnail in flat]) == [0, 1]
    noise = np.random.default_rng(0).integers(0, 2, flat[0].shape, dtype=np.uint8)
    assert groups_of([(0, thumbnail + noise) for thumbnail in flat]) == [0, 1]
    assert near_duplicate_groups(np.zeros(2, np.int64)).tolist() == [0, 1]


def test_lengths_and_ranges_are_checked() -> None:
    hashes = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="3 hashes"):
        near_duplicate_groups(hashes, [None])
    with pytest.raises(ValueError, match="distance"):
        near_duplicate_groups(hashes, distance=32)
    assert near_duplicate_groups(np.empty(0, np.int64)).shape == (0,)


def test_equal_keys_of_any_kind_connect() -> None:
    assert connected([1, None, 1, 2, None], ["a", "b", None, "b", None]).tolist() == [0, 1, 0, 1, 4]


@pytest.mark.slow
def test_on_real_pictures_copies_are_found_and_others_stay_apart(shared: Path) -> None:
    import tarfile

    originals = []
    with tarfile.open(shared / "data" / "flowers90.tar") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if file is not None and len(originals) < 300:
                originals.append(Image.open(io.BytesIO(file.read())).convert("RGB"))
    looks = [looked_at(image) for image in originals]
    looks += [looked_at(image, "JPEG", quality=30) for image in originals]
    looks += [looked_at(image.resize((image.width // 2, image.height // 2)), "WEBP", quality=50) for image in originals]
    groups = np.array(groups_of(looks)).reshape(3, -1)
    assert (groups == groups[0]).mean() > 0.99
    assert len(np.unique(groups[0])) >= 298
