"""Switching to another encoder: embed the gallery beside the live space, look at the proof, change over at once.

The old space serves all the while, and new files go into it. What was embedded is committed batch by batch, so a run
that was stopped or killed goes on where it was. The switch itself is one transaction in the catalog: before it every
search uses the old space, after it the new one.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from retrieval import index as engines
from retrieval.core.errors import (
    GalleryDamaged,
    Interrupted,
    ModelMismatch,
    RetrievalError,
    disk_full_is_said,
)
from retrieval.core.settings import Settings, load_settings
from retrieval.core.types import EmbeddingSpace
from retrieval.models.folder import save_encoder, verify_folder
from retrieval.workflows import encoders
from retrieval.workflows.calibrating import brought_calibration
from retrieval.workflows.filling import Filler
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gallery_proof import GalleryProof, HeldOut, held_out, measure
from retrieval.workflows.gate import Refusal, another_live, brings_no_proof, evidence_against, holes
from retrieval.workflows.index_report import LEAST_FOR_A_RATE
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.patience import alone, patiently_writing
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.switch_estimate import SwitchEstimate, estimate, refuse_full_disk
from retrieval.workflows.switch_report import SwitchHooks, SwitchRefused, SwitchReport
from retrieval.workflows.switch_target import SwitchTarget, find_target
from retrieval.workflows.words import count

__all__ = ["SwitchHooks", "SwitchRefused", "SwitchReport", "Switching", "switch"]

_NO_SPACE = 0
"""The number of no space: it lacks every image."""


def switch(
    folder: Path,
    model: str,
    *,
    force: bool = False,
    estimate_only: bool = False,
    workers: int | None = None,
    settings: Settings | None = None,
    hooks: SwitchHooks | None = None,
) -> SwitchReport:
    """Make another encoder's space the live one, once it holds every image and nothing speaks against it.

    The gate refuses where a run's gain is not proven, or not beside the live encoder, or its split leaks (all of it
    before anything is embedded), and where an image could not be embedded (before, if it can be known by then). A model
    that brings no proof on labels, having no run or one without labels, is measured on the gallery's labels beside the
    live one, by the same rule: their images are embedded first. Where these cannot tell (see ``gallery_proof``), one
    without a run passes, and that is said; one with a run is refused.

    Args:
        folder: the gallery's.
        model: a run folder, or what ``--model`` takes, or the beginning of a space's fingerprint.
        force: switch whatever the gate says.
        estimate_only: say what it would cost; the gallery is not changed.
        workers: decoding processes; as many as there are cores by default.
        settings: from the environment by default.
        hooks: who to talk to.

    Raises:
        SwitchRefused: the gate refuses.
        BadValue: the space is live already.
        ModelDamaged, ModelUnsafe, ModelUnavailable, NoSuchPath: the encoder cannot be used; no force helps.
        ModelMismatch: libraries changed since an earlier run embedded a part.
        GalleryBusy: another switch is running.
        DiskFull, EmptyGallery, GalleryDamaged: see ``core.errors``. What was embedded stays, the old space is live.
    """
    settings, hooks = settings or load_settings(), hooks or SwitchHooks()
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery:
        gallery.live_space()
        with nullcontext() if estimate_only else alone(gallery):
            run = Switching(gallery, find_target(gallery, model, hooks.say), force, workers, hooks)
            if estimate_only:
                return run.estimated()
            try:
                return run.done()
            finally:
                # Where another process has the catalog open, that one seals it.
                with suppress(RetrievalError):
                    gallery.catalog.seal()


class Switching:
    """One switch; the caller keeps others away."""

    def __init__(
        self, gallery: Gallery, target: SwitchTarget, force: bool, workers: int | None, hooks: SwitchHooks
    ) -> None:
        self._gallery, self._target, self._force, self._hooks = gallery, target, force, hooks
        self._catalog = gallery.catalog
        self._card = target.card
        self._workers = workers
        self._started = monotonic()
        self._live = gallery.live_space()
        self._generation = self._catalog.generation
        self._evidence: list[Refusal] = []
        self._holes: list[Refusal] = []
        self._held_out: HeldOut | None = None
        self._proof: GalleryProof | None = None
        self._costs: SwitchEstimate | None = None
        self._opened: Filler | None = None

    # -- from beginning to end ------------------------------------------------------------------------------------

    def estimated(self) -> SwitchReport:
        """What it would cost, and what speaks against it by now; nothing is changed."""
        self._look_at_evidence()
        self._open_encoder(remember=False)
        self._estimate()
        known = self._known_space()
        if self._held_out is not None and known is not None:
            proof = measure(self._gallery, self._held_out, self._live, known)
            # An earlier switch may have been stopped before it had embedded all of them.
            if proof is not None and proof.images == len(self._held_out):
                self._take(proof)
        return self._report()

    def done(self) -> SwitchReport:
        """The whole switch. Raises SwitchRefused."""
        try:
            self._look_at_evidence()
            self._refuse()
            with self._writing():
                self._open_encoder(remember=True)
            costs = self._estimate()
            self._refuse()
            refuse_full_disk(self._gallery, costs)
            space = self._prepare()
            # A drive may have come back: what could not be reached is looked at again.
            self._filler.skipped.clear()
            self._measure(space, costs.to_embed)
            self._filler.fill(space, costs.to_embed)
            while not self._changed_over(space):
                self._filler.fill(space, costs.to_embed)
        except Interrupted:
            return self._report(interrupted=True)
        return self._report(switched=True)

    def _look_at_evidence(self) -> None:
        run = self._target.run
        if brings_no_proof(run):
            self._held_out = held_out(self._gallery, self._live, self._card, run, self._hooks.say)
        if self._held_out is not None:
            images = count(len(self._held_out), "labelled image")
            tell = f"tell first whether it is better than {self._live.model}"
            if not self._held_out.certain:
                tell = "may have trained it: they can only speak against it, and do so first"
            self._hooks.say(f"{self._whence}: {images} of the gallery {tell}.")
        elif run is not None:
            self._evidence = evidence_against(run, self._live.fingerprint)
        else:
            self._say_unproven()

    @property
    def _whence(self) -> str:
        if self._target.run is not None:
            return f"{self._card.name} was trained without labels"
        article = "its" if self._catalog.runs.all(self._card.fingerprint) else "a"
        return f"{self._card.name} comes without {article} training run"

    def _say_unproven(self) -> None:
        self._hooks.say(
            f"{self._whence}, and nothing proves that it is better: `retrieval evaluate` measures that, and `retrieval "
            "rollback` goes back."
        )

    def _measure(self, space: EmbeddingSpace, to_embed: int) -> None:
        """The new space beside the live one on labelled images. Raises SwitchRefused where it is not better."""
        if self._held_out is None:
            return
        self._filler.fill(space, to_embed, only=set(self._held_out.ids.tolist()))
        proof = measure(self._gallery, self._held_out, self._live, self._known_space() or space)
        if proof is not None:
            self._take(proof)
        else:
            self._hooks.say(f"Too few labelled images can be read to prove that {self._card.name} is better.")
            self._evidence = [] if self._target.run is None else evidence_against(self._target.run)
        self._refuse()

    def _take(self, proof: GalleryProof) -> None:
        self._hooks.say(f"{self._card.name} {proof}")
        self._proof, self._evidence = proof, proof.against
        if not proof.certain and not self._evidence:
            self._say_unproven()

    def _open_encoder(self, *, remember: bool) -> None:
        self._runtime = encoders.open_runtime(self._gallery, self._target.encoder, self._card, remember=remember)
        self._opened = Filler(
            self._gallery,
            self._runtime,
            self._card.preprocessing,
            self._workers,
            self._writing,
            self._hooks.progress,
            self._hooks.stop,
        )

    @property
    def _filler(self) -> Filler:
        assert self._opened is not None
        return self._opened

    def _estimate(self) -> SwitchEstimate:
        """Costs, and the images that cannot be read now: no need to embed all the others to find that out."""
        known, filler = self._known_space(), self._filler
        reachable = filler.survey(_NO_SPACE if known is None else known.id)
        unreachable = list(filler.skipped.values())
        self._costs = estimate(
            self._gallery,
            self._card.dimension,
            0 if known else sum(tensor.nbytes for tensor in self._target.encoder.state_dict().values()),
            reachable,
            unreachable,
            lambda: self._catalog.get(self._rate_key) or filler.measured_rate(reachable),
        )
        self._hooks.estimated(self._costs)
        self._holes = holes(self._costs.images - len(unreachable), self._costs.images, unreachable)
        return self._costs

    def _refuse(self) -> None:
        refusals = [*self._evidence, *self._holes]
        if refusals and not self._force:
            raise SwitchRefused(self._report(), refusals)

    # -- the new space --------------------------------------------------------------------------------------------

    def _known_space(self) -> EmbeddingSpace | None:
        """The new space, if an earlier run has made it."""
        return next((s for s in self._catalog.spaces.all() if s.fingerprint == self._card.fingerprint), None)

    def _prepare(self) -> EmbeddingSpace:
        """Keep the encoder, make the space, and cut what a killed run has left behind its last commit."""
        from retrieval.models.probes import probe_embeddings, probes_agree

        probes = probe_embeddings(self._runtime)
        with self._writing():
            self._keep_encoder()
            space = self._known_space()
            if space is None:
                # An index may have been left by a space of this encoder that was dropped: it is of other rows.
                engines.discard(self._gallery.layout.index(replace(self._live, fingerprint=self._card.fingerprint)))
                space = self._catalog.spaces.create(
                    self._card.fingerprint, self._card.name, self._card.dimension, probes
                )
            elif not probes_agree(self._catalog.spaces.probes(space), probes):
                raise ModelMismatch(
                    f"The encoder {space.model} gives other embeddings than when an earlier switch began with it: a "
                    "library was changed since.",
                    f"Drop what that one embedded with `retrieval spaces --drop {space.fingerprint[:16]}` and switch "
                    "again.",
                )
            # Now, not at the end: a switch that was stopped goes on by its space's name, judged by the same proof.
            self._record_run()
            self._gallery.store(space).cut_tail()
            return space

    def _keep_encoder(self) -> None:
        folder = self._gallery.layout.model(self._card.fingerprint)
        if folder.exists():
            try:
                verify_folder(folder)
            except RetrievalError:
                shutil.rmtree(folder, ignore_errors=True)
        save_encoder(self._target.encoder, self._card, folder)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The write lock, for a moment. What was restored in the gallery's place meanwhile is another gallery.

        Raises:
            Interrupted: stopped while another process held it.
        """
        with patiently_writing(self._gallery, self._hooks.say, self._hooks.stop):
            self._catalog.spaces.live()
            if self._catalog.generation != self._generation:
                raise GalleryDamaged(
                    f"The gallery {self._gallery.folder} was replaced by a backup while the switch was running.",
                    "Run the same command again.",
                )
            yield

    # -- changing over --------------------------------------------------------------------------------------------

    def _changed_over(self, space: EmbeddingSpace) -> bool:
        """Make the space live. False where images came meanwhile: they must be embedded first.

        Scores are calibrated and the index is built before the lock is taken; what happens until then is added to the
        index.

        Raises:
            SwitchRefused: an image could not be embedded, and the switch is not forced.
        """
        space = self._known_space() or space
        index = LiveIndex(self._gallery, space, self._hooks.say)
        calibration = brought_calibration(self._gallery, space, self._target.run, self._hooks.say)
        with self._writing():
            skipped = self._filler.skipped
            if not self._catalog.coverage.lacks_only(space.id, skipped):
                return False
            self._holes = holes(*self._catalog.coverage.count(space.id), list(skipped.values()))
            self._refuse()
            index.publish()
            if self._filler.embedded >= LEAST_FOR_A_RATE:
                self._catalog.put(self._rate_key, self._filler.embedded / self._filler.busy_seconds)
            # A rollback may have led to it meanwhile, or to one that nothing was compared with.
            live = self._gallery.live_space().id
            if live != space.id:
                self._evidence += [] if live == self._live.id else [another_live()]
                self._refuse()
                reasons = [refusal.why for refusal in (*self._evidence, *self._holes)]
                self._catalog.switches.make_live(space.id, forced=reasons, calibration=calibration)
        return True

    def _record_run(self) -> None:
        run = self._target.run
        if run is None or not run.metrics.exists():
            return
        recipe, metrics = (_document(run, name) for name in ("recipe.json", run.metrics.name))
        data = str(recipe.get("data", ""))
        folder = os.fsencode(run.folder)
        self._catalog.runs.record(folder, self._card.fingerprint, data=data, recipe=recipe, metrics=metrics)

    # -- saying ---------------------------------------------------------------------------------------------------

    @property
    def _rate_key(self) -> str:
        return f"rate:{self._card.fingerprint[:16]}"

    def _report(self, *, switched: bool = False, interrupted: bool = False) -> SwitchReport:
        space = self._known_space()
        covered, total = self._catalog.coverage.count(_NO_SPACE if space is None else space.id)
        refusals = tuple(refusal.why for refusal in (*self._evidence, *self._holes))
        filler = self._opened
        return SwitchReport(
            fingerprint=self._card.fingerprint,
            model=self._card.name,
            previous=self._live.fingerprint,
            run="" if self._target.run is None else str(self._target.run.folder),
            switched=switched,
            embedded=0 if filler is None else filler.embedded,
            covered=covered,
            total=total,
            skipped=() if filler is None else tuple(filler.skipped.values()),
            refusals=refusals,
            forced=switched and bool(refusals),
            interrupted=interrupted,
            costs=self._costs,
            proof=None if self._proof is None else self._proof.to_dict(),
            to_measure=0 if self._held_out is None or self._proof is not None else len(self._held_out),
            seconds=round(monotonic() - self._started, 3),
        )


def _document(run: RunFolder, name: str) -> dict[str, Any]:
    try:
        found = run.read(name)
    except RetrievalError:
        return {}
    return found if isinstance(found, dict) else {}
