"""Every loss written as loops over Python's own floats, straight from the papers' formulas."""

import math


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def distance(a, b):
    return math.dist(a, b)


def unit(a):
    length = math.sqrt(dot(a, a))
    return [x / length for x in a]


def log_sum_exp(values):
    highest = max(values)
    return highest + math.log(math.fsum(math.exp(v - highest) for v in values))


def log1p_exp(value):
    return max(value, 0) + math.log1p(math.exp(-abs(value)))


def mean(values):
    return math.fsum(values) / len(values) if values else 0.0


def others(y, a):
    """(positives, negatives) of row a."""
    if y[a] == -1:
        return [], []
    positives = [j for j in range(len(y)) if j != a and y[j] == y[a]]
    return positives, [j for j in range(len(y)) if y[j] not in (y[a], -1)]


def contrastive(z, y, margin=1.0, balanced=False, squared=True):
    pull, push = [], []
    for a in range(len(y)):
        positives, negatives = others(y, a)
        power = 2 if squared else 1
        pull += [distance(z[a], z[p]) ** power for p in positives]
        push += [max(0, margin - distance(z[a], z[n])) ** power for n in negatives]
    pull, push = [v for v in pull if v > 0], [v for v in push if v > 0]
    return mean(pull) + mean(push) if balanced else mean(pull + push)


def triplet(z, y, margin=0.2, squared=False, soft=False, select="semihard"):
    kinds = {
        "all": lambda ap, an: True,
        "easy": lambda ap, an: an > ap + margin,
        "semihard": lambda ap, an: ap < an < ap + margin,
        "hard": lambda ap, an: an <= ap,
        "mixed": lambda ap, an: an < ap + margin,
    }
    terms = []
    for a in range(len(y)):
        positives, negatives = others(y, a)
        for p in positives:
            for n in negatives:
                ap, an = (distance(z[a], z[j]) ** (2 if squared else 1) for j in (p, n))
                if kinds[select](ap, an):
                    terms.append(log1p_exp(ap - an) if soft else max(0, ap - an + margin))
    return mean(terms if soft else [t for t in terms if t > 0])


def center(z, y, centres, reduction="mean"):
    terms = [distance(z[i], centres[y[i]]) ** 2 / 2 for i in range(len(y)) if y[i] != -1]
    return math.fsum(terms) if reduction == "sum" else mean(terms)


def softmax(z, y, weights, bias):
    terms = []
    for i in range(len(y)):
        if y[i] != -1:
            logits = [dot(w, z[i]) + b for w, b in zip(weights, bias, strict=True)]
            terms.append(log_sum_exp(logits) - logits[y[i]])
    return mean(terms)


def cosine_softmax(z, y, weights, scale=64.0, margin=0.35, kind="cosface"):
    terms = []
    for i in range(len(y)):
        if y[i] == -1:
            continue
        cosines = [max(-1.0, min(1.0, dot(unit(w), z[i]))) for w in weights]
        logits = [scale * c for c in cosines]
        right = cosines[y[i]]
        if kind == "cosface":
            logits[y[i]] = scale * (right - margin)
        if kind == "arcface":
            theta = math.acos(right)
            lowered = math.cos(theta + margin) if theta + margin <= math.pi else right - margin * math.sin(margin)
            logits[y[i]] = scale * lowered
        terms.append(log_sum_exp(logits) - logits[y[i]])
    return mean(terms)


def circle_terms(z, a, positives, negatives, m, gamma):
    pull = [-gamma * max(1 + m - s, 0) * (s - (1 - m)) for s in (dot(z[a], z[p]) for p in positives)]
    push = [gamma * max(s + m, 0) * (s - m) for s in (dot(z[a], z[n]) for n in negatives)]
    return pull, push


def circle(z, y, margin=0.4, scale=80.0):
    terms = []
    for a in range(len(y)):
        pull, push = circle_terms(z, a, *others(y, a), margin, scale)
        if pull and push:
            terms.append(log1p_exp(log_sum_exp(pull) + log_sum_exp(push)))
    return mean(terms)


def circle_batch(z, y, margin=0.4, scale=80.0):
    pulls, pushes = [], []
    for a in range(len(y)):
        later = [[j for j in side if j > a] for side in others(y, a)]
        pull, push = circle_terms(z, a, *later, margin, scale)
        pulls, pushes = pulls + pull, pushes + push
    return log1p_exp(log_sum_exp(pulls) + log_sum_exp(pushes)) if pulls and pushes else 0.0


def multi_similarity(z, y, alpha=2.0, beta=50.0, base=0.5):
    terms = []
    for a in range(len(y)):
        if y[a] == -1:
            continue
        positives, negatives = others(y, a)
        pull = math.fsum(math.exp(-alpha * (dot(z[a], z[p]) - base)) for p in positives)
        push = math.fsum(math.exp(beta * (dot(z[a], z[n]) - base)) for n in negatives)
        terms.append(math.log1p(pull) / alpha + math.log1p(push) / beta)
    return mean(terms)


