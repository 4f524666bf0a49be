# SPDX-License-Identifier: Apache-2.0
"""Native routes of rules: make, change, test on past data, trace; their alerts; deliveries that were given up."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, platform_of, service_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.http.tenure import since_ms
from armillary.api.native import authored
from armillary.api.native.device_ids import DevicePath, known_device
from armillary.api.native.device_labels import with_name, with_names
from armillary.api.native.parameters import V1, After, CatalogQuery, DocumentBody, DocumentPath, IfMatch, Limit
from armillary.api.views import service as views
from armillary.engines.documents.document import Document
from armillary.engines.rules import rows
from armillary.engines.rules.rows import Alert, Delivery
from armillary.engines.rules.store import RuleStore
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.outbound.webhook import check_url
from armillary.platform.rules.facts import groups_of
from armillary.platform.rules.trial import MAX_DEVICES, Tried
from armillary.service.registry.names import absent_device
from armillary.twin.author.group import parse_group
from armillary.twin.rule.action import split_secrets
from armillary.twin.rule.json_form import parse_document
from armillary.twin.rule.rule import Rule, sections_of, unconcerned
from armillary.twin.rule.words import condition_words, summary
from armillary.twin.template.value_names import Naming
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN, canonical_device_id

KIND = "rule"

# A cursor of alerts and of what their rules could not deliver, newest first.
_AFTER = "^[0-9]{1,16}$"
AlertsAfter = Annotated[
    str | None,
    Query(max_length=200, description="`next` of the page before", json_schema_extra={"pattern": _AFTER}),
]
AlertPath = Annotated[int, Field(ge=1, le=2**53)]
Millis = Annotated[int, Field(ge=0, le=10**14)]


class TrialBody(BaseModel):
    """A test of a rule on past data.

    Attributes:
        rule: The rule, as for `PUT`; with `rule_id` in the path it is left out.
        devices: On which; empty for all that the rule concerns.
        start_ms: First millisecond of the range.
        end_ms: One past the last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: dict[str, Any] | None = None
    devices: Annotated[list[str], Field(max_length=MAX_DEVICES)] = []
    start_ms: Millis
    end_ms: Millis


class ReplayBody(BaseModel):
    """Dead letters to try again, by number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numbers: Annotated[list[AlertPath], Field(min_length=1, max_length=1000)]


# Rules ----------------------------------------------------------------------------------------------------------------


def list_rules(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: After = None
) -> dict[str, Any]:
    """Rules by id; `conditions` says each in the names and units of the rule's device template."""
    page = authored.listed(request, KIND, catalog, limit, after)
    known: dict[Any, Naming] = {}  # many rules look at one template, all of whose versions are read for its names
    return {**page, "items": [_with_words(request, each, catalog, known) for each in page["items"]]}


