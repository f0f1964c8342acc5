"""Distilling from views that come again: the teacher looks at each once, and what it said is what it would say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.settings import Settings, load_settings
from retrieval.datasets.prepared import Prepared
from retrieval.functional.batch import Batch
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.folder import load_encoder, verify_folder
from retrieval.workflows import kept_targets as module
from retrieval.workflows.distilling import DistilRequest, distil
from retrieval.workflows.kept_targets import kept_targets, taught_source, whitened
from retrieval.workflows.labelled_sets import open_pictures
from retrieval.workflows.models import create_model
from retrieval.workflows.prepared_pictures import prepared_pictures
from retrieval.workflows.recipes import DISTIL_RECIPES, ViewRecipe, load_distil_recipes
from retrieval.workflows.train_request import TrainingHooks

from .support import fill

KEPT = DISTIL_RECIPES["feature_distillation"].with_values(
    {"views_kept": "2", "batch_size": "4", "epochs": "3", "device": "cpu", "precision": "32-true", "look.jitter": "0.5"}
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A cache of its own."""
    return replace(load_settings({}), cache=tmp_path / "cache", data=tmp_path / "data", threads=1, precision="fp32")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two labels of five pictures."""
    fill(tmp_path / "set" / "red", range(5))
    fill(tmp_path / "set" / "blue", range(5, 10))
    return tmp_path / "set"


@pytest.fixture
def prepared(dataset: Path, tiny_model: Path, settings: Settings) -> Prepared:
    """Its pictures."""
    spec = load_encoder(tiny_model)[1].preprocessing
    pictures = open_pictures(str(dataset))
    return prepared_pictures(pictures, spec, settings, TrainingHooks(), workers=1, needs_labels=False)


def kept(prepared: Prepared, model: Path, settings: Settings, views: int = 2, **hooks: Any) -> np.ndarray:
    encoder, card = load_encoder(model)
    looks = KEPT.views_at(card.preprocessing.input_size)
    return kept_targets(prepared, encoder, card, looks, views, 0, settings, TrainingHooks(**hooks))


def source_of(prepared: Prepared, model: Path, settings: Settings, recipe: ViewRecipe = KEPT) -> Any:
    encoder, card = load_encoder(model)
    spec = card.preprocessing
    augment = BatchAugment(recipe.views_at(spec.input_size), spec.mean, spec.std)
    return taught_source(prepared, encoder, card, augment, recipe, 4, settings, TrainingHooks())[0]


def test_what_is_kept_is_what_the_teacher_says_of_the_very_view(
    prepared: Prepared, tiny_model: Path, settings: Settings
) -> None:
    """The student's batches beside the teacher asked anew: views, targets and labels belong together, in any epoch."""
    encoder, _ = load_encoder(tiny_model)
    source = source_of(prepared, tiny_model, settings)
    for epoch in (0, 1, 5):
        for batch in source.batches(epoch):
            with torch.inference_mode():
                said = encoder(batch.inputs).normalised
            # The teacher's pixels are rounded to 8 bits, and its answers to half floats.
            torch.testing.assert_close(batch.targets, said, atol=6e-3, rtol=0)
            assert torch.equal(batch.labels, torch.from_numpy(prepared.labelled.numbers)[batch.ids])
    targets = kept(prepared, tiny_model, settings)
    assert float(np.abs(targets[0].astype(np.float32) - targets[1]).max()) > 0.02  # two views are two


def test_views_come_again_and_batches_do_not(prepared: Prepared, tiny_model: Path, settings: Settings) -> None:
    source = source_of(prepared, tiny_model, settings)

    def of(epoch: int) -> list[Batch]:
        return list(source.batches(epoch))

    def by_id(epoch: int) -> torch.Tensor:
        batches = of(epoch)
        ids, views = torch.cat([b.ids for b in batches]), torch.cat([b.inputs for b in batches])
        return torch.stack([views[(ids == i).nonzero()[0, 0]] for i in range(len(prepared))])

    assert torch.equal(by_id(0), by_id(2))
    assert not torch.equal(by_id(0), by_id(1))
    assert [b.ids.tolist() for b in of(0)] != [b.ids.tolist() for b in of(2)]


