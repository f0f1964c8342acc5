"""The API's description as a page: plain HTML, made from the schema, with nothing from anybody else's server."""

import json
from collections.abc import Mapping
from typing import Any

from ui.markup import escape, prose

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 860px; margin: 0 auto; padding: 24px 20px 60px; font: 15.5px/1.55 system-ui, sans-serif; }
h1 { font-size: 26px; } h2 { margin-top: 40px; font-size: 20px; }
article { margin: 14px 0; padding: 14px 18px; border: 1px solid #8885; border-radius: 12px; }
h3 { margin: 0 0 6px; font-size: 16px; overflow-wrap: anywhere; } code { font-size: 0.94em; }
h3 b { display: inline-block; min-width: 52px; color: #0f6b5c; } p { margin: 4px 0; }
table { width: 100%; margin-top: 8px; border-collapse: collapse; font-size: 14px; }
td { padding: 5px 12px 5px 0; border-top: 1px solid #8883; vertical-align: top; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { h3 b { color: #5fc9b2; } }
"""


def render_docs(schema: Mapping[str, Any]) -> str:
    """A document that says what ``schema`` (OpenAPI 3.1) says."""
    title, base = schema["info"]["title"], schema["servers"][0]["url"]
    routes = [
        _route(base + path, method, route)
        for path, methods in schema["paths"].items()
        for method, route in methods.items()
    ]
    models = [_model(name, model) for name, model in schema["components"]["schemas"].items()]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f"{escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{prose(schema['info']['description'])}</p>"
        '<p><a href="openapi.json">openapi.json</a></p>'
        f"<h2>Routes</h2>{''.join(routes)}<h2>Values</h2>{''.join(models)}</body></html>"
    )


def _route(path: str, method: str, route: Mapping[str, Any]) -> str:
    rows = [
        (f"{one['name']} ({one['in']})", one["schema"], one.get("description", ""))
        for one in route.get("parameters", [])
    ]
    for kind, content in route.get("requestBody", {}).get("content", {}).items():
        rows.append((f"body ({kind})", content["schema"], route["requestBody"].get("description", "")))
    for status, answer in route["responses"].items():
        for content in answer.get("content", {}).values():
            if status.startswith("2"):
                rows.append((f"answer ({status})", content["schema"], ""))
    about = f"<p>{prose(route['description'])}</p>" if "description" in route else ""
    return (
        f"<article><h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3><p>{escape(route['summary'])}</p>"
        f"{about}{_table(rows)}</article>"
    )


def _model(name: str, model: Mapping[str, Any]) -> str:
    required = model.get("required", [])
    rows = [
        (field + ("" if field in required else " (may be left out)"), one, one.get("description", ""))
        for field, one in model.get("properties", {}).items()
    ]
    return (
        f'<article id="{escape(name)}"><h3><code>{escape(name)}</code></h3>'
        f"<p>{prose(model.get('description', ''))}</p>{_table(rows)}</article>"
    )


def _table(rows: list[tuple[str, Any, str]]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_type(schema)}</td><td>{prose(about)}</td></tr>"
        for name, schema, about in rows
    )
    return f"<table>{cells}</table>" if cells else ""


_RANGES = {
    "minimum": "≥ {}", "maximum": "≤ {}", "exclusiveMinimum": "> {}", "minLength": "at least {} characters",
    "maxLength": "at most {} characters", "minItems": "at least {}", "maxItems": "at most {}", "default": "default {}",
}  # fmt: skip


def _type(schema: Mapping[str, Any]) -> str:
    """What a value is, with its range."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(one) for one in schema[choice])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("format", schema.get("type", "any value")))
    if kind == "array":
        kind = "list"
    ranges = ", ".join(
        said.format(json.dumps(schema[key])) for key, said in _RANGES.items() if schema.get(key) is not None
    )
    inner = f" of {_type(schema['items'])}" if "items" in schema else ""
    return f"{escape(kind)}{inner}{f', {escape(ranges)}' if ranges else ''}"
