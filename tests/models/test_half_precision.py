"""The packaged starter in half precision, on the project's own pictures: on the processor, and on a GPU, too."""

import functools

import numpy as np
import pytest
import torch

from retrieval.core.types import Pixels
from retrieval.datasets.samples import samples_folder
from retrieval.images.decode import decode
from retrieval.models.choice import RuntimeChoice, machine_name
from retrieval.models.probes import AGREEMENT, cosines, probe_embeddings, probes_agree
from retrieval.models.runtime import GPU_BATCH, EncoderRuntime
from retrieval.models.starter import load_starter


@functools.cache
def pictures() -> Pixels:
    """[n, S, S, 3] uint8: one sample of each class, as the starter gets them."""
    _, card = load_starter()
    files = [sorted(folder.glob("*.jpg"))[0] for folder in sorted(samples_folder().iterdir()) if folder.is_dir()]
    return np.stack([decode(file.read_bytes(), card.preprocessing)[1] for file in files])


def runtime(device: str, precision: str, batch: int, mode: str) -> EncoderRuntime:
    """The starter, in this precision and no other."""
    encoder, card = load_starter()
    choice = RuntimeChoice(precision, batch, mode, machine_name(device, 2))
    made = EncoderRuntime(encoder, card.preprocessing, device=device, threads=2, precision=precision, choice=choice)
    assert made.choice == choice
    return made


def assert_close(exact: EncoderRuntime, rough: EncoderRuntime) -> None:
    """Half precision may turn embeddings a little, and change none beyond recognition."""
    close = cosines(exact.embed(pictures()), rough.embed(pictures()))
    assert len(close) >= 24
    assert close.mean() >= 0.999
    assert close.min() >= AGREEMENT
    # The same numbers would mean that nothing was computed in half precision.
    assert close.min() < 1 - 1e-7
    assert probes_agree(probe_embeddings(exact), probe_embeddings(rough))


@pytest.mark.parametrize("mode", ["folded", "prepacked"])
def test_the_starter_in_bf16(mode: str) -> None:
    if mode == "prepacked" and not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    assert_close(runtime("cpu", "fp32", 8, "folded"), runtime("cpu", "bf16", 8, mode))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_starter_on_a_gpu_in_half_precision(precision: str) -> None:
    exact = runtime("cpu", "fp32", 8, "folded")
    assert_close(exact, runtime("cuda", precision, GPU_BATCH["cuda"], "folded"))
    encoder, card = load_starter()
    # Left to itself it takes half precision too, and gives the same picture the same place alone and in a batch.
    chosen = EncoderRuntime(encoder, card.preprocessing, device="cuda")
    assert chosen.choice.precision in ("fp16", "bf16")
    assert cosines(chosen.embed(pictures()), exact.embed(pictures())).mean() >= 0.999
    assert cosines(chosen.embed(pictures()[:1]), chosen.embed(pictures())[:1]).min() >= AGREEMENT
