"""Making the encoder that comes with the package from a run."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import torch

from retrieval.images.decode import decode
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
    # What all pictures shared is gone from their embeddings.
    pixels = np.stack([decode(Path(os.fsdecode(i.path)).read_bytes(), card.preprocessing)[1] for i in pictures.images])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (card.preprocessing.mean, card.preprocessing.std))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).sub(mean).div(std)
    with torch.inference_mode():
        means = [one(images).normalised.mean(0).norm() for one in (given, encoder)]
    assert float(means[1]) < 0.5 * float(means[0])