def test_the_teacher_looks_once_whatever_the_number_of_runs(
    prepared: Prepared, tiny_model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = np.array(kept(prepared, tiny_model, settings, views=1))
    more = np.array(kept(prepared, tiny_model, settings, views=3))
    assert np.array_equal(first[0], more[0])
    monkeypatch.setattr(module, "runtime_of", _fails)
    assert np.array_equal(kept(prepared, tiny_model, settings, views=3), more)
    assert np.array_equal(kept(prepared, tiny_model, settings, views=2), more[:2])


def test_a_teacher_that_is_stopped_or_torn_goes_on(
    prepared: Prepared, tiny_model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 4)
    whole = np.array(kept(prepared, tiny_model, replace(settings, cache=settings.cache / "other")))
    for _ in range(2):
        with pytest.raises(Interrupted, match="teacher looked"):
            kept(prepared, tiny_model, settings, stop=lambda: True)
    (file,) = settings.cache.glob("targets/*/targets.f16")
    size = file.stat().st_size
    assert size == 2 * 4 * whole.shape[2] * 2
    with open(file, "ab") as torn:
        torn.write(b"torn")
    # Which way of running the teacher is the fastest is measured anew: equal but for rounding.
    np.testing.assert_allclose(np.array(kept(prepared, tiny_model, settings)), whole, atol=2e-3)
    assert file.stat().st_size == whole.nbytes


def test_another_teacher_or_other_views_are_kept_apart(
    prepared: Prepared, tiny_model: Path, other_model: Path, settings: Settings
) -> None:
    kept(prepared, tiny_model, settings)
    kept(prepared, other_model, settings)
    assert len(list(settings.cache.glob("targets/*"))) == 2


def test_whitened_targets_are_those_of_the_longer_teacher(
    prepared: Prepared, tiny_model: Path, settings: Settings
) -> None:
    encoder, card = load_encoder(tiny_model)
    targets = kept(prepared, tiny_model, settings)
    made, longer = whitened(targets, encoder, card, 6, 0.5)
    assert made.shape == (2, len(prepared), 6)
    rows = torch.from_numpy(targets[1].astype(np.float32))
    with torch.inference_mode():
        said = torch.nn.functional.normalize(longer.projections(rows), dim=1)
    torch.testing.assert_close(torch.from_numpy(made[1].astype(np.float32)), said, atol=2e-3, rtol=0)
    # What all images share is gone.
    assert float(np.abs(made[0].astype(np.float32).mean(0)).max()) < 0.3


def asked(dataset: Path, teacher: Path, student: object, out: Path, **settings: str) -> DistilRequest:
    values = {"epochs": "2", "batch_size": "4", "device": "cpu", "precision": "32-true", "views_kept": "2"}
    values |= {"log_every": "1"} | settings
    features, _ = load_distil_recipes(values)
    return DistilRequest(str(teacher), str(student), str(dataset), features, out, workers=1)


def test_a_student_of_smaller_pictures_learns_from_kept_answers(
    dataset: Path, tiny_model: Path, settings: Settings, tmp_path: Path
) -> None:
    create_model(tmp_path / "small", backbone="test_resnet", untrained=True, input_size=24)
    request = asked(
        dataset, tiny_model, tmp_path / "small", tmp_path / "run",
        **{"target_dimension": "6", "whitening": "0.5", "feature_distillation.supervised": "0.1"},
    )  # fmt: skip
    report: Any = distil(request, settings=settings)
    card = verify_folder(tmp_path / "run" / "encoder")
    assert (card.backbone, card.preprocessing.input_size) == ("test_resnet", 24)
    assert report.metrics["labelled"]["learned"] is True
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert '"supervised"' in log


def test_such_a_run_goes_on_where_it_was_stopped(
    dataset: Path, tiny_model: Path, other_model: Path, settings: Settings, tmp_path: Path
) -> None:
    whole, parts = (asked(dataset, tiny_model, other_model, tmp_path / name) for name in ("whole", "parts"))
    distil(whole, settings=settings)
    steps: list[object] = []
    hooks = TrainingHooks(progress=steps.append, stop=lambda: len(steps) >= 1)
    with pytest.raises(Interrupted):
        distil(parts, settings=settings, hooks=hooks)
    distil(replace(parts, resume=True), settings=settings)
    one, other = (verify_folder(tmp_path / name / "encoder").fingerprint for name in ("whole", "parts"))
    assert one == other


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"views_kept": "0", "target_dimension": "6"}, "where views_kept is"),
        ({"whitening": "0.5"}, "needs a target_dimension"),
        ({"views_kept": "0", "feature_distillation.supervised": "1.0"}, "needs views_kept"),
    ],
)
def test_values_that_do_not_fit_together(settings_: dict[str, str], words: str) -> None:
    with pytest.raises(BadValue, match=words):
        load_distil_recipes({"views_kept": "2"} | settings_)


def test_more_directions_than_there_are(
    dataset: Path, tiny_model: Path, other_model: Path, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(BadValue, match="no 5000 main directions"):
        distil(asked(dataset, tiny_model, other_model, tmp_path / "run", target_dimension="5000"), settings=settings)


def _fails(*_: Any) -> Any:
    raise AssertionError("the teacher was asked again")
