"""A backbone's weights from a local safetensors file, loaded strictly."""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from retrieval.core.errors import ModelDamaged, NoSuchPath
from retrieval.models.safety import refuse_pickle


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, by name.

    Raises:
        NoSuchPath: there is no such file.
        ModelUnsafe: it is a pickle or an archive.
        ModelDamaged: it is truncated, or no safetensors file, or cannot be read.
    """
    if not path.is_file():
        raise NoSuchPath(f"There is no weights file {path}.", "Check the path.")
    try:
        refuse_pickle(path)
        content = path.read_bytes()
    except OSError as error:
        raise ModelDamaged(f"{path} cannot be read: {error.strerror}.", "Check the file's permissions.") from error
    return parse_safetensors(content, path)


def parse_safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors in ``content``; ``path`` is for the message. Raises ModelDamaged."""
    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelDamaged(
            f"{path} is truncated, damaged, or not a safetensors file ({error}).", "Copy it again from its source."
        ) from error
    return tensors


def load_strictly(module: nn.Module, tensors: dict[str, Tensor], where: str, optional: Iterable[str] = ()) -> None:
    """Put ``tensors`` into ``module``; every name and shape has to fit.

    Args:
        module: changed only if everything fits.
        tensors: by name, as in a state dict; dtypes are converted.
        where: the file, for the message.
        optional: prefixes (``"classifier"``) whose tensors are left out, be they in the file or not.

    Raises:
        ModelDamaged: tensors are missing, unexpected or of another shape; the message names the first three.
    """
    wanted = module.state_dict()
    prefixes = tuple(f"{name}." for name in optional)
    given = {name: tensor for name, tensor in tensors.items() if not (name.startswith(prefixes) and name not in wanted)}
    problems = _problems(wanted, given)
    if problems:
        rest = "" if len(problems) <= 3 else f", and {len(problems) - 3} more"
        raise ModelDamaged(
            f"The weights in {where} do not fit the model: {'; '.join(problems[:3])}{rest}.",
            "Were they made with another backbone, or with other --backbone-args (e.g. pad_type=same)?",
        )
    module.load_state_dict(wanted | given)


def _problems(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    # Counts training steps only; some writers leave it out.
    missing = [n for n in sorted(wanted.keys() - given.keys()) if not n.endswith("num_batches_tracked")]
    reshaped = [n for n in sorted(wanted.keys() & given.keys()) if wanted[n].shape != given[n].shape]
    return [
        *(f"{name} is missing" for name in missing),
        *(f"{name} is unexpected" for name in sorted(given.keys() - wanted.keys())),
        *(f"{n} has shape {list(given[n].shape)} instead of {list(wanted[n].shape)}" for n in reshaped),
    ]
