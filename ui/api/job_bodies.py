"""What a job is asked for over HTTP: one model a kind, the same fields as the request's, told apart by ``kind``.

Where a run goes is not among them: runs that are asked for from afar lie in the gallery.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from retrieval.workflows.jobs import JobRequest, request_from
from ui.api.models import Asked, Folder

Dataset = Annotated[
    str,
    Field(
        pattern=r"^(gallery|(/|[A-Za-z]:[\\/])[^\x00]*)$",
        max_length=4096,
        description="`gallery`, for its own images and labels, or a folder or CSV table on the server (absolute).",
    ),
]
Workers = Annotated[int | None, Field(ge=1, le=256, description="Decoding processes; as many as cores by default.")]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, description="Of everything that is drawn.")]
Model = Annotated[
    str | None,
    Field(min_length=1, max_length=4096, description="Name or folder of an encoder; by default the gallery's."),
]
Recipe = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="A recipe by its name.")]
Settings = Annotated[dict[str, JsonValue], Field(max_length=100, description="Keys of the recipe to change.")]
Split = Annotated[str, Field(min_length=1, max_length=64, description="How images are held out for the proof.")]


class JobBody(Asked):
    """Base of all kinds."""

    def to_request(self) -> JobRequest:
        """The job's request. Raises BadValue."""
        values: dict[str, Any] = self.model_dump(exclude={"kind"}, exclude_unset=True)
        return request_from(str(getattr(self, "kind")), values)  # noqa: B009 - each kind has its own


class IndexAsked(Asked):
    """Index folders: what is new, changed, moved or missing in them."""

    paths: list[Folder] = Field([], max_length=1000, description="Folders or files; none means all that are known.")
    model: Model = None
    workers: Workers = None


class IndexBody(IndexAsked, JobBody):
    """Index folders: what is new, changed, moved or missing in them."""

    kind: Literal["index"]


class RetryBody(JobBody):
    """Try once more the files that could not be used."""

    kind: Literal["retry"]
    workers: Workers = None


class TrainBody(JobBody):
    """Train an embedding with labels, and prove it on labels that were held out."""

    kind: Literal["train"]
    dataset: Dataset = "gallery"
    recipe: Recipe = "quick-head"
    settings: Settings = Field(default_factory=dict)
    model: Model = None
    split: Split = "auto"
    workers: Workers = None


class PretrainBody(JobBody):
    """Train an embedding without labels."""

    kind: Literal["pretrain"]
    dataset: Dataset = "gallery"
    method: Annotated[str | None, Field(min_length=1, max_length=64, description="E.g. `simclr`.")] = None
    recipe: Recipe | None = None
    settings: Settings = Field(default_factory=dict)
    model: Model = None
    workers: Workers = None


class FinetuneBody(JobBody):
    """Go on from a pretraining with labels."""

    kind: Literal["finetune"]
    run: Folder = Field(description="Folder of the pretraining's run.")
    dataset: Dataset = "gallery"
    recipe: Recipe = "fine_tuning"
    settings: Settings = Field(default_factory=dict)
    fraction: float = Field(1.0, gt=0, le=1, description="Share of the labels to learn from.")
    split: Split = "auto"
    workers: Workers = None


class DistilBody(JobBody):
    """Teach a smaller model what a larger one knows."""

    kind: Literal["distil"]
    teacher: str = Field(min_length=1, max_length=4096, description="Name or folder of the encoder that teaches.")
    student: str = Field(min_length=1, max_length=4096, description="Name or folder of the one that learns.")
    dataset: Dataset = "gallery"
    labels: Dataset | None = None
    settings: Settings = Field(default_factory=dict)
    split: Split = "auto"
    workers: Workers = None


class SwitchBody(JobBody):
    """Embed the gallery with another encoder and search with it from then on, if it is proven better."""

    kind: Literal["switch"]
    model: str = Field(
        min_length=1,
        max_length=4096,
        description="A run's folder, an encoder, or the beginning of the fingerprint of a space that is there.",
    )
    force: bool = Field(False, description="Switch although nothing proves that it is better.")
    workers: Workers = None


class DiagnoseBody(JobBody):
    """Examine an encoder; the result is a page in the job's folder."""

    kind: Literal["diagnose"]
    dataset: Dataset = "gallery"
    model: Model = None
    against: Model = None
    workers: Workers = None
    seed: Seed = 0


class TemperatureBody(JobBody):
    """Compare temperatures of the contrastive loss; the result is a page in the job's folder."""

    kind: Literal["temperature"]
    dataset: Dataset = "gallery"
    model: Model = None
    values: list[Annotated[float, Field(gt=0, le=10)]] = Field(
        [], max_length=20, description="To compare, two or more; none means the usual ones."
    )
    workers: Workers = None
    seed: Seed = 0


class ProbeBody(JobBody):
    """Measure what a linear classifier on the embedding can tell apart."""

    kind: Literal["probe"]
    dataset: Dataset = "gallery"
    model: Model = None
    workers: Workers = None
    seed: Seed = 0


class AutoLabelsBody(JobBody):
    """Suggest labels for images that have none."""

    kind: Literal["auto-labels"]
    least: Annotated[float | None, Field(ge=0, le=1, description="Least confidence; the usual one by default.")] = None


class CalibrateBody(JobBody):
    """Measure which chance a score stands for."""

    kind: Literal["calibrate"]


class DuplicatesBody(JobBody):
    """Find pictures that are there twice."""

    kind: Literal["duplicates"]
    workers: Workers = None


class LabelCheckBody(JobBody):
    """Find labels that are probably wrong, and pictures that are like no other."""

    kind: Literal["label-check"]


class MapBody(JobBody):
    """Draw the map of the gallery anew."""

    kind: Literal["map"]


class BackupBody(JobBody):
    """Write a backup of the gallery."""

    kind: Literal["backup"]
    target: Folder = Field(description="The file to write, which must not exist; absolute, on the server.")


class CheckBody(JobBody):
    """Read and verify everything."""

    kind: Literal["check"]
    repair: bool = Field(False, description="Mend what the data allow.")


AnyJobBody = Annotated[
    IndexBody | RetryBody | TrainBody | PretrainBody | FinetuneBody | DistilBody | SwitchBody | DiagnoseBody
    | TemperatureBody | ProbeBody | AutoLabelsBody | CalibrateBody | DuplicatesBody | LabelCheckBody | MapBody
    | BackupBody | CheckBody,
    Field(discriminator="kind"),
]  # fmt: skip
