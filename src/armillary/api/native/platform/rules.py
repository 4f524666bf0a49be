# SPDX-License-Identifier: Apache-2.0
"""Native routes of rules: make, change, test on past data, trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.http.tenure import since_ms
from armillary.api.native.device_ids import DevicePath, known_device
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    DocumentPath,
    MillisField,
    Search,
    StrictBody,
)
from armillary.errors import InvalidArgumentError
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.rules.trial import MAX_DEVICES
from armillary.service.registry.names import absent_device


class TrialBody(StrictBody):
    """A test of a rule on past data.

    Attributes:
        rule: The rule, as for `PUT`; with `rule_id` in the path it is left out.
        devices: On which; empty for all that the rule concerns.
        start_ms: First millisecond of the range.
        end_ms: One past the last.
    """

    rule: dict[str, Any] | None = None
    devices: Annotated[list[str], Field(max_length=MAX_DEVICES)] = Field(default=[])
    start_ms: MillisField
    end_ms: MillisField


# Rules ----------------------------------------------------------------------------------------------------------------


def list_rules(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Rules by id; `conditions` says each in the names and units of the rule's device template."""
    return platform_of(request).rule_operations.listed(*page, search)


def show_rule(request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A rule; its secrets are never shown. `conditions` says each in the names and units of its device template.

    `unreachable` says why it can reach nobody: it has no actions, or writes e-mails without a mail server.
    """
    return platform_of(request).rule_operations.show(rule_id, catalog)


def put_rule(request: Request, rule_id: DocumentPath, body: DocumentBody, change: Change) -> dict[str, Any]:
    """Make or change a rule. `warnings` says what its device template does not have.

    A webhook action may have a `secret`, which signs what it sends; it is kept apart and never given back. A rule that
    is put again without it keeps the one that its action has.
    """
    return platform_of(request).rule_operations.put(actor_of(request), rule_id, body, *change)


def delete_rule(request: Request, rule_id: DocumentPath, change: Change) -> dict[str, Any]:
    """Delete a rule and its secrets; its alerts stay."""
    return platform_of(request).rule_operations.delete(actor_of(request), rule_id, *change)


def enable_rule(request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Have a rule evaluated, from the next message on."""
    return platform_of(request).rule_operations.switch(actor_of(request), rule_id, catalog, enabled=True)


def disable_rule(request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Have a rule evaluated no longer; what it remembered of devices is forgotten."""
    return platform_of(request).rule_operations.switch(actor_of(request), rule_id, catalog, enabled=False)


def rule_trace(request: Request, rule_id: DocumentPath, device_id: DevicePath) -> dict[str, Any]:
    """Why a rule fired or did not for a device: its last evaluations, newest first, since the hub's start."""
    known = known_device(request, device_id)
    # A rule of all catalogs has looked at the device before it was the caller's.
    return platform_of(request).rule_operations.trace(rule_id, known, since_ms(request, known))


def try_kept_rule(
    request: Request, rule_id: DocumentPath, body: TrialBody, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """When a rule would have fired on stored values, and why; nothing is done."""
    if body.rule is not None:
        raise InvalidArgumentError("rule: the path names one already", remedy="Leave it out, or use /rule-test.")
    rules, devices = platform_of(request).rule_operations, _devices(request, body, catalog)
    return _tried(request, rules.try_kept(rule_id, devices, body.start_ms, body.end_ms, catalog))


def try_new_rule(request: Request, body: TrialBody, catalog: CatalogQuery = None) -> dict[str, Any]:
    """When a rule that is not kept yet would have fired on stored values, and why; nothing is kept or done."""
    if body.rule is None:
        raise InvalidArgumentError("rule: expected one to test", remedy="Send the rule beside the range.")
    rules, devices = platform_of(request).rule_operations, _devices(request, body, catalog)
    return _tried(request, rules.try_new(body.rule, devices, body.start_ms, body.end_ms, catalog))


def _devices(request: Request, body: TrialBody, catalog: CheckedCatalog | None) -> Callable[[], Sequence[str]]:
    """Finds the devices of a test; another catalog's is as good as none."""

    def find(device_id: str) -> str:
        known = known_device(request, device_id)
        if catalog is not None and known not in of_catalog(platform_of(request).directory, (known,), catalog):
            raise absent_device(device_id)
        return known

    return lambda: [find(each) for each in body.devices]


def _tried(request: Request, found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "devices": with_names(request, {"items": found["devices"]})["items"]}


_row = partial(Route, tag="rules", narrowed=True)
_ONE = V1 + "/rules/{rule_id}"
ROUTES = (
    _row("GET", V1 + "/rules", list_rules, READER),
    _row("POST", V1 + "/rule-test", try_new_rule, CONTRIBUTOR),
    _row("GET", _ONE, show_rule, READER),
    _row("PUT", _ONE, put_rule, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_rule, CONTRIBUTOR),
    _row("POST", _ONE + "/enable", enable_rule, CONTRIBUTOR),
    _row("POST", _ONE + "/disable", disable_rule, CONTRIBUTOR),
    _row("POST", _ONE + "/test", try_kept_rule, CONTRIBUTOR),
    _row("GET", _ONE + "/trace/{device_id}", rule_trace, READER, narrowed=False),
)
