# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: FastAPI's, with each route's role and the form of errors added."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from armillary.api.http.route import CONTRIBUTOR, FACTORY, PUBLIC, READER, SCRAPE
from armillary.api.http.routes import DeferredRoute
from armillary.api.http.shape import Shapes

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "remedy"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable: scripts may rely on it"},
        "remedy": {"type": "string"},
        "invalid_params": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "reason": {"type": "string"}}},
        },
    },
}


def document_of(app: FastAPI, shapes: Shapes) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application's described routes, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            description=app.description,
            routes=[each.analyse() for each in app.routes if isinstance(each, DeferredRoute)],
        )
        _describe_security(document, shapes)
        _describe_queries(document)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_queries(document: dict[str, Any]) -> None:
    """Declare that no string in a query is empty (``api/http/query.py``)."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ())):
                        if schema.get("type") == "string":
                            schema.setdefault("minLength", 1)


def _describe_security(document: dict[str, Any], shapes: Shapes) -> None:
    """Add the bearer scheme, each route's role, and the form of errors."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    problem = {
        "description": "What was wrong, and what to do",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            role = shapes.routes[f"{method.upper()} {path}"].role
            operation["security"] = [] if role == PUBLIC else [{"token": []}]
            operation["x-armillary-role"] = {SCRAPE: READER, FACTORY: CONTRIBUTOR}.get(role, role)
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