def show_rule(request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A rule; its secrets are never shown. `conditions` says each in the names and units of its device template."""
    return _with_words(request, authored.document_of(authored.visible(request, KIND, rule_id, catalog)), catalog)


def put_rule(
    request: Request, rule_id: DocumentPath, body: DocumentBody, catalog: CatalogQuery = None, if_match: IfMatch = None
) -> dict[str, Any]:
    """Make or change a rule. `warnings` says what its device template does not have.

    A webhook action may have a `secret`, which signs what it sends; it is kept apart and never given back. A rule that
    is put again without it keeps the one that its action has.
    """
    given, secrets = split_secrets(body)
    if not isinstance(given, dict):
        raise InvalidArgumentError("rule: expected a JSON object", remedy="Send the rule itself.")
    _, rule = parse_document(given)
    authored.check_free(request, KIND, rule_id, catalog, if_match)
    for each in rule.actions:
        if each.kind == "webhook":
            check_url(each.options["url"], platform_of(request).rules.actions.settings.hosts)
    with platform_of(request).changing_secrets:
        version = authored.check_put(request, KIND, rule_id, given, catalog, if_match)
        before = _keep_secrets(request, rule_id, rule, secrets)
        try:
            made = authored.put(request, KIND, rule_id, given, catalog, version)
        except BaseException:  # whatever it is: the rule stays as it was, and so do its secrets
            if before is not None:
                _store(request).commits.commit(rows.secrets_changed(rule_id, before, before))
            raise
    shown = _with_words(request, made, catalog)
    return {**shown, "warnings": platform_of(request).rule_names.warnings_of(rule, made["body"].get("catalog"))}


def delete_rule(
    request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None, if_match: IfMatch = None
) -> dict[str, Any]:
    """Delete a rule and its secrets; its alerts stay."""
    deleted = authored.delete(request, KIND, rule_id, catalog, if_match)
    forget_secrets(request, rule_id)
    return deleted


def forget_secrets(request: Request, rule_id: str) -> None:
    """Forget what signs the webhooks of a rule that is no more: the next of its id signs with none of it."""
    _store(request).commits.commit(rows.secrets_changed(rule_id, {}, ()))


def enable_rule(request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Have a rule evaluated, from the next message on."""
    return _switch(request, rule_id, catalog, enabled=True)


def disable_rule(request: Request, rule_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Have a rule evaluated no longer; what it remembered of devices is forgotten."""
    return _switch(request, rule_id, catalog, enabled=False)


def rule_trace(request: Request, rule_id: DocumentPath, device_id: DevicePath) -> dict[str, Any]:
    """Why a rule fired or did not for a device: its last evaluations, newest first, since the hub's start."""
    platform = platform_of(request)
    known = known_device(request, device_id)
    _, owner = platform.rule_facts.read(known, frozenset(), 0)
    document = authored.visible(request, KIND, rule_id, CheckedCatalog(owner))  # the device's, whoever asks
    catalog, rule = parse_document(document.content)
    facts, _ = platform.rule_facts.read(known, sections_of(rule), 0, groups_of(rule))
    why = unconcerned(rule.target, facts)
    if why is None and not rule.enabled:
        why = "the rule is disabled"
    since = since_ms(request, known)  # a rule of all catalogs has looked at it before
    naming = platform.naming.of_devices((known,))
    items = [each for each in platform.rules.trace(rule_id, known) if each["at_ms"] >= since]
    return {
        "rule_id": rule_id,
        "device_id": known,
        "catalog": catalog,
        "state": platform.rules.state_of(rule_id, known),
        "unconcerned": why,
        "items": [_said(each, naming) for each in items],
        "next": None,
    }


def try_kept_rule(
    request: Request, rule_id: DocumentPath, body: TrialBody, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """When a rule would have fired on stored values, and why; nothing is done."""
    if body.rule is not None:
        raise InvalidArgumentError("rule: the path names one already", remedy="Leave it out, or use /rule-test.")
    return _tested(request, authored.visible(request, KIND, rule_id, catalog).content, body, catalog)


def try_new_rule(request: Request, body: TrialBody, catalog: CatalogQuery = None) -> dict[str, Any]:
    """When a rule that is not kept yet would have fired on stored values, and why; nothing is kept or done."""
    if body.rule is None:
        raise InvalidArgumentError("rule: expected one to test", remedy="Send the rule beside the range.")
    return _tested(request, split_secrets(body.rule)[0], body, catalog)


# Alerts ---------------------------------------------------------------------------------------------------------------


def list_alerts(
    request: Request,
    catalog: CatalogQuery = None,
    rule: Annotated[str | None, Query(max_length=128)] = None,
    device: Annotated[str | None, Query(max_length=128, json_schema_extra={"pattern": DEVICE_ID_PATTERN})] = None,
    status: Annotated[str, Query(pattern="^(open|acknowledged|all)$")] = "all",
    limit: Limit = views.PAGE_ROWS,
    after: AlertsAfter = None,
) -> dict[str, Any]:
    """Firings of rules, newest first; `open` are those that nobody has taken notice of.

    `summary` says why in the names and units of the device's template; `rule_is_deleted` whether the rule is gone.
    """
    found = _store(request).alerts(
        catalog,
        rule_id=rule,
        device_id=None if device is None else canonical_device_id(device),
        is_open=None if status == "all" else status == "open",
        before=_number(after),
        limit=limit + 1,
    )
    named = {each: platform_of(request).naming.of_devices((each,)) for each in {alert.device_id for alert in found}}
    kept = {each: _is_kept(request, each) for each in {alert.rule_id for alert in found}}
    items = [_alert(each, named[each.device_id], is_kept=kept[each.rule_id]) for each in found]
    return with_names(request, _page(items, limit))


def show_alert(request: Request, number: AlertPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A firing, its evaluation in words, and what was done about it."""
    store = _store(request)
    alert = _found(store.alert(catalog, number), number)
    shown = _shown_alert(request, alert)
    return {**shown, "deliveries": [_delivery(each) for each in store.deliveries.of(alert)]}


def acknowledge_alert(request: Request, number: AlertPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Note that somebody has taken notice of a firing."""
    platform = platform_of(request)
    actor = operator_of(request).name
    change = rows.acknowledged(catalog, number, actor, platform.rules.now_ms())
    alert = _found(_store(request).commits.commit(change), number)
    service_of(request).audit.append(actor, "alert.acknowledge", alert.device_id, {"alert": number})
    return _shown_alert(request, alert)


def dead_letters(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: AlertsAfter = None
) -> dict[str, Any]:
    """Actions that were given up, newest first, each with why."""
    found = _store(request).deliveries.dead(catalog, before=_number(after), limit=limit + 1)
    return _page([_delivery(each) for each in found], limit)


def replay_dead_letters(request: Request, body: ReplayBody, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Try actions again that were given up."""
    rules, actor = platform_of(request).rules, operator_of(request).name
    change = rows.replayed(catalog, body.numbers, rules.now_ms())
    count = _store(request).commits.commit(change)
    service_of(request).audit.append(actor, "rule-action.replay", catalog or "", {"replayed": count})
    rules.actions.wake_soon()
    return {"replayed": count}


# Inside ---------------------------------------------------------------------------------------------------------------


def _store(request: Request) -> RuleStore:
    return platform_of(request).rules.store()


def _keep_secrets(request: Request, rule_id: str, rule: Rule, secrets: dict[str, str]) -> dict[str, str] | None:
    """Keep a rule's secrets; those that it had before, or None when there was nothing to do.

    Raises:
        InvalidArgumentError: a signed action has none.
    """
    signed = {each.name for each in rule.actions if each.options.get("signed")}
    store = _store(request)
    had = {action: store.secret(rule_id, action) or "" for action in store.secrets(rule_id)}
    for name in sorted(signed - set(secrets) - set(had)):
        raise InvalidArgumentError(
            f"actions: {name!r} is signed and has no secret", remedy="Give it a secret of 16 to 128 characters."
        )
    if not secrets and set(had) <= signed:
        return None
    store.commits.commit(rows.secrets_changed(rule_id, secrets, signed))
    return had


def _switch(request: Request, rule_id: str, catalog: CheckedCatalog | None, *, enabled: bool) -> dict[str, Any]:
    found: Document = authored.visible(request, KIND, rule_id, catalog)
    authored.check_owned(request, KIND, rule_id, catalog)
    body = {**found.content, "enabled": enabled}
    return _with_words(request, authored.put(request, KIND, rule_id, body, catalog, found.etag), catalog)


def _tested(request: Request, document: object, body: TrialBody, catalog: CheckedCatalog | None) -> dict[str, Any]:
    own, rule = parse_document(document)
    whose = own if catalog is None else catalog
    authored.check_catalog(KIND, whose if own is None else own, catalog)
    devices = [_device(request, each, catalog) for each in body.devices]
    run = platform_of(request).rule_trial.run(whose, rule, devices, body.start_ms, body.end_ms)
    return {
        "start_ms": body.start_ms,
        "end_ms": body.end_ms,
        "firings": sum(each.firings for each in run.devices),
        "is_cut": run.is_cut,
        "devices": with_names(request, {"items": [_tried(request, each) for each in run.devices]})["items"],
        "warnings": platform_of(request).rule_names.warnings_of(rule, whose),
    }


def _tried(request: Request, tried: Tried) -> dict[str, Any]:
    naming = platform_of(request).naming.of_devices((tried.device_id,))
    said = {name: [_said(each, naming) for each in getattr(tried, name)] for name in ("fired", "last")}
    return {**dataclasses.asdict(tried), **said}


def _said(trace: Mapping[str, Any], naming: Naming) -> dict[str, Any]:
    """An evaluation with its summary."""
    return {**trace, "summary": summary(trace, naming)}


def _alert(alert: Alert, naming: Naming, *, is_kept: bool) -> dict[str, Any]:
    """An alert with its summary, which says also how often the rule fired again that is only counted."""
    said = summary(alert.trace, naming) + (f" (fired {alert.more} times more)" if alert.more else "")
    return {**dataclasses.asdict(alert), "summary": said, "rule_is_deleted": not is_kept}


def _shown_alert(request: Request, alert: Alert) -> dict[str, Any]:
    naming = platform_of(request).naming.of_devices((alert.device_id,))
    return with_name(request, _alert(alert, naming, is_kept=_is_kept(request, alert.rule_id)))


def _is_kept(request: Request, rule_id: str) -> bool:
    return platform_of(request).documents.find(KIND, rule_id) is not None


def _with_words(
    request: Request,
    document: dict[str, Any],
    catalog: CheckedCatalog | None,
    known: dict[Any, Naming] | None = None,
) -> dict[str, Any]:
    """A rule's document with each of its conditions in words that who speaks for a catalog may read.

    ``known`` keeps names of a catalog and target from one rule of a list to the next.
    """
    try:
        own, rule = parse_document(document["body"])
    except InvalidArgumentError:  # kept by another program: shown as it is
        return {**document, "conditions": []}
    window_s = rule.window.length_s if rule.window else 0
    whose = CheckedCatalog(own) if catalog is None and own is not None else catalog
    known, key = {} if known is None else known, (whose, rule.target)
    if key not in known:
        known[key] = _naming(request, rule, whose)
    naming = known[key]
    return {**document, "conditions": [condition_words(each, naming, window_s) for each in rule.conditions]}


def _naming(request: Request, rule: Rule, catalog: CheckedCatalog | None) -> Naming:
    """Names for what a rule looks at: of its template, else of its devices, else of its device group's template.

    Another catalog's template, device or group is as good as none.
    """
    platform = platform_of(request)
    template, group = rule.target.template, rule.target.group
    if not template and rule.target.devices:
        devices = rule.target.devices
        mine = devices if catalog is None else of_catalog(platform.directory, devices, catalog)
        return platform.naming.of_devices([each for each in devices if each in mine])
    try:
        if not template and group:
            template = parse_group(authored.visible(request, "group", group, catalog).content).template or ""
        if template:
            authored.visible(request, "template", template, catalog)
    except (InvalidArgumentError, NotFoundError):  # there is none of this id (yet)
        return Naming()
    return platform.naming.of_template(template) if template else Naming()


def _device(request: Request, device_id: str, catalog: CheckedCatalog | None) -> str:
    """A device of a test; another catalog's is as good as none."""
    known = known_device(request, device_id)
    if catalog is not None and known not in of_catalog(platform_of(request).directory, (known,), catalog):
        raise absent_device(device_id)
    return known


def _delivery(each: Delivery) -> dict[str, Any]:
    document = dataclasses.asdict(each)
    for name in ("options", "owner", "rule_id"):
        del document[name]
    return document


def _found(alert: Alert | None, number: int) -> Alert:
    if alert is None:
        raise NotFoundError(f"there is no alert {number}", remedy="List them: armillary rule alerts.")
    return alert


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    if re.fullmatch(_AFTER, after) is None:
        raise InvalidArgumentError("after: expected `next` of the page before", remedy="Pass it as it came.")
    return int(after)


def _page(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {"items": items[:limit], "next": str(items[limit - 1]["number"]) if len(items) > limit else None}


_row = partial(Route, tag="rules", narrowed=True)
_ONE, _ALERT = V1 + "/rules/{rule_id}", V1 + "/alerts/{number}"
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
    _row("GET", V1 + "/alerts", list_alerts, READER),
    _row("GET", _ALERT, show_alert, READER),
    _row("POST", _ALERT + "/acknowledge", acknowledge_alert, CONTRIBUTOR),
    _row("GET", V1 + "/dead-letters", dead_letters, READER),
    _row("POST", V1 + "/dead-letters/replay", replay_dead_letters, CONTRIBUTOR),
)
