"""Batches to mine, the miners' formulas as slow loops, and a look at how much memory a call holds."""

import math
import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode

MARGIN = 0.2
EPSILON = 0.1


def batch(seed, count=12, classes=4, dimension=5, kind="generic", unlabelled=0.0, dtype=torch.float64):
    """[B, D] unit rows and [B] labels. ``"axes"``: rows from the axes only, so that distances are 0, sqrt(2) and 2
    exactly, with many ties and duplicates; B is then rounded down to a power of two, for which the means of such rows
    are exact too."""
    random = torch.Generator().manual_seed(seed)
    if kind == "axes":
        count = 1 << count.bit_length() - 1 if count else 0
        axes = torch.cat([torch.eye(dimension), -torch.eye(dimension)]).to(dtype)
        embeddings = axes[torch.randint(len(axes), (count,), generator=random)]
    else:
        embeddings = torch.randn(count, dimension, generator=random, dtype=torch.float64)
        embeddings = torch.nn.functional.normalize(embeddings, dim=1).to(dtype)
    labels = torch.randint(classes, (count,), generator=random)
    labels[torch.rand(count, generator=random) < unlabelled] = -1
    return embeddings, labels


def lists(embeddings, labels):
    return embeddings.double().tolist(), labels.tolist()


def cosine(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def partners(labels, a):
    """(positives, negatives) of row a."""
    others = [j for j in range(len(labels)) if j != a and labels[j] >= 0 and labels[a] >= 0]
    return [j for j in others if labels[j] == labels[a]], [j for j in others if labels[j] != labels[a]]


def loop_rule(holds):
    """All triplets whose distances hold, one after the other."""

    def naive(embeddings, labels):
        z, y = lists(embeddings, labels)
        found = []
        for a in range(len(y)):
            positives, negatives = partners(y, a)
            for p in positives:
                for n in negatives:
                    if holds(math.dist(z[a], z[p]), math.dist(z[a], z[n])):
                        found.append((a, p, n))
        return found

    return naive


def loop_batch_hard(embeddings, labels):
    z, y = lists(embeddings, labels)
    found = []
    for a in range(len(y)):
        positives, negatives = partners(y, a)
        if positives and negatives:
            p = max(positives, key=lambda j: math.dist(z[a], z[j]))
            n = min(negatives, key=lambda j: math.dist(z[a], z[j]))
            found.append((a, p, n))
    return found


def loop_batch_semihard(embeddings, labels):
    z, y = lists(embeddings, labels)
    found = []
    for a in range(len(y)):
        positives, negatives = partners(y, a)
        if not negatives:
            continue
        for p in positives:
            beyond = [j for j in negatives if math.dist(z[a], z[j]) > math.dist(z[a], z[p])]
            if beyond:
                n = min(beyond, key=lambda j: math.dist(z[a], z[j]))
            else:
                n = max(negatives, key=lambda j: math.dist(z[a], z[j]))
            found.append((a, p, n))
    return found


def loop_multi_similarity(embeddings, labels):
    z, y = lists(embeddings, labels)
    chosen = ([], [])
    for a in range(len(y)):
        positives, negatives = partners(y, a)
        if positives and negatives:
            highest = max(cosine(z[a], z[j]) for j in negatives)
            lowest = min(cosine(z[a], z[j]) for j in positives)
            chosen[0].extend((a, j) for j in positives if cosine(z[a], z[j]) < highest + EPSILON)
            chosen[1].extend((a, j) for j in negatives if cosine(z[a], z[j]) > lowest - EPSILON)
    return chosen


def loop_all_pairs(embeddings, labels):
    y = labels.tolist()
    return tuple([(a, j) for a in range(len(y)) for j in partners(y, a)[kind]] for kind in (0, 1))


def loop_weights(embeddings, labels, a, nearest=0.5, farthest=1.4):
    """{negative: chance} of distance-weighted draws for row a, by the formula, in float64."""
    z, y = lists(embeddings, labels)
    n = len(z[0])
    logs = {}
    for j in partners(y, a)[1]:
        d = max(math.dist(z[a], z[j]), nearest)
        if d <= farthest:
            logs[j] = (2 - n) * math.log(d) - (n - 3) / 2 * math.log(1 - d * d / 4)
    highest = max(logs.values(), default=0.0)
    total = math.fsum(math.exp(value - highest) for value in logs.values())
    return {j: math.exp(value - highest) / total for j, value in logs.items()}


NAIVE = {
    "all": loop_rule(lambda ap, an: True),
    "easy": loop_rule(lambda ap, an: an > ap + MARGIN),
    "semihard": loop_rule(lambda ap, an: ap < an < ap + MARGIN),
    "hard": loop_rule(lambda ap, an: an <= ap),
    "mixed": loop_rule(lambda ap, an: an < ap + MARGIN),
    "batch_hard": loop_batch_hard,
    "batch_semihard": loop_batch_semihard,
    "multi_similarity": loop_multi_similarity,
    "all_pairs": loop_all_pairs,
}
"""Every deterministic miner written from its definition."""

DRAWN = {"distance_weighted"}
"""Miners that draw; their distribution has a test of its own."""


def rows(mined):
    """Triplets as a list of (a, p, n); pairs as two lists of (a, partner)."""
    if hasattr(mined, "anchor"):
        return list(zip(*(column.tolist() for column in mined), strict=True))
    return tuple([tuple(pair) for pair in part.tolist()] for part in mined)


class Held(TorchDispatchMode):
    """Bytes of tensors that are alive at once while it is active, and the largest single one.

    What an operation takes inside and gives back before it returns is not seen.
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = self.largest = 0
        self._known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor)
        return out

    def _count(self, tensor):
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak, self.largest = max(self.peak, self.now), max(self.largest, size)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key, size):
        self._known.discard(key)
        self.now -= size
