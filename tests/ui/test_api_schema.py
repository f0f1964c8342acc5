"""The API against its own description: schemathesis draws requests from the schema and looks at every answer."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from retrieval.workflows.jobs import State, process
from retrieval.workflows.jobs.folder import JobFolder

CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, unsupported_method,
)  # fmt: skip


def _done_at_once(_: Path, folder: JobFolder) -> None:
    folder.change_state(state=State.DONE, started=time.time(), ended=time.time(), result={"found": 1})


@pytest.fixture(scope="module")
def app(indexed: Path, opened: Callable[..., FastAPI], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """Over a gallery that may be changed, and whose jobs are done as soon as they are asked for."""
    gallery = tmp_path_factory.mktemp("api") / "gallery"
    shutil.copytree(indexed, gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "start", _done_at_once)
        yield opened(gallery, gallery=gallery, hosts=None, pages=())


@pytest.fixture(scope="module")
def described(app: FastAPI) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


def test_every_answer_is_as_described(described: Any) -> None:
    """One after the other: what was drawn for a route before is known to the next."""
    seen = 0
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy())
        def answers(case: Any) -> None:
            case.call_and_validate(checks=list(CHECKS))

        answers()
        seen += 1
    assert seen == 26
