"""The fingerprint: what makes two encoders give the same embeddings, as one SHA-256."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from retrieval.models.card import canonical_json


def fingerprint_of(identity: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over ``identity`` and every tensor's name, dtype, shape and bytes, in sorted order.

    Args:
        identity: JSON-ready; see ``ModelCard.identity``.
        tensors: a state dict; the order of its keys and the tensors' strides do not matter.
    """
    digest = hashlib.sha256(canonical_json(dict(identity)))
    for name in sorted(tensors):
        tensor = tensors[name]
        # The lengths of all parts are fixed by this line, so that no two different states read the same.
        digest.update(canonical_json([name, str(tensor.dtype), list(tensor.shape)]))
        digest.update(memoryview(_bytes_of(tensor)))
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> Any:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()
