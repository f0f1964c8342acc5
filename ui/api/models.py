"""What the routes take and give. Every text is encodable: undecodable bytes of names appear as escapes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

ImageId = Annotated[int, Field(ge=1, le=2**63 - 1, description="The image's number in the gallery.")]
Folder = Annotated[
    str,
    Field(
        min_length=1, max_length=4096, pattern=r"^(/|[A-Za-z]:[\\/])[^\x00]*$", description="Absolute, on the server."
    ),
]
Taken = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str)]
"""Cameras know no time zone, without which a moment is none to JSON Schema: it is given as text."""

Label = Annotated[str, Field(min_length=1, max_length=200, description="As people read it; not blank.")]


Moment = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2}(([ T][0-9]{2}:[0-9]{2}:[0-9]{2})|( [0-9]{2}:[0-9]{2}))?)?)?$",
        description="A year, month, day or time as cameras write it, e.g. `2024-05-17` or `2024-05-17 14:30`.",
    ),
]
Pixels = Annotated[int, Field(ge=1, le=2**31 - 1)]
Size = Annotated[int, Field(ge=0, le=2**63 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Asked(BaseModel):
    """Base of what is taken: an unknown field is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")


# -- searching -----------------------------------------------------------------------------------------------------


class SearchOptions(Asked):
    """How many neighbours, and which."""

    k: int = Field(10, ge=1, le=1000, description="How many neighbours at most.")
    label: list[Label] = Field([], max_length=100, description="Only images with one of these labels.")
    not_label: list[Label] = Field([], max_length=100, description="Without images that have one of these labels.")
    under: list[Folder] = Field([], max_length=100, description="Only images in one of these folders of the server.")
    min_score: float | None = Field(None, ge=-1, le=1, description="Only matches with at least this cosine.")
    after: Moment | None = Field(None, description="Only pictures taken at this moment or later.")
    before: Moment | None = Field(None, description="Only pictures taken before this moment.")
    min_side: Pixels | None = Field(None, description="Only pictures whose shorter side has so many pixels or more.")
    max_side: Pixels | None = Field(None, description="Only pictures whose longer side has so many pixels or fewer.")
    min_bytes: Size | None = Field(None, description="Only files of this size or larger.")
    max_bytes: Size | None = Field(None, description="Only files of this size or smaller.")
    start: int = Field(0, ge=0, le=10_000, description="How many better ones to leave out, for further pages.")


class RegionAsked(Asked):
    """A part of an upright picture, as shares of its width and height; at least a hundredth of each."""

    left: Share
    top: Share
    right: Share
    bottom: Share


class ExampleAsked(Asked):
    """An image of the gallery to go by."""

    image: ImageId
    region: RegionAsked | None = Field(None, description="Only this part of it.")


class JudgedAsked(Asked):
    """Whether a result was what is looked for."""

    image: ImageId
    relevant: bool


class ExamplesAsked(SearchOptions):
    """A search by several images of the gallery, and by what was found so far."""

    like: list[ExampleAsked] = Field(min_length=1, max_length=20, description="Images that show what is wanted.")
    unlike: list[ExampleAsked] = Field([], max_length=19, description="Images to move away from; 20 examples in all.")
    judged: list[JudgedAsked] = Field([], max_length=500, description="Results, and whether they are meant.")
    together: bool = Field(True, description="Leave out near-duplicates of what is nearer.")


