"""Losses as pure functions of tensors, one file each, one explicit table.

A loss keeps nothing: class weights, proxies, centres and banks are handed in by the method that owns them. It knows
nothing of devices or processes.
"""

from retrieval.losses.center import exact_centres, updated_centres
from retrieval.losses.nce import estimated_log_z
from retrieval.losses.nce_instance import updated_bank
from retrieval.losses.spec import LossSpec, StateSpec
from retrieval.losses.table import LOSSES

__all__ = [
    "LOSSES",
    "LossSpec",
    "StateSpec",
    "estimated_log_z",
    "exact_centres",
    "updated_bank",
    "updated_centres",
]
