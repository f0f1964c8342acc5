"""Train an encoder on images without labels, and leave a run folder that says how and what has changed."""

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled
from retrieval.core.settings import Settings, load_settings
from retrieval.models.resolve import resolve_model
from retrieval.models.threads import torch_threads
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, open_pictures
from retrieval.workflows.live_index import Say
from retrieval.workflows.pretrain_request import PretrainReport, PretrainRequest
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_time import RunTime
from retrieval.workflows.start_model import start_model
from retrieval.workflows.train_request import TrainingHooks
from retrieval.workflows.view_run import ViewRun

__all__ = ["PretrainReport", "PretrainRequest", "TrainingHooks", "pretrain"]


def pretrain(
    request: PretrainRequest, *, settings: Settings | None = None, hooks: TrainingHooks | None = None
) -> PretrainReport:
    """Train, measure and save.

    Raises:
        NoSuchPath, BadValue: the dataset, the recipe or the folder cannot be used.
        TrainingFailed: the loss is not a number any more.
        Interrupted: ``hooks.stop`` said so; ``resume`` goes on from there.
        DiskFull: no space is left; the last checkpoint is whole.
        ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
    """
    run, hooks, settings = RunFolder(request.out), hooks or TrainingHooks(), settings or load_settings()
    with run.going(request.resume, hooks.say), torch_threads(settings.threads):
        pictures, model = _open(request, settings, hooks.say)
        encoder, card = resolve_model(model, announce=hooks.say)
        if card.trained and _begins_anew(request.recipe):
            hooks.say(
                f"{card.name} is trained already, and {request.recipe.name} moves its weights as if it were not, which "
                "may undo what it can; `--recipe adapt` goes on from it gently. The report says what has become better "
                "and worse."
            )
        words = f"trained without labels with {request.recipe.name}"
        time, recipe, dataset = RunTime(run, request.resume), request.recipe, request.dataset
        with time.ticking(hooks) as ticking:
            made = ViewRun(run, recipe, dataset, words, settings, ticking, time, request.workers, request.resume)
            return made.go(pictures, encoder, card)


def _begins_anew(recipe: ViewRecipe) -> bool:
    """Whether a recipe moves an encoder's own weights as fast as the layers that stand on it for the first time."""
    return recipe.loop.backbone_rate == 1


def _open(request: PretrainRequest, settings: Settings, say: Say) -> tuple[Labelled, str]:
    """The images, and what names the start encoder."""
    if request.dataset != GALLERY:
        pictures = open_pictures(request.dataset, note=say)
        return pictures, request.model or start_model(request.gallery, settings, say)
    if request.gallery is None:
        raise BadValue("The dataset `gallery` needs a gallery.", "Give it with --gallery DIR.")
    with Gallery(request.gallery, settings) as gallery:
        model = request.model or str(gallery.layout.model(gallery.live_space().fingerprint))
        return open_pictures(GALLERY, gallery, note=say), model
