"""Runtimes: folding, prepacking, half precision, threads."""

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels, Vectors
from retrieval.models import measure, runtime
from retrieval.models.choice import RuntimeChoice, has_fast_bf16, machine_name
from retrieval.models.encoder import Encoder
from retrieval.models.folding import chained, folded, same_output
from retrieval.models.prepacked import PrepackedConv, prepacked
from retrieval.models.probes import AGREEMENT, cosines, probe_embeddings, probe_pixels, probes_agree
from retrieval.models.runtime import EncoderRuntime, pick_device
from tests.models.conftest import tiny


def blobs(count: int, size: int, seed: int = 0) -> Pixels:
    """[count, size, size, 3] discs of one colour on another: edges and plain surfaces, as photographs have them."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    pictures = np.empty((count, size, size, 3), dtype=np.uint8)
    for picture in pictures:
        picture[:] = random.integers(0, 256, 3)
        for _ in range(12):
            cx, cy, radius = random.random(3)
            picture[np.hypot(x - cx, y - cy) < 0.05 + 0.2 * radius] = random.integers(0, 256, 3)
    return pictures


def randomised(backbone: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as after training: with the values of a fresh one, much of the folding could not be wrong."""
    torch.manual_seed(seed)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.2, 0.2),
            ):
                assert tensor is not None
                tensor.uniform_(low, high)
    return backbone


def by_hand(encoder: Encoder, spec: Preprocessing, pixels: Pixels) -> Vectors:
    """What the runtime should give, spelled out."""
    scaled = (pixels.astype(np.float64) / 255 - spec.mean) / spec.std
    images = torch.from_numpy(scaled.transpose(0, 3, 1, 2)).float()
    with torch.no_grad():
        embeddings: Vectors = encoder.encode(images).numpy()
    return embeddings


# Folding -------------------------------------------------------------------------------------------------------------

FOLDED = {"resnet18": 20, "mobilenetv2_100": 52, "mobilenetv3_small_100": 34, "efficientnet_lite0": 49, "resnet10t": 14}


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("name", FOLDED)
def test_folding_changes_nothing_but_the_number_of_norms(name: str) -> None:
    backbone = randomised(timm.create_model(name, num_classes=0)).eval()
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    example = torch.randn(2, 3, 64, 64)
    slim = folded(backbone, example)
    assert norms(backbone) >= FOLDED[name]
    assert norms(slim) == 0
    other = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        expected, got = backbone(other), slim(other)
    assert (expected - got).abs().max() <= 1e-4 * expected.abs().max()
    after = backbone.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_transformers_are_left_alone() -> None:
    backbone = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64).eval()
    example = torch.randn(1, 3, 64, 64)
    assert folded(backbone, example) is backbone
    assert prepacked(backbone, example) is None


