"""The perceptual hash against its definition, and against copies."""

from itertools import pairwise

import numpy as np

from retrieval.core.preprocessing import Preprocessing
from retrieval.images.decode import decode

from .conftest import draw_photo, encode
from .support import SPEC, STRETCH, facts


def distance(a, b):
    return bin((a ^ b) & (2**64 - 1)).count("1")


def triangle(length, cells):
    """[cells, length] weights of a triangle filter that spans one cell to either side, as averages."""
    cell = length / cells
    centres = (np.arange(cells) + 0.5) * cell
    weights = np.clip(1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / cell, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def test_phash_against_its_definition(photo):
    grey = np.asarray(photo, dtype=float) @ (0.299, 0.587, 0.114)
    cells = triangle(200, 8) @ grey @ triangle(300, 9).T
    bits = "".join(str(int(left > right)) for row in cells for left, right in pairwise(row))
    known = facts(encode(photo, "PNG")).phash
    assert -(2**63) <= known < 2**63
    assert distance(known, int(bits, 2)) <= 3  # pairs of cells that are nearly equal


def test_phash_finds_saved_again_and_scaled_copies_and_nothing_else(photo):
    own = facts(encode(photo, "PNG")).phash
    copies = [
        encode(photo, "JPEG", quality=40),
        encode(photo, "WEBP", quality=50),
        encode(photo.resize((1200, 800)), "JPEG"),
        encode(photo.resize((120, 80)), "PNG"),
        encode(photo.convert("L"), "PNG"),
        encode(photo.convert("RGBA"), "PNG"),
    ]
    assert max(distance(own, facts(copy).phash) for copy in copies) <= 4
    others = [facts(encode(draw_photo(300, 200, seed), "PNG")).phash for seed in range(1, 6)]
    assert min(distance(own, other) for other in others) >= 10


def test_phash_is_of_the_whole_picture_whatever_the_crop(photo):
    data = encode(photo, "PNG")
    assert len({decode(data, spec)[0].phash for spec in (SPEC, STRETCH, Preprocessing(crop=0.3))}) == 1
