"""Miners choose pairs and triplets; samplers choose batches. One file each, one explicit table each."""

from retrieval.mining.hard_batches import HardBatches
from retrieval.mining.hard_examples import HardExamples
from retrieval.mining.memory import memory_estimate
from retrieval.mining.samplers import SAMPLERS, ClassBalanced, MPerClass, Sampler, SamplerSpec, Shuffled
from retrieval.mining.table import MINERS, MinerSpec
from retrieval.mining.walk import iter_triplets

__all__ = [
    "MINERS",
    "SAMPLERS",
    "ClassBalanced",
    "HardBatches",
    "HardExamples",
    "MPerClass",
    "MinerSpec",
    "Sampler",
    "SamplerSpec",
    "Shuffled",
    "iter_triplets",
    "memory_estimate",
]
