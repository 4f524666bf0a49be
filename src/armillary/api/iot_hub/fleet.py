# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's service API over many devices: queries with continuation, statistics, configurations.

A configuration's desired properties go to the devices that its target condition chooses when it is made or changed;
devices that come later get them when it is put again, and one whose twin would break a limit keeps what it had. Module
content and layers of Edge are not offered.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from fastapi import Header
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import CONTRIBUTOR, READER
from armillary.api.http.routes import actor_of, hub_of, service_of
from armillary.api.iot_hub import call
from armillary.api.iot_hub.call import ROOT, row
from armillary.api.iot_hub.documents import decode_etag, encoded_etag, twin_document
from armillary.api.iot_hub.registry import Document, IfMatch
from armillary.engines.hub import configurations
from armillary.engines.hub.configurations import Configuration
from armillary.engines.records.queries import hub as hub_rows
from armillary.engines.records.schema.rows import DeviceFilter
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.twin.document.document import timestamp
from armillary.twin.document.hub_query import MODULES, Query, parse_query
from armillary.twin.document.section import check_patch

# Rows of one page, and devices looked at for it: a page of a query that finds little still ends.
MAX_ITEMS: Final = 1000
DEFAULT_ITEMS: Final = 100
MAX_SCANNED: Final = 5000
# Devices that one configuration changes at once, and a count looks at.
MAX_TARGETED: Final = 20_000
# Devices that an audit line names as those that could not take a configuration.
MAX_NAMED_REFUSED: Final = 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9\-+%_*!']{0,127}")
_DESIRED: Final = "properties.desired"

ItemCount = Annotated[str | None, Header(alias="x-ms-max-item-count", max_length=10)]
Continuation = Annotated[str | None, Header(alias="x-ms-continuation", max_length=600)]


def query_devices(
    request: Request, body: Document, x_ms_max_item_count: ItemCount = None, x_ms_continuation: Continuation = None
) -> Response:
    """Twins that a query chooses, page after page."""
    text = call.body_object(body).get("query")
    if not isinstance(text, str):
        raise InvalidArgumentError("query: expected text", remedy="Send {'query': 'SELECT * FROM devices'}.")
    query = parse_query(text)
    if query.tallies:
        tally = query.tally()
        for _, document in _chosen(request, query):
            tally.add(document)
        return JSONResponse(tally.rows()[: query.top], headers={"x-ms-item-type": "raw"})
    last, shown = _cursor(x_ms_continuation, text)
    rest = None if query.top is None else query.top - shown
    wanted = _item_count(x_ms_max_item_count) if rest is None else min(rest, _item_count(x_ms_max_item_count))
    found: list[dict[str, Any]] = []
    more = False
    for scanned, (identity, document) in enumerate(_documents(request, query.source, last)):
        if len(found) >= wanted or scanned >= MAX_SCANNED:
            more = len(found) != rest
            break
        last = identity
        if query.condition(document):
            found.append(query.project(document))
    headers = {"x-ms-item-type": "raw" if query.columns else "twin"}
    if more:
        headers["x-ms-continuation"] = _token(last, shown + len(found), text)
    return JSONResponse(found, headers=headers)


def device_statistics(request: Request) -> Response:
    """How many devices the hub has, enabled and disabled."""
    catalog, service = call.catalog_of(request), service_of(request)
    total, enabled = service.context.records.read(lambda c: hub_rows.count_identities(c, catalog.catalog_id))
    attesting = service.registry.devices.count(DeviceFilter(catalog=catalog.name))
    revoked = service.registry.devices.count(DeviceFilter(catalog=catalog.name, health="revoked"))
    return JSONResponse(
        {
            "totalDeviceCount": total + attesting,
            "enabledDeviceCount": enabled + attesting - revoked,
            "disabledDeviceCount": total - enabled + revoked,
        }
    )


def service_statistics(request: Request) -> Response:
    """How many devices are connected now."""
    connected = hub_of(request).connected()
    count = sum(call.identity_of(each) in connected for each in call.devices_after(request, "")) if connected else 0
    return JSONResponse({"connectedDeviceCount": count})


