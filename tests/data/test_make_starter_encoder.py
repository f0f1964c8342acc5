"""Making the encoder that comes with the package from a run."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import torch

from retrieval.images.decode import decode
from retrieval.models.card import OWN_POOLING
from retrieval.models.folder import load_encoder, verify_folder
from retrieval.workflows.labelled_sets import open_pictures
from tests.conftest import draw

SCRIPT = Path(__file__).resolve().parents[2] / "data" / "make_starter_encoder.py"


def test_it_is_whitened_rounded_described_and_replaced(tiny_model: Path, other_model: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_starter_encoder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.MOST_BYTES = 100_000_000  # the tiny one of the tests has few operations and many weights
    for n in range(40):
        draw(tmp_path / "pictures" / f"{n}.png", n)
    pictures = open_pictures(str(tmp_path / "pictures"))
    target = tmp_path / "starter"
    target.mkdir()
    (target / "README.md").write_text("for people")
    for folder in (other_model, tiny_model):
        published = module.publish(folder, pictures, target)
    card = verify_folder(target)
    assert card == published
    assert (card.name, card.licence, len(card.projections)) == ("starter", "mit", 2)
    assert card.origin.endswith("; pooled over all levels; whitened, power 0.75; rounded to float16")
    assert (target / "README.md").read_text() == "for people"
    assert not list(tmp_path.glob("*.making"))
    encoder, given = load_encoder(target)[0], load_encoder(tiny_model)[0]
    own, theirs = encoder.backbone.get_submodule("body").state_dict(), given.backbone.state_dict()
    assert all(
        torch.equal(t, theirs[name].half().float() if t.is_floating_point() else theirs[name])
        for name, t in own.items()
    )
    # And back: the backbone that a further run begins with.
    begun, plain = module.unpack(tmp_path / "student", target), load_encoder(tmp_path / "student")[0]
    assert begun == verify_folder(tmp_path / "student")
    assert (begun.pooling, begun.projections, begun.trained) == (OWN_POOLING, (), True)
    assert all(torch.equal(t, plain.backbone.state_dict()[name]) for name, t in own.items())
    assert card.fingerprint[:12] in begun.origin
    # What all pictures shared is gone from their embeddings.
    pixels = np.stack([decode(Path(os.fsdecode(i.path)).read_bytes(), card.preprocessing)[1] for i in pictures.images])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (card.preprocessing.mean, card.preprocessing.std))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).sub(mean).div(std)
    with torch.inference_mode():
        means = [one(images).normalised.mean(0).norm() for one in (given, encoder)]
    assert float(means[1]) < 0.5 * float(means[0])


def test_what_a_run_learned_is_averaged_with_what_it_began_with(tiny_model: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_starter_encoder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (own, card), (before, _), (begun, _) = (load_encoder(tiny_model) for _ in range(3))
    with torch.no_grad():
        for parameter in own.backbone.parameters():
            parameter.add_(1.0)
    made, described = module.averaged(own, card, begun)
    for name, parameter in made.backbone.named_parameters():
        assert torch.allclose(parameter, before.backbone.get_parameter(name) + 0.75, atol=1e-6)
    assert described.origin.endswith("; weights averaged with those it began with, 0.75")
    assert described.fingerprint != card.fingerprint
