"""Answers of the server against its own OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

Document = dict[str, Any]


def operations(document: Document) -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def find_operation(document: Document, method: str, target: str) -> tuple[str, str] | None:
    """The method and path in the document that a request is for, if it is for one."""
    path = urlsplit(target).path
    for known, pattern in operations(document):
        if known == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            return known, pattern
    return None


def require_documented(document: Document, method: str, target: str, answer: Any) -> None:
    """What was answered is what the document says: the status, the media type and the body."""
    found = find_operation(document, method, target)
    if found is None:
        return
    responses = operations(document)[found]["responses"]
    assert str(answer.status) in responses, f"{answer.status} of {method} {target} is not documented"
    content = responses[str(answer.status)].get("content")
    if content is None:
        assert answer.body == b""
        return
    kind = answer.headers["content-type"].split(";")[0]
    assert kind in content, f"{kind} of {method} {target}, {answer.status}, is not documented"
    if kind == "application/json":
        schema = content[kind]["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(json.loads(answer.body))