def list_configurations(request: Request) -> Response:
    """Every configuration by name."""
    owner = str(call.catalog_of(request).catalog_id)
    found = hub_of(request).series.read(lambda connection: configurations.read_all(connection, owner))
    return JSONResponse([_shown(each) for each in found])


def get_configuration(request: Request, name: str) -> Response:
    """A configuration."""
    owner = str(call.catalog_of(request).catalog_id)
    found = hub_of(request).series.read(lambda connection: configurations.read(connection, owner, name))
    return _answer(found, None)


def put_configuration(request: Request, name: str, body: Document, if_match: IfMatch = None) -> Response:
    """Make a configuration, or with If-Match change it, and bring it to the devices that it chooses."""
    owner, hub = str(call.catalog_of(request).catalog_id), hub_of(request)
    document = call.body_object(body)
    if _NAME.fullmatch(name) is None or document.get("id") not in (None, name):
        raise InvalidArgumentError(
            "configuration: expected a name of 1 to 128 small letters, digits and -+%_*!'", remedy="Rename it."
        )
    kept = {key: document.get(key) for key in ("labels", "content", "targetCondition", "priority", "metrics")}
    query, patch = _target(kept), _patch(kept)
    chosen = (
        [identity for identity, _ in _chosen(request, query)] if patch else []
    )  # too many are refused before a change
    change = configurations.put(owner, name, kept, etag=_number(if_match), now_ms=hub.now_ms())
    made, taken = hub.operations.put_configuration(
        actor_of(request), name, change, chosen, patch, str(kept["targetCondition"])
    )
    return _answer(made, (len(chosen), taken))


def delete_configuration(request: Request, name: str, if_match: IfMatch = None) -> Response:
    """Delete a configuration; what it has set stays."""
    owner, hub = str(call.catalog_of(request).catalog_id), hub_of(request)
    change = configurations.deleted(owner, name, etag=_number(if_match) or 0)
    hub.operations.delete_configuration(actor_of(request), name, change)
    return Response(status_code=204)


def test_configuration_queries(request: Request, body: Document) -> Response:  # noqa: ARG001 - the route takes one
    """Whether a target condition and custom metric queries can be read."""
    document = call.body_object(body)
    condition_error, errors = "", {}
    try:
        _target(document)
    except InvalidArgumentError as error:
        condition_error = error.message
    for name, text in call.body_object(document.get("customMetricQueries") or {}).items():
        try:
            parse_query(str(text))
        except InvalidArgumentError as error:
            errors[name] = error.message
    return JSONResponse({"targetConditionError": condition_error, "customMetricQueryErrors": errors})


def _documents(request: Request, source: str, after: str) -> Iterator[tuple[str, dict[str, Any]]]:
    hub = hub_of(request)
    connected = hub.connected()
    for each in (call.modules_after if source == MODULES else call.devices_after)(request, after):
        identity = call.identity_of(each)
        yield identity, twin_document(each, hub.twins.get(identity), call.seen(request, each, connected))


def _chosen(request: Request, query: Query) -> Iterator[tuple[str, dict[str, Any]]]:
    for scanned, (identity, document) in enumerate(_documents(request, query.source, "")):
        if scanned >= MAX_TARGETED:
            raise InvalidArgumentError(
                f"query: more than {MAX_TARGETED} devices", remedy="Narrow it, or read it in pages."
            )
        if query.condition(document):
            yield identity, document


def _target(document: Mapping[str, Any]) -> Query:
    text = document.get("targetCondition") or ""
    if not isinstance(text, str):
        raise InvalidArgumentError("targetCondition: expected text", remedy="Such as: tags.floor = 2.")
    everything = "SELECT * FROM devices"
    return parse_query(everything if text.strip() in ("", "*") else f"{everything} WHERE {text}")


