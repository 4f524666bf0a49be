# SPDX-License-Identifier: Apache-2.0
"""The page about the operator API: roles from the rows of routes, bodies and queries from the OpenAPI document."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, cast

from armillary.api.app import SHAPES, create_app
from armillary.api.azure import images, names as azure_names, shape as azure
from armillary.api.http import connection, json_body, problems, route
from armillary.api.native.platform import application_files
from armillary.settings import Settings

INTRODUCTION = f"""\
`https://HOST:8443`, JSON, TLS with a certificate under the service's own root (`root.pem` in the data folder).
The machine-readable form, OpenAPI 3.1, is at `GET /api/v1/openapi.json` without a token.

## Rules of every route

- `Authorization: Bearer TOKEN` on every request. `public` routes need none; `factory` means Contributor, or an
  [enrolment token](../guides/life-of-a-device.md#enrol-without-a-factory); `scrape` means Reader, or no token from
  the service's own host.
- Roles rise: Reader < Contributor < Administrator. [Operate](../guides/operate.md) says how to make tokens.
- Times are Unix seconds UTC, unless a name ends in `_ms`.
- Each parameter of a query is there once and has a value, else 400; upper and lower case make no difference to that.
  Native routes refuse parameters that they do not have. A list (`metric` of an export) is there several times.
- A token of one catalog gets the same answer about another catalog's row as about one that is not there. Ids of
  dashboards, exports, groups, jobs, organisations, rules, templates, deployments and hub devices are of the whole
  service: that one is taken (409) is told to who wants to make one of that id; by whom and for what is not.
- Native lists answer `{{"items": [...], "next": cursor}}`; pass `next` as `after` for the next page. Management lists
  answer `{{"value": [...], "nextLink": url}}`.
- A body may have {route.BODY_LIMIT_BYTES >> 10} KiB, with an image in it {images.IMAGE_BODY_LIMIT_BYTES >> 20} MiB;
  target and headers {connection.MAX_HEAD_BYTES >> 10} KiB in {connection.MAX_HEADERS} headers. A head takes at most
  {connection.HEAD_TIMEOUT_S:.0f} seconds, a body {connection.BODY_TIMEOUT_S:.0f} and one more for each
  {connection.BODY_BYTES_A_SECOND >> 10} KiB of it.
- JSON is UTF-8, has each name once, no NaN, Infinity or lone surrogate, and at most {json_body.MAX_VALUES:,} values
  (a template or an application {application_files.VALUES:,}), {json_body.MAX_NAMES:,} names in
  one object; more are answered with 413.
- Errors of native routes are problem details (RFC 9457) with a stable `code` ([errors](errors.md)) and a `remedy`.
  Management routes answer `{{"error": {{"code", "message", ...}}}}` as Azure Resource Manager does; code and remedy are
  in `additionalInfo`.
- `/api/devices`, `/api/deviceTemplates` and what else stands in [IoT Central's REST API](iot-central.md) answer in its
  shape.
"""

# Where the fields of bodies are described that people also write as files.
BODIES = {
    "PUT /api/v1/dashboards/{dashboard_id}": ("dashboards", "../guides/dashboards.md"),
    "PUT /api/v1/exports/{export_id}": ("data exports", "../concepts/data-export.md"),
    "PUT /api/v1/groups/{group_id}": ("device groups", "../concepts/segments.md"),
    "PUT /api/v1/jobs/{job_id}": ("jobs", "../concepts/jobs.md"),
    "PUT /api/v1/organisations/{organisation}": ("organisations", "../concepts/organisations.md"),
    "PUT /api/v1/rules/{rule_id}": ("rules", "../concepts/rules.md"),
    "PUT /api/v1/templates/{template_name}": ("device templates", "../concepts/device-templates.md"),
}

MANAGEMENT = f"""\
## Management API (catalogs to deployments)

The shape of the public Azure Sphere management API, api-version {azure_names.API_VERSION}
(`{azure_names.API_VERSIONS[1]}` is accepted too): its public description applies. Below, `{{catalogs}}` stands for
`{azure_names.CATALOGS}`.
Subscription and resource group are kept for the clients; nothing depends on them.
"""


def api_page(notice: str) -> str:
    """The whole page."""
    nothing = cast("Any", None)
    app = create_app(nothing, nothing, nothing, Settings())  # routes are looked at, never called
    lines = ["# Operator API", notice, INTRODUCTION, *_statuses(), MANAGEMENT]
    lines += ["| method | path | role | what it does |", "|---|---|---|---|"]
    lines += map(_row, azure.SHAPE.routes)
    lines += ["", "## Native API", ""]
    document = app.openapi()
    operations = [
        (operation["tags"][0], method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for tag, found in groupby(sorted(operations, key=lambda one: one[0]), key=lambda one: one[0]):
        lines += [f"### {tag.capitalize()}\n"]
        for _, method, path, operation in found:
            lines += list(_operation(method, path, operation, document["components"]["schemas"]))
    return "\n".join(lines).rstrip() + "\n"


def _statuses() -> Iterator[str]:
    yield "| status | codes |"
    yield "|---|---|"
    found: dict[int, list[str]] = {}
    for kind, status in problems.STATUS.items():
        found.setdefault(status, []).append(kind.code)
    for status, (code, _) in problems.FRAMEWORK.items():
        found.setdefault(status, []).append(code)
    for code, status in problems.STATUS_OF_CODE.items():
        found.setdefault(status, []).append(code)
    for status, code in problems.OF_CONNECTIONS.items():
        found.setdefault(status, []).append(code)
    found[500] = ["service.bug"]
    for status, codes in sorted(found.items()):
        listed = ", ".join(f"`{code}`{'' if '.' in code else ' and codes below it'}" for code in dict.fromkeys(codes))
        yield f"| {status} | {listed} |"
    yield ""


def _row(row: route.Route) -> str:
    short = row.path.replace(azure_names.CATALOGS, "{catalogs}")
    what = (inspect.getdoc(row.endpoint) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")
    return f"| {row.method} | `{short}` | {row.role} | {what} |"


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    role = SHAPES.routes[f"{method} {path}"].role
    yield f"**`{method} {path}`** · {role}  "
    yield operation["description"].partition("\n\n")[0].replace("\n", " ").strip()
    queries = [one for one in operation.get("parameters", []) if one["in"] == "query"]
    if queries:
        yield ""
        yield "Query: " + "; ".join(_described(one["name"], one["schema"], one.get("description")) for one in queries)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in body:
        schema = schemas[body["$ref"].rpartition("/")[2]]
        needed = schema.get("required", [])
        fields = schema["properties"].items()
        yield ""
        yield "Body: " + "; ".join(
            _described(name, field, field.get("description")) + (" (required)" if name in needed else "")
            for name, field in fields
        )
    if f"{method} {path}" in BODIES:
        yield ""
        what, page = BODIES[f"{method} {path}"]
        yield f"Body: the fields of [{what}]({page})."
    yield ""


def _described(name: str, schema: Mapping[str, Any], text: str | None) -> str:
    """A name with its type, range and default in few words."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    kind = kinds[0] if kinds else {}
    word = kind.get("format") or kind.get("type") or kind.get("$ref", "any").rpartition("/")[2]
    low = kind.get("minimum", kind.get("exclusiveMinimum"))
    limits = [f"{low:g} to {kind['maximum']:g}"] if low is not None and "maximum" in kind else []
    if kind.get("enum"):
        limits.append(" or ".join(map(str, kind["enum"])))
    if schema.get("default") is not None:
        limits.append(f"default {schema['default']}")
    said = f": {text}" if text else ""
    return f"`{name}` ({', '.join([word, *limits])}){said}"
