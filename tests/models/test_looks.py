"""The papers' views, number by number, and what is made of them for other sizes."""

from dataclasses import replace

import pytest

from retrieval.core.errors import BadValue
from retrieval.methods.table import METHODS
from retrieval.models.looks import PRESETS, Look, looks_for

# Written from the papers and their code: views, least area, jitter chance, (brightness, contrast, saturation, hue),
# grey, blur chance, solarise chance; for the full-size views one after the other.
STRONG, MILD = (0.8, 0.8, 0.8, 0.2), (0.4, 0.4, 0.2, 0.1)
MOCO = (0.4, 0.4, 0.4, 0.1)
PAPERS = {
    "simclr": [(0.08, 0.8, STRONG, 0.2, 0.5, 0)] * 2,
    "moco-v1": [(0.2, 1.0, (0.4, 0.4, 0.4, 0.4), 0.2, 0, 0)] * 2,
    "moco-v2": [(0.2, 0.8, MOCO, 0.2, 0.5, 0)] * 2,
    "byol": [(0.08, 0.8, MILD, 0.2, 1.0, 0), (0.08, 0.8, MILD, 0.2, 0.1, 0.2)],
    "simsiam": [(0.2, 0.8, MOCO, 0.2, 0.5, 0)] * 2,
    "swav-multi-crop": [(0.14, 0.8, STRONG, 0.2, 0.5, 0)] * 2,
    "dino-multi-crop": [(0.4, 0.8, MILD, 0.2, 1.0, 0), (0.4, 0.8, MILD, 0.2, 0.1, 0.2)],
    "barlow": [(0.08, 0.8, MILD, 0.2, 1.0, 0), (0.08, 0.8, MILD, 0.2, 0.1, 0.2)],
    "vicreg": [(0.08, 0.8, MILD, 0.2, 0.5, 0.1)] * 2,
    "w-mse": [(0.08, 0.8, STRONG, 0.2, 0.5, 0)] * 2,
    "deepcluster": [(0.14, 0.8, STRONG, 0.2, 0.5, 0)] * 2,
    "autoencoder": [(0.2, 0, (0, 0, 0, 0), 0, 0, 0)],
}
CROPS = {
    "swav-multi-crop": (6, (0.05, 0.14)),
    "deepcluster": (6, (0.05, 0.14)),
    "dino-multi-crop": (8, (0.05, 0.4)),
}


def each(looks: tuple[Look, ...]) -> list[Look]:
    return [replace(look, count=1) for look in looks for _ in range(look.count)]


def numbers(look: Look) -> tuple:
    colour = (look.brightness, look.contrast, look.saturation, look.hue)
    return (look.scale[0], look.jitter, colour, look.grey, look.blur, look.solarise)


def test_every_preset_has_its_witness() -> None:
    assert PRESETS.keys() == PAPERS.keys()
    assert {spec.looks for spec in METHODS.values()} <= PRESETS.keys()
    assert all("https://arxiv.org/abs/" in preset.paper for preset in PRESETS.values())


@pytest.mark.parametrize("name", PAPERS)
def test_full_size_views_are_the_papers(name: str) -> None:
    looks = [look for look in each(looks_for(name, 224)) if look.size == 224]
    assert [numbers(look) for look in looks] == PAPERS[name]
    for look in looks:
        assert (look.scale[1], look.ratio, look.flip, look.sigma) == (1.0, (3 / 4, 4 / 3), 0.5, (0.1, 2.0))


@pytest.mark.parametrize("name", PAPERS)
def test_small_crops_come_after_the_full_size_views(name: str) -> None:
    looks = each(looks_for(name, 224))
    small = [look for look in looks if look.size != 224]
    assert looks[len(looks) - len(small) :] == small
    count, scale = CROPS.get(name, (0, None))
    assert [(look.size, look.scale) for look in small] == [(96, scale)] * count
    assert all(look.blur == 0.5 for look in small)


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("size", [32, 48])
def test_small_pictures_are_not_blurred_and_keep_their_number_of_views(name: str, size: int) -> None:
    looks = each(looks_for(name, size))
    assert [look.size for look in looks] == [size] * len(PAPERS[name]) + [size // 2] * CROPS.get(name, (0,))[0]
    assert all(look.blur == 0 for look in looks)
    assert all(look.scale[0] >= 0.05 for look in looks)


def test_the_papers_settings_on_cifar() -> None:
    (simclr,) = looks_for("simclr", 32)
    assert (simclr.brightness, simclr.hue, simclr.scale) == (0.4, 0.1, (0.08, 1.0))
    (wmse,) = looks_for("w-mse", 32)
    assert (wmse.brightness, wmse.hue, wmse.grey, wmse.scale) == (0.4, 0.1, 0.1, (0.2, 1.0))
    first, second = looks_for("byol", 32)
    assert (first.solarise, second.solarise) == (0, 0.2)


def test_sizes_and_blur_are_scaled() -> None:
    full, small = looks_for("swav-multi-crop", 112)
    assert (full.size, small.size, full.sigma, small.sigma) == (112, 48, (0.05, 1.0), (0.05, 1.0))
    assert looks_for("simclr", 64)[0].blur == 0.5
    assert looks_for("simclr", 63)[0].blur == 0


def test_other_numbers_of_views() -> None:
    assert [look.count for look in looks_for("w-mse", 32, views=4)] == [4]
    assert [look.solarise for look in looks_for("byol", 224, views=4)] == [0, 0.2, 0, 0.2]
    assert [(look.size, look.count) for look in looks_for("dino-multi-crop", 224, crops=6)] == [
        (224, 1),
        (224, 1),
        (96, 6),
    ]
    assert {look.size for look in looks_for("swav-multi-crop", 224, crops=0)} == {224}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "wild", "input_size": 32}, "no preset of views 'wild'"),
        ({"preset": "simclr", "input_size": 7}, "input size 7"),
        ({"preset": "simclr", "input_size": 32.0}, "input size 32.0"),
        ({"preset": "simclr", "input_size": 32, "views": 0}, "number of views 0"),
        ({"preset": "simclr", "input_size": 32, "crops": 2}, "no small crops"),
        ({"preset": "dino-multi-crop", "input_size": 32, "crops": -1}, "small crops -1"),
    ],
)
def test_what_there_is_not_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        looks_for(**arguments)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 0}, "size 0"),
        ({"count": True}, "count True"),
        ({"flip": 1.5}, "flip 1.5 is not between 0 and 1"),
        ({"hue": 0.6}, "hue 0.6 is not between 0 and 0.5"),
        ({"grey": float("nan")}, "grey nan"),
        ({"scale": (0.5, 0.2)}, "not a least and a most"),
        ({"scale": (0.0, 0.2)}, "scale 0.0"),
        ({"ratio": (1.0,)}, "not a least and a most"),
        ({"sigma": 2.0}, "sigma"),
        ({"filter": "lanczos"}, "Unknown filter"),
    ],
)
def test_a_look_out_of_range_is_refused(change: dict, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        Look(**{"size": 32, **change})