def proxy_anchor(z, y, proxies, margin=0.1, alpha=32.0):
    pull, push = [], []
    for c, proxy in enumerate(proxies):
        near = [dot(unit(proxy), z[i]) for i in range(len(y)) if y[i] == c]
        far = [dot(unit(proxy), z[i]) for i in range(len(y)) if y[i] not in (c, -1)]
        if near:
            pull.append(math.log1p(math.fsum(math.exp(-alpha * (s - margin)) for s in near)))
        push.append(math.log1p(math.fsum(math.exp(alpha * (s + margin)) for s in far)))
    return mean(pull) + mean(push)


def supervised_contrastive(z, y, temperature=0.1):
    terms = []
    for a in range(len(y)):
        positives, negatives = others(y, a)
        if positives:
            whole = log_sum_exp([dot(z[a], z[j]) / temperature for j in positives + negatives])
            terms.append(-mean([dot(z[a], z[p]) / temperature - whole for p in positives]))
    return mean(terms)


def info_nce(z, y, temperature=0.1):
    terms = []
    for a in range(len(y)):
        positives, negatives = others(y, a)
        for p in positives:
            logits = [dot(z[a], z[j]) / temperature for j in (p, *negatives)]
            terms.append(log_sum_exp(logits) - logits[0])
    return mean(terms)


def nt_xent(first, second, temperature=0.5):
    z, n = [*first, *second], len(first)
    terms = []
    for i in range(2 * n):
        logits = {k: dot(z[i], z[k]) / temperature for k in range(2 * n) if k != i}
        terms.append(log_sum_exp(list(logits.values())) - logits[i + n if i < n else i - n])
    return mean(terms)


def column(z, d):
    return [row[d] for row in z]


def spread(values, denominator):
    """Variance, with this denominator."""
    middle = mean(values)
    return math.fsum((v - middle) ** 2 for v in values) / denominator


def barlow_twins(first, second, redundancy=0.0051):
    def standardised(z, d):
        values = column(z, d)
        middle, variance = mean(values), spread(values, len(values))
        return [(v - middle) / math.sqrt(variance + 1e-5) for v in values]

    width, total = len(first[0]), 0.0
    for i in range(width):
        for j in range(width):
            c = dot(standardised(first, i), standardised(second, j)) / len(first)
            total += (1 - c) ** 2 if i == j else redundancy * c**2
    return total


def vicreg(first, second, invariance=25.0, variance=25.0, covariance=1.0, scaling="authors"):
    width, rest = len(first[0]), max(1, len(first) - 1)

    def v(z):
        return mean([max(0, 1 - math.sqrt(spread(column(z, d), rest) + 1e-4)) for d in range(width)])

    def c(z):
        centred = [[x - mean(column(z, d)) for x in column(z, d)] for d in range(width)]
        entries = [dot(centred[i], centred[j]) / rest for i in range(width) for j in range(width) if i != j]
        return math.fsum(entry**2 for entry in entries) / width

    s = mean([distance(a, b) ** 2 for a, b in zip(first, second, strict=True)])
    if scaling == "authors":
        return invariance * s / width + variance * (v(first) + v(second)) / 2 + covariance * (c(first) + c(second))
    return invariance * s + variance * (v(first) + v(second)) + covariance * (c(first) + c(second))


def negative_cosine(predictions, targets):
    return mean([-dot(p, t) for p, t in zip(predictions, targets, strict=True)])


def soft_cross_entropy(logits, targets, temperature=0.1):
    terms = []
    for row, target in zip(logits, targets, strict=True):
        scaled = [value / temperature for value in row]
        whole = log_sum_exp(scaled)
        terms.append(-math.fsum(t * (value - whole) for t, value in zip(target, scaled, strict=True)))
    return mean(terms)


def info_nce_queries(queries, keys, negatives=None, temperature=0.07, in_batch=True, symmetric=False):
    if symmetric:
        return (
            info_nce_queries(queries, keys, None, temperature) + info_nce_queries(keys, queries, None, temperature)
        ) / 2
    terms = []
    for i, query in enumerate(queries):
        candidates = [keys[i], *(negatives or [])]
        candidates += [keys[j] for j in range(len(keys)) if j != i] if in_batch else []
        logits = [dot(query, k) / temperature for k in candidates]
        terms.append(log_sum_exp(logits) - logits[0])
    return mean(terms)


def nce(queries, keys, noise, noise_probability, log_z, temperature=0.07):
    """P(data | sample) = p / (p + m P_noise) with p = exp(s/tau) / Z, as Wu et al. write it (equations 5 to 7)."""
    m = len(noise)
    terms = []
    for query, key in zip(queries, keys, strict=True):

        def data(sample, query=query):
            p = math.exp(dot(query, sample) / temperature) / math.exp(log_z)
            return p / (p + m * noise_probability)

        terms.append(-math.log(data(key)) - math.fsum(math.log(1 - data(sample)) for sample in noise))
    return mean(terms)


def nce_instance(z, ids, noise, bank, log_z, temperature=0.07):
    return nce(z, [bank[i] for i in ids], [bank[i] for i in noise], 1 / len(bank), log_z, temperature)
