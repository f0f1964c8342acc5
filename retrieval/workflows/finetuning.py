"""Fine-tune an encoder that learned without labels: the second stage of SimCLRv2.

Chen, Kornblith, Swersky, Norouzi and Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners", NeurIPS
2020, section 2: https://arxiv.org/abs/2006.10029. The encoder goes on from the projector's first hidden layer; a linear
layer over the classes stands on it, and everything is trained.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, Split
from retrieval.core.settings import Settings, available_cores, load_settings
from retrieval.core.types import Ids
from retrieval.datasets.checks import require_usable
from retrieval.datasets.sides import KINDS
from retrieval.datasets.view_sources import ViewSource
from retrieval.evaluation.few_labels import class_balanced, labels_per_class
from retrieval.methods.fine_tuning import FineTuning
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.models.first_layer import with_first_layer
from retrieval.models.folder import load_encoder
from retrieval.models.projector import mlp
from retrieval.models.threads import torch_threads
from retrieval.models.weights import read_safetensors
from retrieval.training.loop import Fitted
from retrieval.workflows.classifying import WithLabels, accuracy_of, in_words, labelled_dataset, split_kind
from retrieval.workflows.fit_part import fit_part, in_precision
from retrieval.workflows.methods_at_work import build_method, learned_beside
from retrieval.workflows.prepared_pictures import prepared_pictures
from retrieval.workflows.proven_run import ProvenRun
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.run_folder import METHOD, RECIPE, RunFolder
from retrieval.workflows.run_time import RunTime
from retrieval.workflows.saving import save_result
from retrieval.workflows.seen_contents import contents_of, count_seen
from retrieval.workflows.train_request import TrainingHooks, TrainReport
from retrieval.workflows.words import count

_SEEN = "Of {} that prove {:,} had been learned from without labels: not photos never seen"
"""Said with the numbers of the images."""

TITLE = "The whole encoder, with a classifier"


@dataclass(frozen=True)
class FinetuneRequest:
    """What to fine-tune, on what, and where to.

    Attributes:
        run: folder of the run without labels.
        dataset: a folder of class folders, a CSV, or ``gallery``.
        recipe: how.
        out: the new run's folder.
        fraction: share of the training labels that is used, in (0, 1]; below 1 equally many of each class, at least 1.
        gallery: the gallery's folder, for ``gallery``.
        split: one of ``datasets.sides.KINDS`` or ``auto``: the given one, else ``grouped``, as a classifier is
            measured on classes that it knows.
        workers: decoding processes.
        resume: go on with the run that is in ``out``.
    """

    run: Path
    dataset: str
    recipe: ViewRecipe
    out: Path
    fraction: float = 1.0
    gallery: Path | None = None
    split: str = "auto"
    workers: int | None = None
    resume: bool = False


def finetune(
    request: FinetuneRequest, *, settings: Settings | None = None, hooks: TrainingHooks | None = None
) -> TrainReport:
    """Train, prove and save; ``metrics["classification"]`` holds the accuracy on the test part.

    Raises:
        NoSuchPath, BadValue: the run, the dataset, the labels, the fraction or the folder cannot be used.
        TrainingFailed, Interrupted, DiskFull: see ``training.train``.
    """
    if not 0 < request.fraction <= 1:
        raise BadValue(f"The fraction of the labels is above 0 and at most 1, not {request.fraction:g}.")
    if request.split not in (*KINDS, "auto"):
        raise BadValue(f"There is no split {request.split!r}.", f"Use one of: {', '.join(KINDS)}, auto.")
    run, hooks, settings = RunFolder(request.out), hooks or TrainingHooks(), settings or load_settings()
    with run.going(request.resume, hooks.say), torch_threads(settings.threads):
        time = RunTime(run, request.resume)
        with time.ticking(hooks) as ticking:
            return _Finetuning(request, run, settings, ticking, time).go()


@dataclass
class _Finetuning:
    request: FinetuneRequest
    run: RunFolder
    settings: Settings
    hooks: TrainingHooks
    time: RunTime

    @cached_property
    def around(self) -> ProvenRun:
        """What comes before and after the training."""
        asked = self.request
        clock, workers = self.time, asked.workers
        return ProvenRun(
            self.run, asked.dataset, asked.gallery, self.settings, self.hooks, clock, workers, asked.resume
        )

    def go(self) -> TrainReport:
        recipe, seed = self.request.recipe, self.request.recipe.loop.seed
        start, start_card, longer, card = self._start()
        request = self.request
        given = labelled_dataset(request.dataset, request.gallery, self.settings, self.hooks.say)
        data = self.around.before(start, start_card, given)
        labelled = data.labelled
        require_usable(labelled)
        split = self.around.split(labelled, split_kind(labelled, request.split), seed)
        chosen = chosen_labels(labelled, split, self.request.fraction, seed)
        self.hooks.say(f"{count(len(chosen), 'label')} of {len(split.train):,} are used.")
        self.around.remember(
            recipe, start_card, labelled, split, fraction=self.request.fraction, classes=labelled.classes
        )
        method, fitted = self._fit(longer, card, labelled, chosen)
        words = f"fine-tuned with {len(chosen)} labels"
        saved = save_result(self.run, longer, card, start_card, recipe.name, words, again=self.request.resume)
        after = self.around.after(longer, saved, labelled)
        numbers, test = labelled.numbers, split.test
        learned = contents_of(RunFolder(request.run))
        seen = None if learned is None else count_seen(labelled, test, learned)
        if seen:
            self.hooks.say(f"{_SEEN.format(count(len(test), 'image'), seen)}.")
        found = {"labels": len(chosen), "fraction": request.fraction} | accuracy_of(
            method.teacher(), saved, labelled.subset(test), numbers[test], numbers[chosen], self.around, seed=split.seed
        )
        return self.around.proven(
            recipe,
            data,
            after,
            split,
            [(TITLE, fitted)],
            start_card,
            saved,
            more={"classification": found} | ({} if seen is None else {"seen_without_labels": seen}),
            facts={"Classification": f"{in_words(found)}, with {count(len(chosen), 'label')}"} | _told(seen, len(test)),
        )

    def _start(self) -> tuple[Encoder, ModelCard, Encoder, ModelCard]:
        """The encoder of the run without labels, and the one that goes on from it, which shares its weights."""
        run = RunFolder(self.request.run)
        run.read(RECIPE)
        encoder, card = load_encoder(run.encoder)
        own, own_card = load_encoder(run.encoder)
        try:
            longer, longer_card = with_first_layer(own, own_card, _projector(run))
        except BadValue as error:
            self.hooks.say(f"{error.message} Fine-tuning begins at the embedding itself.")
            return encoder, card, own, own_card
        return encoder, card, longer, longer_card

    def _fit(self, encoder: Encoder, card: ModelCard, labelled: Labelled, chosen: Ids) -> tuple[FineTuning, Fitted]:
        recipe, spec = self.request.recipe, card.preprocessing
        prepared = prepared_pictures(
            labelled.subset(chosen), spec, self.settings, self.hooks, workers=self.request.workers, needs_labels=False
        )
        numbers = labelled.numbers[chosen][prepared.kept]
        method = build_method(recipe, encoder, len(prepared), classes=len(labelled.classes))
        assert isinstance(method, FineTuning)
        sampler = Shuffled(len(prepared), min(recipe.batch_size, len(prepared)), recipe.loop.seed)
        augment = BatchAugment(recipe.views_at(recipe.view_size or spec.input_size), spec.mean, spec.std)
        source = ViewSource(prepared, sampler, augment, recipe.loop.seed, available_cores())
        fitted = fit_part(
            TITLE,
            method,
            WithLabels(source, numbers),
            in_precision(recipe.loop, self.settings),
            run=self.run,
            folder=self.run.folder,
            resume=self.request.resume,
            hooks=self.hooks,
        )
        method.cpu().eval().requires_grad_(False)
        self.run.write_bytes(METHOD, learned_beside(method))
        return method, fitted


def _told(seen: int | None, proving: int) -> dict[str, str]:
    """A line for the report, where images that prove were seen."""
    return {"Seen before": _SEEN.format(count(proving, "image"), seen)} if seen else {}


def chosen_labels(labelled: Labelled, split: Split, fraction: float, seed: int) -> Ids:
    """[n] ids of the training images whose labels are used: all, or so large a share with equally many of a class."""
    if fraction == 1:
        return split.train
    numbers = labelled.numbers[split.train]
    return split.train[class_balanced(numbers, labels_per_class(numbers, fraction), seed)]


def _projector(run: RunFolder) -> nn.Sequential:
    """The layers of a run's projector up to its first hidden one. Raises BadValue: it has none with batch-norm."""
    path = run.folder / METHOD
    tensors: dict[str, Tensor] = read_safetensors(path) if path.is_file() else {}
    own = {name.removeprefix("projector."): value for name, value in tensors.items() if name.startswith("projector.")}
    first = {name: value for name, value in own.items() if name.startswith(("0.", "1."))}
    if not {"0.weight", "1.running_mean"} <= first.keys():
        raise BadValue(f"The method of the run {run.folder} has no projector with a hidden layer and batch-norm.")
    hidden, features = first["0.weight"].shape
    projector = mlp([features, hidden, 1])
    projector[:2].load_state_dict(first)
    return projector
