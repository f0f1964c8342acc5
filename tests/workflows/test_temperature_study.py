"""The temperature study from end to end: heads are trained, validation is asked, the test part stays closed."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.settings import load_settings
from retrieval.workflows import temperature_study as module
from retrieval.workflows.embedding_sets import EmbeddedSet
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelled_sets import open_dataset
from retrieval.workflows.temperature_study import TemperatureReport, TemperatureRequest, study_temperature

from .support import index, keep_embeddings
from .test_probing import make


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 6)
    monkeypatch.setattr(module, "SEEDS", 2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes of six pictures: four train, two validate, six prove."""
    return make(tmp_path_factory.mktemp("study"), 12, 6)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, EmbeddedSet]:
    """Embeddings by dataset, made once."""
    return keep_embeddings(monkeypatch)


def run(dataset: Path | str, model: Path | None, hooks: Hooks | None = None, **options: object) -> TemperatureReport:
    request = TemperatureRequest(str(dataset), model and str(model), workers=1, **options)  # type: ignore[arg-type]
    return study_temperature(request, hooks=hooks)


def test_each_temperature_is_trained_and_measured_on_validation(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    report = run(dataset, tiny_model, values=(0.5, 0.05, 0.05), out=page)
    assert [one.temperature for one in report.found] == [0.05, 0.5]
    split = split_store(load_settings(), str(dataset), None).split(open_dataset(str(dataset)))
    assert (report.kind, report.train, report.queries) == ("class-disjoint", len(split.train), len(split.val))
    for one in report.found:
        assert [trial.seed for trial in one.trials] == [0, 1]
        assert all(len(trial.precision) == len(split.val) for trial in one.trials)
    assert report.recommended.temperature in (0.05, 0.5)
    assert "Take τ" in page.read_text("utf-8")
    # The temperature reaches the loss: two heads from one start end apart.
    first, second = (one.trials[0] for one in report.found)
    assert first.uniformity != second.uniformity
    assert first.effective < second.effective


def test_the_same_study_twice_is_the_same_and_never_looks_at_the_test_part(
    dataset: Path, tiny_model: Path, kept: dict[str, EmbeddedSet]
) -> None:
    one, two = (run(dataset, tiny_model, values=(0.1, 0.2)).to_dict() for _ in range(2))
    assert one == two
    (made,) = kept.values()
    split = split_store(load_settings(), str(dataset), None).split(made.labelled)
    random = np.random.default_rng(0).standard_normal(made.vectors.shape).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    # Other embeddings of the test images change nothing; those of validation images do.
    made.vectors[split.test] = random[split.test]
    assert run(dataset, tiny_model, values=(0.1, 0.2)).to_dict() == one
    made.vectors[split.val] = random[split.val]
    assert run(dataset, tiny_model, values=(0.1, 0.2)).to_dict() != one


def test_another_seed_trains_others(dataset: Path, tiny_model: Path) -> None:
    other = run(dataset, tiny_model, values=(0.1, 0.2), seed=5).to_dict()
    assert [seed["seed"] for seed in other["temperatures"][0]["seeds"]] == [5, 6]


def test_without_a_model_the_gallery_gives_its_own(gallery: Path, dataset: Path) -> None:
    index(gallery, dataset)
    said: list[str] = []
    report = run("gallery", None, Hooks(said.append), gallery=gallery, values=(0.1, 0.5))
    assert report.model == "tiny"
    assert any("gallery's encoder" in line for line in said)


@pytest.mark.parametrize(
    ("values", "words"),
    [((0.1,), "two temperatures"), ((0.1, 0.0), "not between"), ((0.1, float("nan")), "not between")],
)
def test_temperatures_that_cannot_be(dataset: Path, tiny_model: Path, values: tuple[float, ...], words: str) -> None:
    with pytest.raises(BadValue, match=words):
        run(dataset, tiny_model, values=values)


def test_what_else_cannot_be(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="no folder for"):
        run(dataset, tiny_model, out=tmp_path / "nothing" / "page.html")
    with pytest.raises(BadValue, match="Label"):
        run(make(tmp_path / "few", 3, 2), tiny_model)


def test_a_validation_part_without_a_pair_is_refused_before_anything_is_trained(
    tiny_model: Path, tmp_path: Path
) -> None:
    dataset, told = tmp_path / "five", list[str]()
    for start, (part, each) in enumerate({"train": 2, "val": 1, "test": 2}.items()):
        make(dataset / part, 3, each, start=10 * start)
    with pytest.raises(BadValue, match="3 images of 3 classes: a temperature is measured"):
        run(dataset, tiny_model, Hooks(working=lambda what, *_: told.append(what)))
    assert not any("Temperature" in what for what in told)


def test_it_stops_when_asked(dataset: Path, tiny_model: Path) -> None:
    told: list[str] = []
    hooks = Hooks(working=lambda what, *_: told.append(what), stop=lambda: "Temperature 0.1" in told)
    with pytest.raises(Interrupted):
        run(dataset, tiny_model, hooks, values=(0.1, 0.2))
