"""What each kind of job does: one function a kind, which calls the workflow. Imports stand inside: each is heavy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.core.errors import BadValue
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.reporter import Reporter
from retrieval.workflows.jobs.requests import (
    AutoLabelsJob,
    BackupJob,
    CalibrateJob,
    CheckJob,
    DiagnoseJob,
    DistilJob,
    DuplicatesJob,
    FinetuneJob,
    IndexJob,
    JobRequest,
    LabelCheckJob,
    MapJob,
    PretrainJob,
    ProbeJob,
    RetryJob,
    RunRequest,
    SwitchJob,
    TemperatureJob,
    TrainJob,
)
from retrieval.workflows.layout import Layout

if TYPE_CHECKING:
    from retrieval.workflows.hooks import Hooks
    from retrieval.workflows.index_report import Hooks as IndexHooks
    from retrieval.workflows.train_request import TrainingHooks


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job works.

    Attributes:
        gallery: the gallery's folder.
        folder: the job's own.
        report: who to tell.
    """

    gallery: Path
    folder: JobFolder
    report: Reporter

    def run_folder(self, request: RunRequest) -> Path:
        """Where a run goes; its parent is made."""
        out = Path(request.folder(self.folder.id, str(Layout(self.gallery).runs)))
        out.parent.mkdir(parents=True, exist_ok=True)
        return out

    def live_model(self) -> str:
        """The encoder of the gallery. Raises EmptyGallery."""
        from retrieval.workflows.gallery import Gallery

        with Gallery(self.gallery) as gallery:
            return str(gallery.layout.model(gallery.live_space().fingerprint))

    def indexing(self) -> "IndexHooks":
        """For indexing."""
        from retrieval.workflows.index_report import Hooks

        report = self.report
        return Hooks(report.say, report.estimated, report.indexed("Indexing"), report.stop)

    def training(self) -> "TrainingHooks":
        """For training."""
        from retrieval.workflows.train_request import TrainingHooks

        report = self.report
        return TrainingHooks(report.say, report.working, report.begin, report.trained, report.validated, report.stop)

    def hooks(self) -> "Hooks":
        """For what reads and measures."""
        from retrieval.workflows.hooks import Hooks

        return Hooks(self.report.say, self.report.working, self.report.stop)


def do(request: JobRequest, place: Place) -> dict[str, Any]:
    """Do what was asked for; gives the report's values. Raises what the workflow raises."""
    return _WORK[type(request)](request, place)


