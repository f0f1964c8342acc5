"""Fine-tuning and distillation after training without labels, on drawn pictures: from end to end, resumed, refused."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from retrieval.core.errors import BadValue, Interrupted, NoSuchPath
from retrieval.core.labelled import Split
from retrieval.core.types import Ids
from retrieval.datasets.folder import from_folder
from retrieval.datasets.view_sources import ViewSource
from retrieval.models.folder import load_encoder, verify_folder
from retrieval.workflows.classifying import WithLabels, classifier_of
from retrieval.workflows.distilling import DistilRequest, distil
from retrieval.workflows.finetuning import FinetuneRequest, chosen_labels, finetune
from retrieval.workflows.gate import evidence_against
from retrieval.workflows.pretrain_request import PretrainReport
from retrieval.workflows.pretraining import PretrainRequest, TrainingHooks, pretrain
from retrieval.workflows.recipes import ViewRecipe, load_distil_recipes, load_finetune_recipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.seen_contents import contents_of
from retrieval.workflows.train_request import TrainReport

from .support import fill
from .test_pretraining import quick
from .training_support import same_weights

QUICK = {"epochs": "2", "batch_size": "8", "log_every": "1", "learning_rate": "0.01"}


def tuning(**changes: str) -> ViewRecipe:
    return load_finetune_recipe(settings={**QUICK, **changes})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of eight pictures: a class is a colour, the picture around it is chance."""
    folder = tmp_path_factory.mktemp("dataset")
    random = np.random.default_rng(0)
    for name, colour in (("red", (220, 60, 60)), ("green", (60, 200, 60)), ("blue", (60, 60, 220))):
        (folder / name).mkdir()
        for n in range(8):
            pixels = np.clip(colour + random.normal(0, 40, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def seen(dataset: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without labels."""
    out = tmp_path_factory.mktemp("runs") / "seen"
    pretrain(PretrainRequest(str(dataset), quick("simclrv2", epochs="1"), out, str(tiny_model), workers=1))
    return out


def request(run: Path, dataset: object, out: Path, **changes: object) -> FinetuneRequest:
    return replace(FinetuneRequest(run, str(dataset), tuning(), out, workers=1), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tuned(seen: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    out = tmp_path_factory.mktemp("runs") / "tuned"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRIEVAL_DATA", str(out.parent / "data"))
        return out, finetune(request(seen, dataset, out, recipe=tuning(epochs="12")))


def test_fine_tuning_goes_on_from_the_first_hidden_layer(tuned: tuple[Path, TrainReport], seen: Path) -> None:
    out, report = tuned
    card, before = verify_folder(out / "encoder"), verify_folder(seen / "encoder")
    assert (card.head, card.dimension, before.head) == ("hidden", 16, "none")
    assert card.fingerprint == report.fingerprint
    assert report.start == before.name
    assert "fine-tuned with" in card.origin
    kept = load_file(out / "method.safetensors")
    assert {name: list(tensor.shape) for name, tensor in kept.items()} == {
        "classifier.weight": [3, 16],
        "classifier.bias": [3],
    }


@pytest.mark.slow
def test_it_starts_with_what_was_learned_without_labels(seen: Path, dataset: Path, tmp_path: Path) -> None:
    """Without a step, the head is the projector's first layer as the run has left it."""
    finetune(request(seen, dataset, tmp_path / "run", recipe=tuning(epochs="0")))
    head = load_encoder(tmp_path / "run" / "encoder")[0].head.state_dict()
    kept = load_file(seen / "method.safetensors")
    for name in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        assert torch.equal(head[name], kept[f"projector.{name}"]), name


def test_accuracy_and_retrieval_are_measured_on_held_out_images(tuned: tuple[Path, TrainReport], dataset: Path) -> None:
    out, report = tuned
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(report.metrics))
    found = metrics["classification"]
    assert found["accuracy"]["low"] <= found["accuracy"]["mean"] <= found["accuracy"]["high"]
    # Colours are easy: an encoder that learned nothing would name a third of them.
    assert found["accuracy"]["mean"] > 0.6
    assert (found["queries"], found["excluded"], found["labels"]) == (report.parts["test"], 0, report.parts["train"])
    assert metrics["split"]["kind"] == "grouped"
    for name in ("recall_at_1", "map_at_r"):
        assert metrics["comparison"][name].keys() >= {"mean", "low", "high", "before", "after"}
    assert "accuracy" in (out / "report.html").read_text(encoding="utf-8")
    # It is a proof like any other's.
    assert all("without labels" not in refusal.why for refusal in evidence_against(RunFolder(out)))


def test_images_that_prove_and_were_seen_without_labels_are_counted(
    tuned: tuple[Path, TrainReport], seen: Path, dataset: Path, tmp_path: Path
) -> None:
    """The run without labels saw the whole dataset; one that did not say which images it saw is not spoken of."""
    report = tuned[1]
    assert report.metrics["seen_without_labels"] == report.parts["test"] > 0
    assert "learned from without labels" in (tuned[0] / "report.html").read_text()
    contents = contents_of(RunFolder(seen))
    assert contents == {sha256(path.read_bytes()).digest() for path in dataset.rglob("*") if path.is_file()}
    assert contents_of(RunFolder(tmp_path)) is None


def test_the_accuracy_is_that_of_the_kept_classifier(tuned: tuple[Path, TrainReport]) -> None:
    """A slow loop over the files of the test part, by what lies in the folder."""
    from retrieval.images.decode import decode

    out, report = tuned
    teacher = classifier_of(out)
    assert teacher.classes == ["blue", "green", "red"]
    spec = teacher.card.preprocessing
    right = []
    for path in json.loads((out / "split.json").read_text())["test"]:
        _, pixels = decode(Path(path).read_bytes(), spec)
        image = (torch.from_numpy(pixels.copy()).float() / 255 - torch.tensor(spec.mean)) / torch.tensor(spec.std)
        with torch.no_grad():
            answer = int(teacher.classifier(image.permute(2, 0, 1)[None]).argmax())
        right.append(teacher.classes[answer] == Path(path).parent.name)
    assert np.mean(right) == pytest.approx(report.metrics["classification"]["accuracy"]["mean"])


@pytest.mark.slow
def test_a_fraction_takes_equally_many_of_each_class(
    seen: Path, dataset: Path, tmp_path: Path, tuned: tuple[Path, TrainReport]
) -> None:
    said: list[str] = []
    asked = request(seen, dataset, tmp_path / "run", fraction=0.2)
    report = finetune(asked, hooks=TrainingHooks(say=said.append))
    assert report.metrics["classification"]["labels"] == 3
    assert report.metrics["classification"]["fraction"] == 0.2
    assert any("3 labels of" in line for line in said)
    labelled = from_folder(dataset)
    everything = np.arange(len(labelled), dtype=np.int64)
    split = Split(everything, everything[:0], everything[:0], "grouped", 0)
    for seed in (0, 1):
        chosen = chosen_labels(labelled, split, 0.25, seed)
        assert np.bincount(labelled.numbers[chosen]).tolist() == [2, 2, 2]
    assert chosen_labels(labelled, split, 0.25, 0).tolist() == chosen_labels(labelled, split, 0.25, 0).tolist()
    assert chosen_labels(labelled, split, 0.25, 0).tolist() != chosen.tolist()
    assert chosen_labels(labelled, split, 1, 0).tolist() == everything.tolist()


@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_bit_for_bit(seen: Path, dataset: Path, tmp_path: Path) -> None:
    whole, parts, steps = tmp_path / "whole", tmp_path / "parts", []
    finetune(request(seen, dataset, whole))
    asked = request(seen, dataset, parts)
    with pytest.raises(Interrupted, match="Stopped after 3 steps"):
        finetune(asked, hooks=TrainingHooks(progress=steps.append, stop=lambda: len(steps) >= 3))
    with pytest.raises(BadValue, match="started with another fraction"):
        finetune(replace(asked, resume=True, fraction=0.5))
    finetune(replace(asked, resume=True))
    assert same_weights(whole, parts)
    one, other = (load_file(folder / "method.safetensors") for folder in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_without_a_hidden_layer_it_begins_at_the_embedding(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    recipe = quick("autoencoder", epochs="1")
    pretrain(PretrainRequest(str(dataset), recipe, tmp_path / "seen", str(tiny_model), workers=1))
    said: list[str] = []
    asked = request(tmp_path / "seen", dataset, tmp_path / "run", recipe=tuning(epochs="1"))
    finetune(asked, hooks=TrainingHooks(say=said.append))
    card = verify_folder(tmp_path / "run" / "encoder")
    assert (card.head, card.dimension) == ("none", verify_folder(tiny_model).dimension)
    assert any("no projector with a hidden layer" in line and "embedding itself" in line for line in said)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"fraction": 0.0}, BadValue, "above 0"),
        ({"fraction": 1.5}, BadValue, "at most 1"),
        ({"split": "half"}, BadValue, "no split"),
        ({"run": Path("nowhere")}, NoSuchPath, "no run folder"),
        ({"dataset": "nowhere"}, NoSuchPath, "no dataset"),
    ],
)
def test_what_cannot_be_fine_tuned_is_refused_in_one_line(
    changes: dict[str, object], error: type[Exception], words: str, seen: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        finetune(replace(request(seen, dataset, tmp_path / "run"), **changes))  # type: ignore[arg-type]
    assert "\n" not in caught.value.message  # type: ignore[attr-defined]
    assert not (tmp_path / "run").exists()


# -- distillation ---------------------------------------------------------------------------------------------------


def distilling(teacher: Path, student: object, dataset: Path, out: Path, labels: Path | None = None) -> DistilRequest:
    features, answers = load_distil_recipes(QUICK, with_labels=labels is not None)
    return DistilRequest(
        str(teacher), str(student), str(dataset), features, out, labels and str(labels), answers, workers=1
    )


@pytest.mark.slow
def test_a_student_learns_the_teachers_features_without_labels(
    seen: Path, dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    report = distil(distilling(seen, other_model, dataset, tmp_path / "run"))
    assert isinstance(report, PretrainReport)
    card = verify_folder(tmp_path / "run" / "encoder")
    assert (card.fingerprint, report.start) == (report.fingerprint, "other")
    assert "distilled from tiny-simclrv2" in card.origin
    history = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"cosine", "similarity"} <= {key for line in history for key in line}
    losses = [line["loss"] for line in history if line["kind"] == "step"]
    assert losses[-1] < losses[0]
    said = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert said["teacher"]["fingerprint"] == verify_folder(seen / "encoder").fingerprint
    assert report.metrics["labelled"]["used_to_choose"] is False


def test_the_teacher_stays_as_it_is(seen: Path, dataset: Path, other_model: Path, tmp_path: Path) -> None:
    distil(distilling(seen, other_model, dataset, tmp_path / "run"))
    stored = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["method"]
    for name, tensor in load_encoder(seen / "encoder")[0].state_dict().items():
        assert torch.equal(stored[f"teacher.{name}"], tensor), name


def test_a_student_that_is_built_anew_sees_the_teachers_pixels(seen: Path, dataset: Path, tmp_path: Path) -> None:
    distil(distilling(seen, "untrained:test_resnet", dataset, tmp_path / "run"))
    card, teacher = verify_folder(tmp_path / "run" / "encoder"), verify_folder(seen / "encoder")
    assert card.backbone == "test_resnet"
    assert card.preprocessing == teacher.preprocessing


def test_a_student_of_other_pixels_is_refused(seen: Path, dataset: Path, tmp_path: Path) -> None:
    from retrieval.workflows.models import create_model

    create_model(tmp_path / "big", backbone="test_efficientnet", untrained=True, input_size=64)
    with pytest.raises(BadValue, match="pictures of 64 pixels") as caught:
        distil(distilling(seen, tmp_path / "big", dataset, tmp_path / "run"))
    assert "model create" in caught.value.hint


@pytest.mark.slow
def test_with_labels_the_teachers_answers_follow(
    tuned: tuple[Path, TrainReport], dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    more = fill(tmp_path / "more", range(6))
    report = distil(distilling(tuned[0], other_model, more, tmp_path / "run", labels=dataset))
    assert isinstance(report, TrainReport)
    metrics = report.metrics
    assert metrics["teacher_classification"]["accuracy"]["mean"] == pytest.approx(
        tuned[1].metrics["classification"]["accuracy"]["mean"]
    )
    assert 0 <= metrics["classification"]["accuracy"]["mean"] <= 1
    assert metrics["seen_without_labels"] == 0
    assert metrics["start"]["fingerprint"] == verify_folder(tmp_path / "run" / "features" / "encoder").fingerprint
    assert verify_folder(tmp_path / "run" / "encoder").fingerprint == report.fingerprint
    assert classifier_of(tmp_path / "run").classes == ["blue", "green", "red"]
    history = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"labelled", "soft", "agreement"} <= {key for line in history for key in line}


@pytest.mark.slow
def test_images_that_prove_and_were_seen_are_counted(
    tuned: tuple[Path, TrainReport], dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    report = distil(distilling(tuned[0], other_model, dataset, tmp_path / "run", labels=dataset))
    assert isinstance(report, TrainReport)
    assert report.metrics["seen_without_labels"] == report.parts["test"]


@pytest.mark.slow
def test_only_labels_of_the_training_part_are_learned(
    tuned: tuple[Path, TrainReport], dataset: Path, other_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class folders of the unlabelled images are no labels, least of all those of images that prove."""
    given: list[Ids] = []

    class Recorded(WithLabels):
        def __init__(self, source: ViewSource, numbers: Ids) -> None:
            given.append(numbers)
            super().__init__(source, numbers)

    monkeypatch.setattr("retrieval.workflows.distilling.WithLabels", Recorded)
    report = distil(distilling(tuned[0], other_model, dataset, tmp_path / "run", labels=dataset))
    assert isinstance(report, TrainReport)
    (numbers,) = given
    assert (len(numbers), int((numbers >= 0).sum())) == (24, report.parts["train"])
    assert (numbers[: report.parts["train"]] >= 0).all()


@pytest.mark.slow
def test_distillation_goes_on_where_it_was_stopped(
    tuned: tuple[Path, TrainReport], dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    distil(distilling(tuned[0], other_model, dataset, whole, labels=dataset))
    asked = distilling(tuned[0], other_model, dataset, parts, labels=dataset)
    for stop_after in (2, 8):  # in the first part (6 steps) and in the second
        steps: list[object] = []
        begun = replace(asked, resume=stop_after == 8)
        with pytest.raises(Interrupted):
            distil(begun, hooks=TrainingHooks(progress=steps.append, stop=lambda: len(steps) >= stop_after))  # noqa: B023
    distil(replace(asked, resume=True))
    assert same_weights(whole / "features", parts / "features")
    assert same_weights(whole, parts)


def test_a_teacher_without_a_classifier_answers_nothing(
    seen: Path, dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadValue, match="no classifier") as caught:
        distil(distilling(seen, other_model, dataset, tmp_path / "run", labels=dataset))
    assert "retrieval finetune" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_labels_that_the_teacher_does_not_know_are_refused(
    tuned: tuple[Path, TrainReport], dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    fill(tmp_path / "set" / "red", range(2))
    fill(tmp_path / "set" / "mauve", range(2, 4))
    with pytest.raises(BadValue, match="'mauve'"):
        distil(distilling(tuned[0], other_model, dataset, tmp_path / "run", labels=tmp_path / "set"))
