"""Answers kept as files, and Amazon's own models where they lie beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).parents[1]
_MODELS = _TESTS.parents[1] / "shared" / "models"

HAS_MODELS = (_MODELS / "vendorOrders.json").exists()
NO_MODELS = "Amazon's model files are not beside the repository (shared/models)"


def sample(operation: str, name: str) -> bytes:
    """Return the bytes of one answer of *operation*."""
    return (_TESTS / "samples" / operation / name).read_bytes()


def all_samples() -> Iterator[tuple[str, str]]:
    """Yield the operation and the file name of every answer kept here."""
    for path in sorted((_TESTS / "samples").glob("*/*")):
        yield path.parent.name, path.name


def model(name: str) -> Any:
    """Return one of Amazon's model files as plain data, or an empty one where it is absent."""
    path = _MODELS / name
    return json.loads(path.read_text()) if path.exists() else {"paths": {}, "definitions": {}}


def operations_of(name: str) -> dict[str, Any]:
    """Return the operations that a model describes, by operation id."""
    return {
        described["operationId"]: {**described, "path": path, "method": method.upper()}
        for path, methods in model(name)["paths"].items()
        for method, described in methods.items()
        if isinstance(described, dict) and "operationId" in described
    }


def published_cases(name: str) -> Iterator[tuple[str, int, int, Any, Any]]:
    """Yield operation, status, number, parameters and answer of all of a model's cases."""
    for operation, described in operations_of(name).items():
        for status, response in described["responses"].items():
            cases = response.get("x-amzn-api-sandbox", {}).get("static", [])
            for number, case in enumerate(cases):
                asked = case["request"].get("parameters", {})
                parameters = {key: given.get("value") for key, given in asked.items()}
                yield operation, int(status), number, parameters, case["response"]


def published_examples(name: str) -> Iterator[tuple[str, Any]]:
    """Yield operation and answer of a model's examples; the sandbox knows nothing of them."""
    for operation, described in operations_of(name).items():
        for response in described["responses"].values():
            if example := response.get("examples"):
                yield operation, example.get("application/json", example)
