"""Weights come as safetensors only: a pickle can run a stranger's code when it is loaded."""

from pathlib import Path

from retrieval.core.errors import ModelUnsafe

PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".npz", ".npy", ".joblib", ".tar", ".pt2", ".th")

_CONVERT = (
    "Use weights in the safetensors format; whoever made the file can convert it with "
    "`safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."
)


def looks_pickled(start: bytes) -> bool:
    """Whether the first bytes are those of a zip archive (torch, npz) or of a pickle.

    A safetensors file starts with the length of its header in eight bytes, then ``{``.
    """
    if start[8:9] == b"{":
        return False
    return start[:2] == b"PK" or start[:1] == b"\x80" or start[:6] == b"\x93NUMPY" or start[:2] == b"\x1f\x8b"


def refuse_pickle(path: Path) -> None:
    """Raise unless ``path`` is named and starts unlike a pickle.

    Raises:
        ModelUnsafe: by the name or by the content it is a pickle or an archive that can hold one.
        OSError: it cannot be read.
    """
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise ModelUnsafe(f"{path} is not a safetensors file; files of its kind can run code when loaded.", _CONVERT)
    with open(path, "rb") as file:
        start = file.read(16)
    if looks_pickled(start):
        raise ModelUnsafe(f"{path} holds a pickle or an archive, whatever its name says; it could run code.", _CONVERT)
