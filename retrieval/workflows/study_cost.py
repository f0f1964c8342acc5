"""What a temperature study would cost on a gallery's labels and this machine."""

from pathlib import Path

from retrieval.core.settings import Settings, load_settings
from retrieval.workflows.lesson_cost import AROUND, AT_MOST, LessonTrial
from retrieval.workflows.readiness import Readiness, readiness
from retrieval.workflows.recipes import RECIPES
from retrieval.workflows.temperature_study import RECIPE, SEEDS, STEPS, VALUES


def study_cost(
    folder: Path, *, ready: Readiness | None = None, settings: Settings | None = None
) -> tuple[float, float] | None:
    """(seconds at the least, at the most) of a study with the usual values; a few steps are tried on made-up values.

    Args:
        folder: the gallery's.
        ready: what there is to learn from, where it is known already.
        settings: from the environment by default.

    Returns:
        None where there is too little to learn from, or to measure on.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    settings = settings or load_settings()
    ready = ready or readiness(folder, settings)
    if not ready.can_study:
        return None
    step, validation = LessonTrial(folder, RECIPES[RECIPE], ready, settings).pace()
    each = len(VALUES) * SEEDS * (STEPS * step + validation)
    return round(AROUND[0] + each, 1), round(AROUND[1] + AT_MOST * each, 1)