class NeighbourOut(BaseModel):
    """One image that was found."""

    rank: int = Field(ge=1, description="1 for the nearest.")
    id: ImageId
    score: float = Field(ge=-1.000001, le=1.000001, description="Cosine similarity; 1 is the same.")
    probability: float | None = Field(
        ge=0, le=1, description="Chance that it carries the query's label; null where the gallery is not calibrated."
    )
    labels: list[str] = Field(description="In alphabetical order.")
    paths: list[str] = Field(description="Where it lies on the server; file names only where places are hidden.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    format: str = Field(description="E.g. `JPEG`.")
    bytes: int = Field(description="Size of the file.")
    captured: Taken | None = Field(description="When it was taken, as the camera wrote it, without a time zone.")
    offline: bool = Field(description="No file of it can be reached just now.")


class SearchOut(BaseModel):
    """The neighbours of one query."""

    neighbours: list[NeighbourOut] = Field(description="Best first; empty where nothing passes the filters.")
    searched: int = Field(ge=0, description="How many images pass the filters.")
    seconds: float = Field(ge=0, description="How long it took.")
    nothing_like_this: bool | None = Field(
        description="Probably no match is here: no image is as near as one that is; null where that is not known."
    )
    more: bool = Field(description="There are further ones behind these.")


class HeatOut(BaseModel):
    """One of two pictures that are compared."""

    width: int = Field(description="Pixels, upright.")
    height: int = Field(description="Pixels, upright.")
    seen: tuple[float, float, float, float] = Field(
        description="Left, top, right and bottom of what is looked at, as shares of the picture; equal cells divide it."
    )
    values: list[list[float]] = Field(description="Row by row, what each cell adds to the score, or its own cosine.")
    levels: list[list[float]] = Field(description="The same from 0 to 1, to be shown.")


class MatchOut(BaseModel):
    """Where two pictures match."""

    query: HeatOut
    image: HeatOut
    score: float = Field(ge=-1.000001, le=1.000001, description="Cosine similarity of the two.")
    exact: bool = Field(
        description="The values of each picture sum to the score; otherwise they are cosines of cells by themselves."
    )
    pairs: list[list[float]] | None = Field(
        description="What each cell of the query (row) has to do with each cell of the image; null if not asked for."
    )


# -- the gallery ---------------------------------------------------------------------------------------------------


class FileOut(BaseModel):
    """One place of an image."""

    path: str = Field(description="On the server; the file name only where places are hidden.")
    state: Literal["present", "missing", "failed"] = Field(description="When it was last looked at.")
    offline: bool = Field(description="Its drive could not be reached.")


class ImageOut(BaseModel):
    """An image of the gallery. Its pictures are at `/images/{id}/thumbnail` and `/images/{id}/full` of the server."""

    id: ImageId
    digest: str = Field(description="SHA-256 of the file's bytes, in hexadecimal digits.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    format: str = Field(description="E.g. `JPEG`.")
    bytes: int = Field(description="Size of the file.")
    captured: Taken | None = Field(description="When it was taken, as the camera wrote it, without a time zone.")
    labels: list[str] = Field(description="In alphabetical order.")
    files: list[FileOut] = Field(description="Wherever this content lies.")


class StatusOut(BaseModel):
    """What the gallery holds."""

    images: int = Field(ge=0, description="Contents that are known.")
    findable: int = Field(ge=0, description="Images that a search can return.")
    files: int = Field(ge=0, description="Files that hold them.")
    failed: int = Field(ge=0, description="Files that could not be used.")
    missing: int = Field(ge=0, description="Files that are gone.")
    offline_files: int = Field(ge=0, description="Files on drives that cannot be reached.")
    model: str = Field(description="Name of the encoder.")
    trained: bool = Field(description="False for an encoder without training, whose neighbours mean little.")
    fingerprint: str = Field(description="Of the encoder and its preprocessing, in hexadecimal digits.")
    index: str = Field(description="Kind of the index, e.g. `faiss-flat`.")
    bytes: dict[str, int] = Field(description="Space on the disk, in bytes, by part.")
    agree: bool = Field(description="The parts of the gallery agree with each other.")
    problems: list[str] = Field(description="What does not.")


# -- labels --------------------------------------------------------------------------------------------------------


class LabelOut(BaseModel):
    """A label in use."""

    label: str
    images: int = Field(ge=1, description="How many carry it.")
    sources: dict[str, int] = Field(description="Of these, by who said so: folder, csv, person, automatic.")


class LabelsAsked(Asked):
    """That images carry a label, or do not."""

    images: list[ImageId] = Field(min_length=1, max_length=10_000)
    label: Label
    remove: bool = Field(False, description="Take the label away, whoever gave it.")
    only: bool = Field(False, description="Take all other labels of these images away.")


class UndoAsked(Asked):
    """Which operation to take back."""

    operation: int | None = Field(
        None, ge=1, le=2**63 - 1, description="Its number; by default the newest of a person or table in effect."
    )


class LabelsChanged(BaseModel):
    """What was done to labels."""

    operation: int | None = Field(description="Number of the operation, to undo it; null where nothing changed.")
    added: int = Field(ge=0, description="Labels that were given.")
    unchanged: int = Field(ge=0, description="That stood already.")
    removed: int = Field(ge=0, description="That were taken away.")


class OperationOut(BaseModel):
    """An operation on labels."""

    id: int
    kind: str = Field(description="E.g. `set`, `import`, `undo`.")
    at: datetime = Field(description="UTC.")
    added: int = Field(ge=0, description="Labels that it gave.")
    standing: int = Field(ge=0, description="Of these, how many stand.")
    removed: int = Field(ge=0, description="Labels that it took away.")


# -- jobs ----------------------------------------------------------------------------------------------------------


class ProgressOut(BaseModel):
    """How far a job is; within a part `done` never falls."""

    part: str = Field(description="What is being done.")
    done: int = Field(description="How much of it.")
    total: int = Field(description="Of how much; 0 where that is not known.")
    unit: str = Field(description="Of what: `image`, `step` or nothing.")
    failed: int = Field(description="How many could not be done.")
    rate: float | None = Field(description="A second; while training, images a second.")
    seconds_left: float | None = Field(description="To the end of the part.")
    epoch: int | None = Field(description="While training.")
    epochs: int | None = Field(description="While training.")
    parts: int = Field(description="How many parts were begun.")


class FailureOut(BaseModel):
    """Why a job failed."""

    kind: str
    message: str
    hint: str


class JobOut(BaseModel):
    """A job as it is now."""

    id: int = Field(ge=1, description="Later jobs have higher numbers.")
    kind: str = Field(description="What is done; empty where the job cannot be read.")
    request: dict[str, Any] = Field(description="What was asked for.")
    state: Literal["queued", "running", "done", "failed", "cancelled", "lost", "broken"] = Field(
        description="`lost`: it was killed; `broken`: what was noted about it cannot be read."
    )
    progress: ProgressOut | None = Field(description="Null before anything was said.")
    created: float = Field(description="Seconds since 1970, UTC.")
    started: float | None = Field(description="Seconds since 1970, UTC.")
    ended: float | None = Field(description="Seconds since 1970, UTC.")
    result: dict[str, Any] | None = Field(description="The report of one that is done.")
    error: FailureOut | None = Field(description="Of one that did not end well.")
    cancelling: bool = Field(description="It was asked to stop and has not yet.")
    resumes: int | None = Field(description="Number of the job that it goes on with.")
    goes_on: bool = Field(description="`resume` continues where it stopped; otherwise it begins anew.")


class EventsOut(BaseModel):
    """What a job said."""

    events: list[dict[str, Any]] = Field(
        description="Each with `event` (its name), `time` (seconds since 1970) and fields of its own."
    )
    next: int = Field(ge=0, description="Give it as `after` to read on.")


class CancelAsked(Asked):
    """How to stop a job."""

    at_once: bool = Field(False, description="Do not wait for it; what it committed is safe either way.")