def _index(asked: IndexJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.indexing import index_paths

    paths = [Path(path) for path in asked.paths]
    return index_paths(place.gallery, paths, model=asked.model, workers=asked.workers, hooks=place.indexing()).to_dict()


def _retry(asked: RetryJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.indexing import retry_failures

    return retry_failures(place.gallery, workers=asked.workers, hooks=place.indexing()).to_dict()


def _train(asked: TrainJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.recipes import load_recipe
    from retrieval.workflows.training import Request, train

    request = Request(
        dataset=asked.dataset,
        recipe=load_recipe(_named(asked.recipe), asked.settings),
        out=place.run_folder(asked),
        model=asked.model,
        gallery=place.gallery,
        split=asked.split,
        workers=asked.workers,
        resume=asked.resume,
    )
    return train(request, hooks=place.training()).to_dict()


def _pretrain(asked: PretrainJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.pretraining import PretrainRequest, pretrain
    from retrieval.workflows.recipes import load_pretrain_recipe

    request = PretrainRequest(
        dataset=asked.dataset,
        recipe=load_pretrain_recipe(asked.method, asked.recipe and _named(asked.recipe), asked.settings),
        out=place.run_folder(asked),
        model=asked.model,
        gallery=place.gallery,
        workers=asked.workers,
        resume=asked.resume,
    )
    return pretrain(request, hooks=place.training()).to_dict()


def _finetune(asked: FinetuneJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.finetuning import FinetuneRequest, finetune
    from retrieval.workflows.recipes import load_finetune_recipe

    request = FinetuneRequest(
        run=Path(asked.run),
        dataset=asked.dataset,
        recipe=load_finetune_recipe(_named(asked.recipe), asked.settings),
        out=place.run_folder(asked),
        fraction=asked.fraction,
        gallery=place.gallery,
        split=asked.split,
        workers=asked.workers,
        resume=asked.resume,
    )
    return finetune(request, hooks=place.training()).to_dict()


def _distil(asked: DistilJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.distilling import DistilRequest, distil
    from retrieval.workflows.recipes import load_distil_recipes

    features, answers = load_distil_recipes(asked.settings, with_labels=asked.labels is not None)
    request = DistilRequest(
        teacher=asked.teacher,
        student=asked.student,
        dataset=asked.dataset,
        features=features,
        out=place.run_folder(asked),
        labels=asked.labels,
        answers=answers,
        gallery=place.gallery,
        split=asked.split,
        workers=asked.workers,
        resume=asked.resume,
    )
    return distil(request, hooks=place.training()).to_dict()


def _switch(asked: SwitchJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.switching import SwitchHooks, switch

    report = place.report
    hooks = SwitchHooks(report.say, report.estimated, report.indexed("Embedding"), report.stop)
    return switch(place.gallery, asked.model, force=asked.force, workers=asked.workers, hooks=hooks).to_dict()


def _diagnose(asked: DiagnoseJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.diagnosing import DiagnoseRequest, diagnose_model

    request = DiagnoseRequest(
        dataset=asked.dataset,
        model=asked.model or place.live_model(),
        against=asked.against,
        out=place.folder.page,
        gallery=place.gallery,
        workers=asked.workers,
        seed=asked.seed,
    )
    return diagnose_model(request, hooks=place.hooks()).to_dict()


def _temperature(asked: TemperatureJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.temperature_study import VALUES, TemperatureRequest, study_temperature

    request = TemperatureRequest(
        dataset=asked.dataset,
        model=asked.model,
        values=asked.values or VALUES,
        out=place.folder.page,
        gallery=place.gallery,
        workers=asked.workers,
        seed=asked.seed,
    )
    return study_temperature(request, hooks=place.hooks()).to_dict()


def _probe(asked: ProbeJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.probing import ProbeRequest, probe

    model = asked.model or place.live_model()
    return probe(
        ProbeRequest(asked.dataset, model, place.gallery, asked.workers, asked.seed), hooks=place.hooks()
    ).to_dict()


def _auto_labels(asked: AutoLabelsJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.automatic_labels import LEAST_CONFIDENCE, auto_label

    least = LEAST_CONFIDENCE if asked.least is None else asked.least
    return auto_label(place.gallery, least=least, say=place.report.say).to_dict()


def _calibrate(_: CalibrateJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.calibrating import calibrate_space

    return calibrate_space(place.gallery, say=place.report.say)


def _backup(asked: BackupJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.backup import backup

    return {"file": asked.target, "bytes": backup(place.gallery, Path(asked.target))}


def _duplicates(asked: DuplicatesJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.duplicates import find_duplicates, keep_groups

    found = find_duplicates(place.gallery, workers=asked.workers, hooks=place.hooks())
    if not found.interrupted:
        keep_groups(found, place.folder.duplicates)
    return found.summary()


def _label_check(_: LabelCheckJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.label_check import check_labels
    from retrieval.workflows.label_doubts import keep_check

    found = check_labels(place.gallery, hooks=place.hooks())
    keep_check(found, place.folder.label_check)
    return found.summary()


def _map(_: MapJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.mapping import draw_map

    return draw_map(place.gallery, hooks=place.hooks()).to_dict()


def _check(asked: CheckJob, place: Place) -> dict[str, Any]:
    from retrieval.workflows.status import status

    return status(place.gallery, check=True, repair=asked.repair).to_dict()


def _named(recipe: str) -> str:
    """A recipe by name: a file that is named here may be a program, and whoever asks need not be its owner."""
    if Path(recipe).suffix or "/" in recipe or "\\" in recipe:
        raise BadValue(f"A job takes a recipe by its name, not {recipe!r}.", "Change its keys in the settings.")
    return recipe


_WORK: Mapping[type[JobRequest], Callable[[Any, Place], dict[str, Any]]] = {
    IndexJob: _index,
    RetryJob: _retry,
    TrainJob: _train,
    PretrainJob: _pretrain,
    FinetuneJob: _finetune,
    DistilJob: _distil,
    SwitchJob: _switch,
    DiagnoseJob: _diagnose,
    TemperatureJob: _temperature,
    ProbeJob: _probe,
    AutoLabelsJob: _auto_labels,
    CalibrateJob: _calibrate,
    DuplicatesJob: _duplicates,
    LabelCheckJob: _label_check,
    MapJob: _map,
    BackupJob: _backup,
    CheckJob: _check,
}
