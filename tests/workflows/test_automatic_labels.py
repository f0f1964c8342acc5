"""Labels that neighbours vote for, and what a calibrated gallery says."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.catalog import AUTOMATIC, PERSON
from retrieval.core.errors import BadValue
from retrieval.core.types import Matches
from retrieval.workflows import labels as workflow
from retrieval.workflows.automatic_labels import auto_label, vote
from retrieval.workflows.calibrating import LabelledSpace, calibrate_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.questions import next_questions
from retrieval.workflows.searching import Searcher

from .support import carried, id_of, index, picture, save


@pytest.fixture(scope="session")
def _crowd_once(tmp_path_factory: pytest.TempPathFactory, _blank_once: Path) -> tuple[Path, Path]:
    """Three kinds of picture, eight each in folders of their own, and nine without a folder: three of each kind."""
    base = tmp_path_factory.mktemp("crowd")
    for kind in range(3):
        for n in range(11):
            image = np.asarray(picture(kind, (48, 36))).astype(np.int16)
            noise = np.random.default_rng([kind, n]).integers(-12, 13, image.shape)
            place = base / "photos" / (f"kind {kind}" if n < 8 else "") / f"{kind}-{n}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(place)
    shutil.copytree(_blank_once, base / "gallery")
    index(base / "gallery", base / "photos")
    return base / "gallery", base / "photos"


@pytest.fixture
def crowd(_crowd_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    return Path(shutil.copytree(_crowd_once[0], tmp_path / "crowd")), _crowd_once[1]


def test_what_has_no_label_is_labelled_as_its_neighbours_are_and_undone_at_once(crowd: tuple[Path, Path]) -> None:
    gallery, _ = crowd
    before = carried(gallery)
    assert len(before) == 24
    report = auto_label(gallery, least=0.8)
    assert (report.proposed, report.added, report.unsure, report.learned_from) == (9, 9, 0, 24)
    assert report.accuracy == 1.0
    after = carried(gallery)
    for name, labels in after.items():
        assert labels == (f"kind {name[0]}",)
    with Gallery(gallery) as opened:
        events = list(opened.catalog.labels.standing(sources=[AUTOMATIC]))
        assert len(events) == 9
        assert all(event.confidence is not None and 0.8 <= event.confidence <= 1 for event in events)
        # Nobody learns from what nobody has confirmed.
        assert len(opened.catalog.labels.chosen()) == 24
    assert workflow.export_csv(gallery, gallery.parent / "trusted.csv") == 24
    assert workflow.export_csv(gallery, gallery.parent / "all.csv", automatic=True) == 33
    undone, taken = workflow.undo(gallery)
    assert (undone.id, undone.kind, taken.removed) == (report.operation, "automatic", 9)
    assert carried(gallery) == before


def test_a_later_run_replaces_the_earlier_one(crowd: tuple[Path, Path]) -> None:
    gallery, photos = crowd
    first = auto_label(gallery, least=0.8)
    assert auto_label(gallery, least=0.8).operation is None
    # A person says what one of them is: it is asked no more.
    workflow.set_label(gallery, [str(photos / "0-8.png")], "special")
    second = auto_label(gallery, least=0.8)
    assert (second.proposed, second.added, second.removed) == (8, 0, 1)
    assert carried(gallery)["0-8.png"] == ("special",)
    workflow.undo(gallery)
    assert carried(gallery)["0-8.png"] == ("kind 0", "special")
    assert first.proposed == 9


def test_what_is_like_nothing_that_is_labelled_stays_without(crowd: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, _ = crowd
    index(gallery, save(tmp_path / "odd.png", 4321))
    measured = calibrate_space(gallery)
    # Twenty-four of thirty-four have a label.
    assert (measured["margin"], measured["margin_among"], measured["margin_alarms"]) == (None, 0, None)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        best = searcher.by_id(id_of(gallery, tmp_path / "odd.png"), 1).neighbours[0].score
        # As if the threshold had been measured among more kinds of picture.
        opened.catalog.calibrations.add(opened.live_space().id, {**measured, "threshold": best + 0.01})
    report = auto_label(gallery, least=0.0)
    assert (report.proposed, report.unsure) == (9, 1)
    assert "odd.png" not in carried(gallery)


def test_learning_from_people_alone_leaves_folders_out(crowd: tuple[Path, Path]) -> None:
    gallery, photos = crowd
    with pytest.raises(BadValue, match="0 labelled images") as caught:
        auto_label(gallery, sources=(PERSON,))
    assert "labels set" in caught.value.hint
    for kind in range(3):
        workflow.set_label(gallery, [str(photos / f"kind {kind}" / f"{kind}-{n}.png") for n in range(8)], f"k{kind}")
    report = auto_label(gallery, sources=(PERSON,), least=0.7)
    assert (report.learned_from, report.proposed + report.unsure) == (24, 9)
    assert report.proposed > 0
    for least, sources in ((1.5, (PERSON,)), (0.9, ("magic",)), (0.9, ())):
        with pytest.raises(BadValue):
            auto_label(gallery, least=least, sources=sources)


def test_the_vote_is_the_loop_that_the_paper_writes() -> None:
    random = np.random.default_rng(3)
    known = LabelledSpace(
        np.arange(10, 30, dtype=np.int64), random.integers(0, 4, 20), list("abcd"), np.zeros((20, 2), np.float32)
    )
    ids = np.stack([random.permutation(known.ids)[:6] for _ in range(8)])
    scores = -np.sort(-random.uniform(0.2, 1.0, (8, 6)), axis=1)
    ids[0, 4:], scores[0, 4:] = -1, -np.inf
    winners, evidence, best = vote(Matches(ids, scores), known)
    for row in range(8):
        votes = dict.fromkeys(range(4), 0.0)
        for image_id, score in zip(ids[row], scores[row], strict=True):
            if image_id != -1:
                votes[int(known.numbers[image_id - 10])] += float(np.exp(score / 0.07))
        winner = max(votes, key=lambda number: votes[number])
        assert winners[row] == winner
        assert evidence[row] == pytest.approx(votes[winner] / sum(votes.values()) * scores[row, 0])
        assert best[row] == scores[row, 0]


def teach(gallery: Path, run: Path, labelled: dict[str, str], train: list[str]) -> None:
    """Labels by file name, and a run on these files that has made the live encoder."""
    for name, label in labelled.items():
        workflow.set_label(gallery, [name], label)
    run.mkdir()
    (run / "split.json").write_text(json.dumps({"train": train}))
    (run / "metrics.json").write_text("{}")
    with Gallery(gallery) as opened, opened.writing():
        made = opened.live_space().fingerprint
        opened.catalog.runs.record(os.fsencode(run), made, data="", recipe={}, metrics={})
        opened.catalog.seal()


@pytest.fixture
def taught(crowd: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """All 33 pictures are labelled, and twelve have trained the encoder: these it gets right, the others as by chance.

    The labels of the others are shuffled, which no search can find out.
    """
    gallery, photos = crowd
    names = sorted(map(str, photos.rglob("*.png")), key=os.path.basename)
    train = [name for name in names if int(Path(name).stem.split("-")[1]) < 4]
    others = [name for name in names if name not in train]
    drawn = np.random.default_rng(5).integers(0, 3, len(others))
    labels = {name: f"k{Path(name).name[0]}" for name in train}
    labels |= {name: f"k{kind}" for name, kind in zip(others, drawn, strict=True)}
    teach(gallery, tmp_path / "run", labels, train)
    return gallery, tmp_path / "run", labels


def test_what_has_trained_the_encoder_does_not_say_what_scores_mean(taught: tuple[Path, Path, dict[str, str]]) -> None:
    gallery, run, _ = taught
    said: list[str] = []
    held = calibrate_space(gallery, say=said.append)
    # Each of the 21 others asks for its ten nearest among all 33.
    assert held["pairs"] == 210
    assert said == []
    shutil.rmtree(run)
    # Nobody knows any more, which is said.
    assert calibrate_space(gallery, say=said.append)["pairs"] == 330
    (line,) = said
    assert str(run) in line


def test_confidence_is_measured_on_what_has_not_trained_the_encoder(
    taught: tuple[Path, Path, dict[str, str]],
) -> None:
    gallery, run, _ = taught
    (said_held, said_all) = ([], [])  # type: tuple[list[str], list[str]]
    held = auto_label(gallery, least=0.0, sources=(PERSON,), say=said_held.append)
    asked = next_questions(gallery, say=said_held.append)
    (run / "split.json").write_text(json.dumps({"train": []}))
    flattered = auto_label(gallery, least=0.0, sources=(PERSON,), say=said_all.append)
    assert held.learned_from == flattered.learned_from == 33
    assert asked.accuracy == pytest.approx(held.accuracy, abs=1e-4)
    assert held.accuracy < flattered.accuracy
    assert said_held == said_all == []


def test_where_everything_has_trained_the_encoder_it_is_said_what_to_do(
    taught: tuple[Path, Path, dict[str, str]],
) -> None:
    gallery, run, labels = taught
    (run / "split.json").write_text(json.dumps({"train": list(labels)[:14]}))
    for act in (calibrate_space, auto_label):
        with pytest.raises(
            BadValue, match=r"14 of 33 labelled images have trained .* 19 of 3 labels are left"
        ) as caught:
            act(gallery)
        assert "labels set" in caught.value.hint
    # Questions are asked all the same: the answers are what is lacking.
    said: list[str] = []
    next_questions(gallery, say=said.append)
    (line,) = said
    assert "surer than they are" in line


def test_a_calibrated_gallery_shows_probabilities(crowd: tuple[Path, Path], six: tuple[Path, Path]) -> None:
    gallery, photos = crowd
    found = calibrate_space(gallery)
    assert found["pairs"] > found["positives"] > 0
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        hits = searcher.by_image((photos / "0-9.png").read_bytes(), 40).neighbours
        probabilities = [hit.probability for hit in hits]
        assert all(p is not None and 0 <= p <= 1 for p in probabilities)
        assert probabilities == sorted(probabilities, reverse=True)  # type: ignore[type-var]
        assert (probabilities[0] or 0) > 0.8 > (probabilities[-1] or 0)
    with pytest.raises(BadValue, match="20 of two labels"):
        calibrate_space(six[0])
