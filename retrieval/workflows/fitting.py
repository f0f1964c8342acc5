"""The two parts of a training run: a projection on frozen features, then the whole encoder on augmented images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, Split
from retrieval.core.settings import Settings, available_cores
from retrieval.core.text import path_text
from retrieval.core.types import Ids, Vectors
from retrieval.datasets.loader import FeatureSource, ImageSource
from retrieval.datasets.prepared import Prepared
from retrieval.methods.memory import losses_memory
from retrieval.methods.method import Method
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.mining.memory import memory_estimate
from retrieval.mining.samplers import ClassBalanced, MPerClass
from retrieval.models.augment import Augmentation
from retrieval.models.card import ModelCard
from retrieval.models.choice import RuntimeChoice
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.runtime import EncoderRuntime
from retrieval.training.config import LoopConfig
from retrieval.training.devices import device_kind
from retrieval.training.loop import Fitted, Source
from retrieval.workflows.blending import best_blend
from retrieval.workflows.embedding_sets import EmbeddedSet, embed_labelled
from retrieval.workflows.fit_part import fit_part, in_precision
from retrieval.workflows.hard_mining import HardSource, search_memory, whole_groups
from retrieval.workflows.prepared_pictures import prepared_pictures
from retrieval.workflows.projecting import head_method, pca_projection, projected, start_losses
from retrieval.workflows.proof import shares_classes, validation_score
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.train_request import Request, TrainingHooks
from retrieval.workflows.words import count, megabytes

HEAD = "The projection, on frozen features"
WHOLE = "The whole encoder"
_HEAD_FOLDER = "head"


@dataclass
class Fitting:
    """Trains what a request asks for; the caller holds the run's lock."""

    request: Request
    run: RunFolder
    settings: Settings
    hooks: TrainingHooks
    _told: set[str] = field(default_factory=set)

    def head(self, data: EmbeddedSet, split: Split) -> tuple[Projection, MetricLearning, Fitted]:
        """Train a projection on the embeddings of the start encoder.

        Returns:
            The projection, the method with what its losses have learned, and how it went.
        """
        trials = [self._trial(data, split, factor) for factor in self.request.recipe.trials]
        best = max(trials, key=lambda trial: trial[2].best_value or 0.0)
        if len(trials) > 1:
            rate = self._head_loop(self.request.recipe.trials[trials.index(best)]).learning_rate
            self.hooks.say(f"Of {len(trials)} learning rates validation likes {rate:g} best.")
        return best

    def _trial(self, data: EmbeddedSet, split: Split, factor: float) -> tuple[Projection, MetricLearning, Fitted]:
        """``head`` with one factor on the learning rate."""
        recipe, labelled = self.request.recipe, data.labelled
        vectors, numbers = data.vectors[split.train], _numbered(labelled, split.train)
        projection = pca_projection(vectors, recipe.dimension, recipe.loop.seed, recipe.whitening)
        method = head_method(
            projection,
            recipe.first_terms,
            numbers,
            recipe.loop.seed,
            vectors=vectors,
            normalise=recipe.normalise,
            centre_rate=recipe.centre_rate,
        )
        start_losses(method, projection, vectors, numbers)
        paths = [labelled.images[i].path for i in split.train.tolist()]
        folder = self.run.folder / (_HEAD_FOLDER if len(recipe.trials) == 1 else f"{_HEAD_FOLDER}-{factor:g}")

        def validate(_: Method) -> float:
            return validation_score(labelled, projected(projection, data.vectors), split)

        source = self._source(
            lambda sampler: FeatureSource(vectors, numbers, sampler, lambda i: path_text(paths[i])),
            lambda: projected(projection, vectors),
            numbers,
            projection.out_features,
            folder,
        )
        loop = self._head_loop(factor)
        title = HEAD if len(recipe.trials) == 1 else f"{HEAD}, learning rate {loop.learning_rate:g}"
        fitted = self._fit(title, method, source, loop, folder, validate)
        return projection.cpu(), method.cpu(), fitted

    def whole(
        self, encoder: Encoder, card: ModelCard, data: EmbeddedSet, split: Split, before: MetricLearning
    ) -> Fitted:
        """Train the whole encoder, in place, on augmented pictures.

        Args:
            encoder: ends in the projection that ``head`` has trained.
            card: of it.
            data, split: as for ``head``.
            before: what ``head`` gave: where the losses stay the same they go on with what they have learned, else
                they begin at the classes' means.
        """
        recipe, labelled = self.request.recipe, data.labelled
        prepared = self._prepared(labelled.subset(split.train), card)
        numbers = _numbered(labelled, split.train)[prepared.kept]
        augment = Augmentation(card.preprocessing, recipe.augment)
        start = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
        seed = recipe.loop.seed
        method = MetricLearning(
            encoder,
            recipe.terms,
            before.classes,
            examples=len(numbers),
            normalise=recipe.normalise,
            centre_rate=recipe.centre_rate,
            seed=seed,
        )
        if recipe.first_terms == recipe.terms and len(numbers) == before.examples:
            method.states.load_state_dict(before.states.state_dict())
        else:
            projection = encoder.projections[-1]
            assert isinstance(projection, Projection)
            start_losses(method, projection, data.vectors[split.train[prepared.kept]], numbers)
        look = _Look(labelled, split, card, self.settings, self.request.workers, self.hooks)
        trains = split.train[prepared.kept]
        source = self._source(
            lambda sampler: ImageSource(prepared, numbers, sampler, augment, seed, available_cores()),
            lambda: look.embed(encoder, trains),
            numbers,
            encoder.dimension,
            self.run.folder,
        )
        loop = in_precision(recipe.loop, self.settings)
        fitted = self._fit(WHOLE, method, source, loop, self.run.folder, lambda _: look.score(encoder))
        encoder.cpu().eval().requires_grad_(False)
        if fitted.best_epoch == 0:
            self.hooks.say("No epoch of the whole encoder was better than its start: the start is kept.")
        elif recipe.blend:
            best_blend(encoder, start, lambda: look.score(encoder), self.hooks.say)
        return fitted

    def _head_loop(self, factor: float) -> LoopConfig:
        recipe = self.request.recipe
        if recipe.scope == "head":
            return replace(recipe.loop, learning_rate=factor * recipe.loop.learning_rate, precision="32-true")
        return replace(
            recipe.loop,
            epochs=recipe.head_epochs,
            learning_rate=factor * recipe.head_rate,
            validate_every=max(1, recipe.head_epochs // 20),
            average=None,
            chunk=None,
            accumulate=1,
            head_first_epochs=0,
            device="cpu",
            precision="32-true",
        )

    def _source(
        self,
        make: Callable[[Any], FeatureSource | ImageSource],
        embed: Callable[[], Vectors],
        numbers: Ids,
        dimension: int,
        folder: Path,
    ) -> Source:
        """Batches of M images a class, or of hard examples where the recipe mines them."""
        recipe = self.request.recipe
        batch = self._batch(self._usable(numbers))
        self._say_memory(batch, numbers, dimension)
        if recipe.mine_every:
            every, seed, farthest = recipe.mine_every, recipe.loop.seed, recipe.mine_positives == "farthest"
            return HardSource(make, embed, numbers, batch, every, seed, folder, farthest=farthest)
        if recipe.sampler == "class_balanced":
            return make(ClassBalanced(numbers, batch, recipe.loop.seed, singletons="drop"))
        return make(MPerClass(numbers, batch, recipe.per_class, recipe.loop.seed, singletons="drop"))

    def _fit(
        self,
        what: str,
        method: MetricLearning,
        source: Source,
        loop: LoopConfig,
        folder: Path,
        validate: Callable[[Method], float],
    ) -> Fitted:
        run, resume = self.run, self.request.resume
        return fit_part(
            what, method, source, loop, run=run, folder=folder, resume=resume, hooks=self.hooks, validate=validate
        )

    def _usable(self, numbers: Ids) -> int:
        """How many classes have two images or more; those with one are said. Raises BadValue where they are too few."""
        sizes = np.bincount(numbers)
        usable = int(np.count_nonzero(sizes >= 2))
        singletons = int(np.count_nonzero(sizes == 1))
        if usable < 2:
            raise BadValue(
                f"Only {usable} of the classes that train have two images or more.",
                "Label at least two images each of two classes.",
            )
        if singletons and self._tells("singletons"):
            alone = count(singletons, "class", "classes")
            self.hooks.say(f"{alone} with one image among those that train: left out, they teach nothing.")
        return usable

    def _batch(self, usable: int) -> int:
        """Images in a batch."""
        recipe = self.request.recipe
        if recipe.mine_every:
            return whole_groups(recipe.batch_size)
        if recipe.sampler == "class_balanced":
            return recipe.batch_size
        batch = max(2 * recipe.per_class, min(recipe.batch_size, usable * recipe.per_class))
        return batch - batch % recipe.per_class

    def _say_memory(self, batch: int, numbers: Ids, dimension: int) -> None:
        """What the losses and miners of the recipe may take, before anything runs."""
        if not self._tells("memory"):
            return
        recipe, sizes = self.request.recipe, np.bincount(numbers)
        alike = recipe.per_class
        if recipe.mine_every or recipe.sampler == "class_balanced":
            # Nothing bounds the images of a class in a batch but the class and, where it has few, the batch itself.
            alike = max(2, min(batch // 2, int(max(sizes.max(), -(-batch // np.count_nonzero(sizes >= 2))))))
        device = device_kind(recipe.loop.device)

        def step(terms: Sequence[Term]) -> int:
            miners = [term.miner for term in terms if term.miner is not None]
            mining = sum(memory_estimate(name, batch, alike, dimension) for name in miners)
            return mining + losses_memory(terms, batch, dimension, len(sizes), len(numbers), device)

        most = max(map(step, (recipe.terms, recipe.first_terms)))
        self.hooks.say(f"Losses and miners take up to {megabytes(most)} beside the encoder, in batches of {batch}.")
        if recipe.mine_every:
            searched = search_memory(len(numbers), dimension)
            self.hooks.say(
                f"Searching all {count(len(numbers), 'image', 'images')} for hard examples takes up to "
                f"{megabytes(searched)} more."
            )

    def _tells(self, what: str) -> bool:
        """Whether something has not been said yet; every trial would say it again."""
        fresh = what not in self._told
        self._told.add(what)
        return fresh

    def _prepared(self, labelled: Labelled, card: ModelCard) -> Prepared:
        return prepared_pictures(labelled, card.preprocessing, self.settings, self.hooks, workers=self.request.workers)


@dataclass
class _Look:
    """Validation of a whole encoder on the files themselves, as a gallery would embed them."""

    labelled: Labelled
    split: Split
    card: ModelCard
    settings: Settings
    workers: int | None
    hooks: TrainingHooks
    choice: RuntimeChoice | None = None

    def score(self, encoder: Encoder) -> float:
        """MAP@R of the validation part."""
        labelled, split = self.labelled, self.split
        needed = split.val
        if shares_classes(labelled, split, split.val):
            needed = np.sort(np.concatenate([split.train, split.val]))
        vectors = np.zeros((len(labelled), encoder.dimension), np.float32)
        vectors[needed] = self.embed(encoder, needed)
        return validation_score(labelled, vectors, split)

    def embed(self, encoder: Encoder, ids: Ids) -> Vectors:
        """[n, D] embeddings of some images by the encoder as it is now. Raises BadValue where one cannot be read."""
        runtime = EncoderRuntime(
            encoder,
            self.card.preprocessing,
            threads=self.settings.threads,
            precision=self.settings.precision,
            choice=self.choice,
        )
        self.choice = runtime.choice
        made = embed_labelled(
            self.labelled.subset(ids),
            runtime,
            self.card.preprocessing,
            self.settings,
            workers=self.workers,
            what="Embedding with the encoder as it is now",
            progress=self.hooks.working,
        )
        if made.failures:
            raise BadValue("Images of the dataset changed or vanished during the training.", "Train again.")
        return made.vectors


def _numbered(labelled: Labelled, ids: Ids) -> Ids:
    """[n] class numbers 0 to C - 1 of some images, numbered among themselves."""
    return np.unique(labelled.numbers[ids], return_inverse=True)[1].astype(np.int64)