class Twisted(nn.Module):
    """Registered as a pair, and yet the norm does not take the convolution's output as it is."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv, self.norm, self.way = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), way

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.way == "in place":
            y += x
        if self.way == "functional":
            y = y * 2
        z: Tensor = self.norm(y)
        if self.way == "used twice":
            z = z + y
        if self.way == "run twice":
            z = self.norm(self.conv(z))
        if self.way == "other order":
            z = self.conv(self.norm(x))
        return z.mean((2, 3))


@pytest.mark.parametrize("way", ["in place", "functional", "used twice", "run twice", "other order"])
def test_what_cannot_be_folded_is_not(way: str) -> None:
    model = randomised(Twisted(way)).eval()
    example = torch.randn(2, 3, 8, 8)
    slim = folded(model, example)
    assert norms(slim) == 1
    assert same_output(model, slim, torch.randn(2, 3, 8, 8), 1e-6)


def test_a_plain_pair_is_folded() -> None:
    model = randomised(Twisted("")).eval()
    assert chained(model, torch.randn(1, 3, 8, 8), nn.Conv2d, nn.BatchNorm2d) == [("conv", "norm")]
    assert norms(folded(model, torch.randn(1, 3, 8, 8))) == 0


# Prepacking ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("resnet18", {}),
        ("mobilenetv2_100", {"pad_type": "same"}),
        ("mobilenetv3_small_100", {}),
        ("test_efficientnet", {}),
    ],
)
def test_prepacking_changes_nothing_at_any_size(name: str, args: dict[str, Any]) -> None:
    backbone = randomised(timm.create_model(name, num_classes=0, **args)).eval()
    example = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    packed = prepacked(folded(backbone, example), example)
    assert packed is not None
    assert sum(isinstance(module, PrepackedConv) for module in packed.modules()) > 8
    fused = sum(module.kind != "none" for module in packed.modules() if isinstance(module, PrepackedConv))
    assert fused > 3
    for shape in ((1, 3, 64, 64), (5, 3, 64, 64), (2, 3, 49, 49)):
        images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
        assert same_output(backbone, packed, images, 1e-4)


def test_where_prepacking_gives_something_else_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny()[0].backbone
    example = torch.randn(2, 3, 64, 64)

    def wrong(self: PrepackedConv, x: Tensor) -> Tensor:
        return forward(self, x) * 1.01

    forward = PrepackedConv.forward
    monkeypatch.setattr(PrepackedConv, "forward", wrong)
    assert prepacked(backbone, example) is None
    monkeypatch.setattr(PrepackedConv, "__init__", lambda *_: (_ for _ in ()).throw(RuntimeError("no such operator")))
    assert prepacked(backbone, example) is None


# Embedding -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> tuple[Encoder, Preprocessing]:
    encoder, card = tiny(head="mlp", dim=24, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4])
    randomised(encoder)
    return encoder, card.preprocessing


@pytest.mark.parametrize("mode", ["folded", "prepacked"])
def test_the_runtime_gives_what_the_encoder_gives(made: tuple[Encoder, Preprocessing], mode: str) -> None:
    encoder, spec = made
    choice = RuntimeChoice("fp32", 4, mode, machine_name("cpu", 2))
    fast = EncoderRuntime(encoder, spec, device="cpu", threads=2, choice=choice)
    assert fast.choice == choice
    pixels = blobs(11, 64)
    found = fast.embed(pixels)
    assert found.dtype == np.float32
    assert found.shape == (11, 24) == (11, fast.dimension)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, by_hand(encoder, spec, pixels), atol=2e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_alone_or_in_a_batch(made: tuple[Encoder, Preprocessing], precision: str) -> None:
    fast = EncoderRuntime(*made, device="cpu", threads=2, precision=precision)
    pixels = blobs(fast.batch * 2 + 3, 64)
    together = fast.embed(pixels)
    alone = np.concatenate([fast.embed(pixels[i : i + 1]) for i in range(len(pixels))])
    assert cosines(together, alone).min() >= 0.9999
    assert cosines(together[:1], together[1:2])[0] < 0.9999


def test_odd_arrays(made: tuple[Encoder, Preprocessing]) -> None:
    fast = EncoderRuntime(*made, device="cpu", threads=1, precision="fp32")
    pixels = blobs(4, 64)
    expected = fast.embed(pixels)
    assert fast.embed(pixels[:0]).shape == (0, 24)
    frozen = pixels.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(fast.embed(frozen), expected)
    np.testing.assert_array_equal(fast.embed(pixels[::-1])[::-1], expected)
    np.testing.assert_array_equal(pixels, blobs(4, 64))
    for wrong in (pixels[0], pixels.astype(np.float32), pixels[:, :63], pixels.transpose(0, 3, 1, 2)):
        with pytest.raises(ValueError, match="uint8"):
            fast.embed(wrong)


def test_the_encoder_is_copied_and_left_as_it_was(made: tuple[Encoder, Preprocessing]) -> None:
    encoder, spec = copy.deepcopy(made[0]).train(), made[1]
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    fast = EncoderRuntime(encoder, spec, device="cpu", threads=1, precision="fp32")
    expected = fast.embed(blobs(2, 64))
    assert encoder.training
    assert all(torch.equal(tensor, encoder.state_dict()[name]) for name, tensor in state.items())
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(fast.embed(blobs(2, 64)), expected)


class Infinite(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) / 0


def test_values_that_are_no_numbers_are_an_error() -> None:
    fast = EncoderRuntime(
        Encoder(Infinite(), nn.Identity(), 3), Preprocessing(input_size=8), device="cpu", precision="fp32"
    )
    with pytest.raises(BadValue, match="not numbers"):
        fast.embed(blobs(1, 8))


def together(calls: int, work: Callable[[int], None]) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_threads_at_once_get_what_one_gets(made: tuple[Encoder, Preprocessing], precision: str) -> None:
    fast = EncoderRuntime(*made, device="cpu", threads=2, precision=precision)
    sets = [blobs(40, 64, seed) for seed in range(3)]
    expected = [fast.embed(pixels) for pixels in sets]

    def work(number: int) -> None:
        for _ in range(4):
            np.testing.assert_allclose(fast.embed(sets[number]), expected[number], atol=1e-5)

    together(3, work)


def test_threads_are_set_inside_and_put_back_outside(made: tuple[Encoder, Preprocessing]) -> None:
    seen: list[int] = []

    class Watching(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return x

    before = torch.get_num_threads()
    encoder = Encoder(made[0].backbone, Watching(), 96)
    try:
        fast = EncoderRuntime(encoder, made[1], device="cpu", threads=2, precision="fp32")
        assert (fast.parallel_calls, fast.threads) == (2, 2)
        together(2, lambda _: fast.embed(blobs(8, 64)) is None)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
        born: list[int] = []
        together(1, lambda _: born.append(torch.get_num_threads()))
        assert born == [2]
    finally:
        torch.set_num_threads(before)


def test_many_cores_are_shared_out() -> None:
    encoder, card = tiny()
    before = torch.get_num_threads()
    try:
        fast = EncoderRuntime(encoder, card.preprocessing, device="cpu", threads=20, precision="fp32")
        assert (fast.parallel_calls, fast._intra) == (8, 2)
    finally:
        torch.set_num_threads(before)


# Choice --------------------------------------------------------------------------------------------------------------


def test_a_choice_is_kept_and_one_from_elsewhere_is_not(
    made: tuple[Encoder, Preprocessing], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EncoderRuntime(*made, device="cpu", threads=2)
    kept = RuntimeChoice.from_dict(first.choice.to_dict())
    assert kept == first.choice
    measured: list[int] = []
    monkeypatch.setattr(runtime, "fastest", lambda *args: measured.append(1) or measure.fastest(*args))
    assert EncoderRuntime(*made, device="cpu", threads=2, choice=kept).choice == kept
    assert measured == []
    EncoderRuntime(*made, device="cpu", threads=2, choice=replace(kept, machine="another"))
    assert measured == [1]
    other = "bf16" if kept.precision == "fp32" else "fp32"
    asked = EncoderRuntime(*made, device="cpu", threads=2, choice=kept, precision=other)
    assert asked.choice.precision == other
    assert measured == [1, 1]


def test_bf16_is_chosen_only_where_it_is_fast(
    made: tuple[Encoder, Preprocessing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "has_fast_bf16", lambda: False)
    assert EncoderRuntime(*made, device="cpu", threads=1).choice.precision == "fp32"
    monkeypatch.setattr(measure, "has_fast_bf16", lambda: True)
    for quick in ("bf16", "fp32"):
        monkeypatch.setattr(
            measure,
            "_seconds",
            lambda _, images, q=quick: 1.0 if (images.dtype == torch.bfloat16) == (q == "bf16") else 2.0,
        )
        assert EncoderRuntime(*made, device="cpu", threads=1).choice.precision == quick


def test_bf16_that_turns_the_embedding_is_not_chosen(
    made: tuple[Encoder, Preprocessing], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Coarse(nn.Module):
        """Small differences between large numbers: lost in half precision."""

        def forward(self, images: Tensor) -> Tensor:
            pooled = images.mean((2, 3))
            return (pooled + 4096) - 4096

    monkeypatch.setattr(measure, "has_fast_bf16", lambda: True)
    monkeypatch.setattr(measure, "_seconds", lambda _, images: 1.0 if images.dtype == torch.bfloat16 else 9.0)
    fast = EncoderRuntime(Encoder(Coarse(), nn.Identity(), 3), Preprocessing(input_size=16), device="cpu", threads=1)
    assert fast.choice.precision == "fp32"


@pytest.mark.parametrize(
    "change", [{"precision": "int8"}, {"mode": "magic"}, {"batch": 0}, {"batch": 2.5}, {"extra": 1}, {"machine": 3}]
)
def test_choices_that_do_not_exist(change: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        RuntimeChoice.from_dict(RuntimeChoice("fp32", 8, "folded").to_dict() | change)


def test_bad_arguments(made: tuple[Encoder, Preprocessing]) -> None:
    for wrong in ({"device": "tpu"}, {"precision": "int8"}, {"threads": 0}):
        with pytest.raises(BadValue):
            EncoderRuntime(*made, **wrong)
    if not torch.cuda.is_available():
        with pytest.raises(BadValue, match="not there"):
            pick_device("cuda")


def test_asking_for_bf16_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_fast_bf16() in (True, False)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "get_capabilities"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert has_fast_bf16() is False


# Probes --------------------------------------------------------------------------------------------------------------


def test_probes_are_always_the_same_pictures() -> None:
    first, again = probe_pixels(Preprocessing(input_size=48)), probe_pixels(Preprocessing(input_size=48, fit="stretch"))
    assert first.shape == (4, 48, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert len({picture.tobytes() for picture in first}) == 4
    assert probe_pixels(Preprocessing(input_size=1)).shape == (4, 1, 1, 3)


def test_probes_tell_encoders_apart_and_precisions_not(made: tuple[Encoder, Preprocessing]) -> None:
    exact = probe_embeddings(EncoderRuntime(*made, device="cpu", threads=1, precision="fp32"))
    rough = probe_embeddings(EncoderRuntime(*made, device="cpu", threads=1, precision="bf16"))
    other = probe_embeddings(
        EncoderRuntime(tiny(head="mlp", dim=24, seed=1)[0], made[1], device="cpu", precision="fp32")
    )
    assert exact.shape == (4, 24)
    assert probes_agree(exact, rough)
    assert not probes_agree(exact, other)
    assert not probes_agree(exact, exact[:, :5])
    one_off = exact.copy()
    one_off[2] = -one_off[2]
    assert not probes_agree(exact, one_off)
    assert not probes_agree(exact, np.full_like(exact, np.nan))


def test_the_shared_weights_in_bf16(mobilenet: tuple[Encoder, Any]) -> None:
    encoder, card = mobilenet
    exact, rough = (
        EncoderRuntime(
            encoder,
            card.preprocessing,
            device="cpu",
            threads=2,
            choice=RuntimeChoice(precision, 8, "prepacked", machine_name("cpu", 2)),
        )
        for precision in ("fp32", "bf16")
    )
    assert (exact.choice.precision, rough.choice.precision) == ("fp32", "bf16")
    pixels = blobs(16, 224)
    close = cosines(exact.embed(pixels), rough.embed(pixels))
    assert close.mean() >= 0.999
    assert close.min() >= AGREEMENT
    assert cosines(by_hand(encoder, card.preprocessing, pixels[:2]), exact.embed(pixels[:2])).min() >= 0.99999
    assert probes_agree(probe_embeddings(exact), probe_embeddings(rough))
