"""A search as the query of an address, and back: whoever opens it gets the same search. It may say anything."""

from urllib.parse import parse_qs, urlencode

from retrieval.core.errors import BadValue
from retrieval.core.types import Region
from ui.asking import Asked, Nonsense, Picture, a_key, a_number
from ui.options import Options

_LONGEST = 8192
_TEXTS = {"under": "under", "after": "after", "before": "before", "from": "min_size", "to": "max_size"}
_NUMBERS = {"k": "k", "score": "min_score", "shorter": "min_side", "longer": "max_side"}
_PLAIN = Options()


def link_of(asked: Asked, options: Options) -> str:
    """The query, with its question mark; empty where an upload is not known by its content."""
    if any(one.image_id is None and one.key is None for one in (*asked.like, *asked.unlike)):
        return ""
    pairs = [("like", _written(one)) for one in asked.like]
    pairs += [("unlike", _written(one)) for one in asked.unlike]
    pairs += [("yes" if relevant else "no", str(number)) for number, relevant in asked.judged]
    pairs += [("page", str(asked.page))] if asked.page else []
    pairs += [("label", label) for label in options.labels or ()]
    pairs += [("without", label) for label in options.not_labels or ()]
    for name, field in {**_TEXTS, **_NUMBERS}.items():
        value = getattr(options, field)
        if value and value != getattr(_PLAIN, field):
            pairs.append((name, f"{value:g}" if isinstance(value, int | float) else value.strip()))
    return f"?{urlencode(pairs, errors='replace')}"


def read_link(query: object) -> tuple[Asked, Options]:
    """The search that a query names. Raises Nonsense where it is none."""
    if not isinstance(query, str) or len(query) > _LONGEST:
        raise Nonsense
    try:
        found = parse_qs(query.removeprefix("?"), max_num_fields=700)
        like = tuple(_read(text) for text in found.get("like", ()))
        unlike = tuple(_read(text) for text in found.get("unlike", ()))
        judged = [
            (a_number(text), relevant)
            for name, relevant in (("yes", True), ("no", False))
            for text in found.get(name, ())
        ]
        page = a_number(found.get("page", ["0"])[0], least=0)
        texts = {field: found[name][0] for name, field in _TEXTS.items() if name in found}
        numbers = {field: float(found[name][0]) for name, field in _NUMBERS.items() if name in found}
    except (ValueError, BadValue) as error:
        raise Nonsense from error
    if not like or any(not 0 <= value < 2**31 for value in numbers.values()):
        raise Nonsense
    labels, without = found.get("label", []), found.get("without", [])
    options = Options(labels=labels, not_labels=without, **texts, **numbers)  # type: ignore[arg-type]
    return Asked(like, unlike, tuple(dict(judged).items()), page), options


def _written(one: Picture) -> str:
    name = str(one.image_id) if one.image_id is not None else f"q{one.key}"
    if one.region is None:
        return name
    region = one.region
    # As many digits as it takes to be the same part again.
    return f"{name}@{region.left!r},{region.top!r},{region.right!r},{region.bottom!r}"


def _read(text: str) -> Picture:
    name, at, part = text.partition("@")
    region = Region(*_four(part)) if at else None
    if name.startswith("q"):
        return Picture(key=a_key(name[1:]), region=region)
    return Picture(a_number(name), region=region)


def _four(text: str) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(side) for side in text.split(","))
    return left, top, right, bottom