def _patch(document: Mapping[str, Any]) -> dict[str, Any]:
    """The desired properties that a configuration sets: ``{"properties.desired.a.b": value}``."""
    content = call.body_object(document.get("content") or {})
    if content.get("modulesContent"):
        raise InvalidArgumentError("modulesContent: not offered", remedy="Use deviceContent.")
    patch: dict[str, Any] = {}
    for path, value in call.body_object(content.get("deviceContent") or {}).items():
        parts = path.removeprefix(_DESIRED).lstrip(".").split(".") if path != _DESIRED else []
        if not path.startswith(_DESIRED) or "" in parts:
            raise InvalidArgumentError(
                f"deviceContent: expected {_DESIRED}..., got {path[:60]!a}", remedy="Correct it."
            )
        place = patch
        for part in parts[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InvalidArgumentError(f"deviceContent: {path[:60]!a} is set twice", remedy="Correct it.")
        if parts:
            place[parts[-1]] = value
        else:
            place.update(call.body_object(value))
    return check_patch(patch, "desired")


def _answer(found: Configuration, counts: tuple[int, int] | None) -> Response:
    """A configuration, and of how many devices it was for (``counts``) how many have it."""
    document = _shown(found)
    if counts is not None:
        results = {"targetedCount": counts[0], "appliedCount": counts[1]}
        document["systemMetrics"] = {"results": results, "queries": {}}
    return JSONResponse(document, headers={"ETag": f'"{document["etag"]}"'})


def _shown(found: Configuration) -> dict[str, Any]:
    return {
        "id": found.name,
        "schemaVersion": "1.0",
        **{key: value for key, value in found.document.items() if value is not None},
        "createdTimeUtc": timestamp(found.created_ms),
        "lastUpdatedTimeUtc": timestamp(found.changed_ms),
        "etag": encoded_etag(f"cf-{found.etag}"),
    }


def _number(if_match: str | None) -> int | None:
    """The number in an ETag of a configuration; 0 for ``*``, None without one."""
    text = decode_etag(if_match)
    if text is None:
        return None
    if text == "*":
        return 0
    if not re.fullmatch(r"cf-[0-9]{1,9}", text):
        raise ConflictError("the configuration was changed since", code="request.precondition")
    return int(text[3:])


def _item_count(text: str | None) -> int:
    if text is None:
        return DEFAULT_ITEMS
    if not text.isdecimal() or not 1 <= int(text) <= MAX_ITEMS:
        raise InvalidArgumentError(f"x-ms-max-item-count: expected 1 to {MAX_ITEMS}", remedy="Correct it.")
    return int(text)


def _token(last: str, shown: int, text: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([last, shown, _fingerprint(text)]).encode()).decode()


def _cursor(token: str | None, text: str) -> tuple[str, int]:
    """The last device that was read, and how many rows were returned."""
    if token is None or not token:
        return "", 0
    try:
        last, shown, fingerprint = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        last = shown = fingerprint = None
    if not isinstance(last, str) or type(shown) is not int or shown < 0 or fingerprint != _fingerprint(text):
        raise InvalidArgumentError("x-ms-continuation: not of this query", remedy="Begin the query again.")
    return last, shown


def _fingerprint(text: str) -> int:
    import zlib  # noqa: PLC0415 - small, and only here

    return zlib.crc32(text.encode())


_CONFIGURATION = ROOT + "/configurations/{name}"
ROUTES = (
    row("POST", ROOT + "/devices/query", query_devices, READER),
    row("GET", ROOT + "/statistics/devices", device_statistics, READER),
    row("GET", ROOT + "/statistics/service", service_statistics, READER),
    row("GET", ROOT + "/configurations", list_configurations, READER),
    row("POST", ROOT + "/configurations/testQueries", test_configuration_queries, READER),
    row("GET", _CONFIGURATION, get_configuration, READER),
    row("PUT", _CONFIGURATION, put_configuration, CONTRIBUTOR),
    row("DELETE", _CONFIGURATION, delete_configuration, CONTRIBUTOR),
)
