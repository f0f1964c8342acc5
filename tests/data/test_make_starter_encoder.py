"""Making the encoder that comes with the package from a run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from retrieval.models.folder import load_encoder, verify_folder

SCRIPT = Path(__file__).resolve().parents[2] / "data" / "make_starter_encoder.py"


def test_it_is_rounded_described_and_replaced(tiny_model: Path, other_model: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_starter_encoder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.MOST_BYTES = 100_000_000  # the tiny one of the tests has few operations and many weights
    target = tmp_path / "starter"
    target.mkdir()
    (target / "README.md").write_text("for people")
    for folder in (other_model, tiny_model):
        published = module.publish(folder, target, input_size=40)
    card = verify_folder(target)
    assert card == published
    assert (card.name, card.licence, card.preprocessing.input_size) == ("starter", "mit", 40)
    assert card.origin.endswith("rounded to float16")
    assert (target / "README.md").read_text() == "for people"
    assert not list(tmp_path.glob("*.making"))
    own, given = load_encoder(target)[0].state_dict(), load_encoder(tiny_model)[0].state_dict()
    assert all(
        bool((own[name] == (t.half().float() if t.is_floating_point() else t)).all()) for name, t in given.items()
    )
    sys.modules.pop("make_starter_encoder", None)
