"""What the routes of folders, failures, duplicates and spaces take and give."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from retrieval.core.errors import Reason
from ui.api.models import ImageId

FailureReason = Literal[
    "empty", "not_an_image", "truncated", "corrupt", "too_many_pixels", "too_large", "unsupported", "unreadable",
    "timeout", "crashed", "changed",
]  # fmt: skip
assert set(FailureReason.__args__) == {reason.value for reason in Reason}  # type: ignore[attr-defined]

FolderId = Annotated[int, Field(ge=1, le=2**63 - 1, description="The folder's number in the gallery.")]


class FolderOut(BaseModel):
    """A folder of the gallery and what is in it."""

    id: FolderId
    path: str = Field(description="On the server; its name only where places are hidden.")
    online: bool = Field(description="It can be reached just now.")
    why: str = Field(description="Why it cannot be reached; empty where it can.")
    whole: bool = Field(description="All of it was indexed, not only single files in it.")
    present: int = Field(ge=0, description="Files that are there.")
    missing: int = Field(ge=0, description="Files that are gone.")
    failed: int = Field(ge=0, description="Files that could not be used.")
    scanned: float | None = Field(description="When all of it was last looked at: seconds since 1970, UTC.")


class Forgotten(BaseModel):
    """What the gallery has forgotten. No file is touched."""

    files: int = Field(ge=0, description="Records of files; labels that only they carry are gone with them.")


class FailedOut(BaseModel):
    """A file that could not be used."""

    path: str = Field(description="On the server; the file name only where places are hidden.")
    reason: str = Field(description="E.g. `truncated`.")
    message: str = Field(description="What is wrong, one line.")
    hint: str = Field(description="What to do next, one line; may be empty.")


class FailuresOut(BaseModel):
    """Some of the files that could not be used; a `retry` job tries all of them once more."""

    reasons: dict[str, int] = Field(description="How many there are of each reason, most frequent first.")
    files: list[FailedOut] = Field(description="Those of the page, by path.")
    first: int = Field(ge=0, description="Place of the first of them, from 0: a multiple of the page's size.")
    total: int = Field(ge=0, description="How many were asked for, on all pages.")


class CopyOut(BaseModel):
    """One file of a group of near-duplicates."""

    image: ImageId
    path: str = Field(description="On the server; the file name only where places are hidden.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    bytes: int = Field(description="Size of the file.")
    captured: str = Field(description="When it was taken, ISO 8601 without a time zone; empty where that is not known.")
    offline: bool = Field(description="It could not be reached.")


class DuplicatesOut(BaseModel):
    """Groups of pictures that are there twice."""

    groups: list[list[CopyOut]] = Field(description="Those of the page; in each the best file comes first.")
    total: int = Field(ge=0, description="How many groups there are.")


class DoubtOut(BaseModel):
    """A label that is probably wrong."""

    image: ImageId
    path: str = Field(description="A file of it on the server; the file name only where places are hidden.")
    label: str = Field(description="That it carried when it was checked.")
    instead: str = Field(description="What its neighbours say.")
    confidence: float = Field(ge=0, le=1, description="Chance that they are right, measured on the labelled images.")
    margin: float = Field(description="Share of their votes for `instead`, less that for `label`.")
    waits: bool = Field(description="Nobody has answered: the image still carries the label, and nobody confirmed it.")


class OutlierOut(BaseModel):
    """An image that is like few others."""

    image: ImageId
    path: str = Field(description="A file of it on the server; the file name only where places are hidden.")
    score: float = Field(ge=-1, le=1, description="Cosine to its tenth neighbour: the lower, the lonelier.")


class LabelCheckOut(BaseModel):
    """What a check of the labels found; `/labels` changes a label."""

    doubts: list[DoubtOut] = Field(description="The most clearly contradicted first.")
    doubted: int = Field(ge=0, description="How many there were in all.")
    labelled: int = Field(ge=0, description="Labelled images that were looked at.")
    accuracy: float = Field(ge=0, le=1, description="Share of right answers where these are labelled by each other.")
    outliers: list[OutlierOut] = Field(description="The loneliest first.")
    looked_at: int = Field(ge=0, description="Images among which these are.")
    images: int = Field(ge=0, description="In the gallery.")


class SpaceOut(BaseModel):
    """An encoder of the gallery, and what it has embedded."""

    fingerprint: str = Field(description="Of the encoder, in hexadecimal digits; what a `switch` job takes.")
    model: str = Field(description="Name of the encoder.")
    trained: bool = Field(description="False for an encoder without training, whose neighbours mean little.")
    dimension: int = Field(ge=1, description="Numbers an image.")
    live: bool = Field(description="Searches use it.")
    back: bool = Field(description="A rollback leads here.")
    covered: int = Field(ge=0, description="Images that it has embedded.")
    total: int = Field(ge=0, description="Images that files hold.")
    calibrated: bool = Field(description="Its scores have probabilities.")
    bytes: int = Field(ge=0, description="Space on the disk.")
    run: str = Field(description="Folder of the training that made it; its name only where places are hidden.")
    forced: list[str] = Field(description="What spoke against it when the switch was forced.")


class RolledBack(BaseModel):
    """Which space is live after a rollback."""

    fingerprint: str = Field(description="Of the one that is live now.")
    model: str = Field(description="Name of its encoder.")
    was: str = Field(description="Fingerprint of the one that was.")
    lacking: int = Field(ge=0, description="Images that came since; the next indexing embeds them.")
    seconds: float = Field(ge=0, description="How long it took.")
