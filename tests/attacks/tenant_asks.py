# SPDX-License-Identifier: Apache-2.0
"""What the tenant matrix asks: each route of the table with each way to put another owner's ids into it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import UUID

from tests.api.running_service import CATALOGS, VERSION, RunningService
from tests.attacks.tenant_world import ROLES, Ask, Caller, Tenant, operation_on
from tests.wire.picture.drawn import titled

from armillary.api.app import SHAPES
from armillary.api.azure.operations import decode
from armillary.api.central import table as central_table
from armillary.api.central.template_id import name_for
from armillary.api.http.route import FACTORY, RANK, Reach
from armillary.api.iot_hub import call as iot_hub_call
from armillary.api.prometheus import shape as prometheus_shape

V1 = "/api/v1"
# Places of paths that hold nothing of an owner.
OF_NOBODY = {
    "subscription", "resource_group", "location", "version", "telemetry", "command", "component", "method", "role",
    "user", "rerun", "entry", "file", "release_id", "feed", "key_serial", "log",
    "label", "advisory_id", "feed_name", "key_id", "bundle", "finding_kind", "repository_key", "playbook",
}  # fmt: skip
KEYS = sorted(key for key, row in SHAPES.routes.items() if row.role in (*RANK, FACTORY) and "{rest" not in key)
NEW = count()

# What routes do not answer without ---------------------------------------------------------------------------------

SPAN = "start_ms=0&end_ms=99999999999999"
NEEDED: Mapping[str, tuple[str, ...]] = {
    f"{V1}/catalogs/{{catalog}}/bridge-uploads/{{upload}}": ("offset=0",),
    f"{V1}/advisory-feed-uploads/{{bundle}}": ("offset=0",),
    f"{V1}/cases/{{case_id}}/draft": ("stage=72h",),
    f"{V1}/vex": ("format=openvex",),
    f"{V1}/advisory-statements/{{advisory_statement}}": ("reason=x",),
    f"{V1}/factory/releases": ("chip=mt3620",),
    f"{V1}/device-names": ("text=zqtheirs%20device",),
    f"{V1}/search": ("q=zqtheirs",),
    f"{V1}/devices/{{device_id}}/telemetry/series": ("metric=temperature", SPAN),
    f"{V1}/devices/{{device_id}}/telemetry/raw": ("metric=temperature", SPAN),
    f"{V1}/groups/{{group_id}}/telemetry/aggregate": ("metric=temperature", SPAN),
    f"{V1}/groups/{{group_id}}/telemetry/latest": ("metric=temperature",),
    f"{V1}/logs/{{log}}/consistency": ("from=0", "to=0"),
    f"{V1}/logs/{{log}}/proof": ("first=1",),
}
MODEL: dict[str, Any] = {
    "@context": "dtmi:dtdl:context;2", "@id": "dtmi:a:b;1", "@type": "Interface",
    "contents": [{"@type": "Telemetry", "name": "t", "schema": "double"}],
}  # fmt: skip
ACTION = {"kind": "set-property", "properties": {"a": 1}}
RULE = {"name": "x", "conditions": [{"telemetry": "temperature", "op": ">", "value": 1}]}
EXPORT = {"name": "x", "source": "telemetry", "enabled": False}
EVERY, VALUES = "SELECT * FROM devices", "SELECT $id, temperature FROM"
HOOK = {"kind": "webhook", "url": "https://example.com/hook"}


def central_job(who: Tenant) -> dict[str, Any]:
    data = [{"type": "property", "target": who.ids["template_id"], "path": "fanSpeed", "value": 1}]
    return {"displayName": "x", "group": who.ids["group"], "data": data}


# The first that the path ends with.
BODIES: dict[str, Any] = {
    "/advisory-feed-keys": {"name": "x", "public_key": "x"}, "/advisory-feed-uploads": {"size": 100},
    "/advisory-statements": lambda who: {
        "advisory": who.ids["advisory_id"], "image": who.ids["image"], "status": "affected", "author": "x"},
    "/max-age": {"max_age_s": 86_400}, "/country": {"country": "DE"},
    "/deviceGroups/{group}": {"displayName": "x", "filter": "SELECT * FROM devices"},
    "/deviceTemplates/{template_id}": {
        "@type": ["ModelDefinition", "DeviceModel"], "displayName": "x",
        "capabilityModel": {**MODEL, "displayName": "x", "@context": ["dtmi:iotcentral:context;2", "dtmi:dtdl:context;2"]},
    },
    "/api/jobs/{job}": central_job,
    "/scheduledJobs/{job}": lambda who: {**central_job(who), "schedule": {"start": "2030-01-01T00:00:00Z"}},
    "/apiTokens/{token}": {"roles": [{"role": ROLES[0]}]},
    "/claimDevices": {"deviceIdentifiers": ["0" * 128]},
    "/generateCapabilityImage": {"capabilities": ["ApplicationDevelopment"]},
    "/deployments/{deployment}": lambda who: {"properties": {"deployedImages": [{"name": who.ids["image"]}]}},
    **{f"/catalogs/{{catalog}}/{each}": lambda who: {
        "product": who.ids["product"], "group": who.ids["device_group"], "image_ids": [who.ids["image"]]}
       for each in ("rollouts", "rollout-preview")},
    "/groups/{group_id}": {"name": "x"},
    "/organisations/{organisation}": {"name": "x"},
    "/dashboards/{dashboard_id}": {"name": "x", "tiles": []},
    "/pictures/{picture_id}": {"name": "x", "content": titled("x")},
    "/exports/{export_id}": {**EXPORT, "destination": HOOK},
    "/jobs/{job_id}": lambda who: {"name": "x", "group": who.ids["group_id"], "action": ACTION},
    "/rules/{rule_id}": RULE,
    "/rules/{rule_id}/test": {"start_ms": 0, "end_ms": 10},
    "/rule-test": {"rule": RULE, "start_ms": 0, "end_ms": 10},
    "/templates/{template_name}": {"display_name": "x", "root": "dtmi:a:b;1", "models": [MODEL]},
    "/templates/{template_name}/import": {"documents": [{"name": "a", "content": (
        '{"@context":"dtmi:dtdl:context;2","@id":"dtmi:a:b;1","@type":"Interface","contents":[]}')}]},
    "/dead-letters/replay": {"numbers": [1]},
    "/group-preview": {"name": "x"},
    "/telemetry/retention": {"rules": []},
    "/tokens": {"name": "x", "role": "Reader"}, "/v1/people": {"subject": "x"},
    "/grants": lambda who: {"role": "Reader", "catalog": who.ids["catalog"]},
    "/releases": {"chip": "mt3620", "version": "99.9"},
    "/releases/drafts": {"chip": "mt3620", "version": "99.8"},
    "/os-feeds": {"name": "Canary", "follows": "Retail"},
    "/update-schedule": {},
    "/update-schedule/urgent": {"reason": "x"},
    "/security-floors": {"chip": "mt3620", "image_type": 7, "minimum": 0},
    "/service-authorities/renew": {"kind": "policy"},
    "/repository/key-changes": {"changes": [{"role": "director", "online": 1}]},
    "/repository/clock-corrections": {"first": 4_000_000_000, "last": 4_000_000_001},
    "/repository/signatures": {"documents": [{"role": "root", "metadata": {}}]},
    "/cosignatures": {"size": 1, "line": "x"},
    "/log-witnesses": {"verifier_key": "x"},
    "/log-witnesses/remove": {"name": "x"},
    "/signing-keys/renew": {}, "/signing-keys/use": {},
    "/revoke": {"reason": "x"}, "/halt": {"reason": "x"}, "/roll-back": {"reason": "x"}, "/cancel": {"reason": "x"},
    "/devices/query": {"query": "SELECT * FROM devices"},
    "/hub-enrolments/{enrolment_id}": {"enabled": True},
    "/verify": {"certificate": "x"},
    "/devices/{device_id}/name": {"name": "x"},
    "/bridge-devices/{controller}": lambda who: {"product": who.ids["product"], "group": "Bridged"},
    "/bridge-artifacts": {"name": "x", "version": "1", "filename": "x", "size": 1, "sha256": "00" * 32},
    "/bridge-authorities": {"certificate": "x"},
    "/finding-kinds/{finding_kind}/acknowledge": {"up_to": 1 << 40},
    "/notification-channels": {"name": "x", "kind": "e-mail", "options": {"to": ["x@example.com"]}},
    "/notification-channels/{channel_id}": {"min_severity": "high"},
    "/v1/actions": {"kind": "re-attest", "target": {"finding": str(UUID(int=1))}, "reason": "x"},
    "/action-preview": {"kind": "re-attest", "target": {"finding": str(UUID(int=1))}, "reason": "x"},
    "/action-approval": {"second_person_above": 0, "expires_after_s": 60}, "/playbook-check": {"text": "x"},
    "/devices/{device_id}/quarantine": {"reason": "x"},
    "/symbols": {"not": "a list of symbols"},
    "/cases": {"kind": "severe-incident", "title": "x"}, "/corrections": {"at": 1, "text": "x"},
    "/cases/{case_id}/references": {"subject": "advisory", "id": "PYSEC-2026-1"}, "/fix-available": {},
    "/vulnerability-reports/{reference}/actions": {"action": "acknowledge"},
    "/vulnerability-reports/{reference}/assign": {"catalog": "nowhere"},
    "/submissions": {"stage": "24h"}, "/notes": {"text": "x"}, "/cases/{case_id}/close": {"text": "x"},
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Who asks, whom for, and who sees everything."""

    service: RunningService
    mine: Tenant
    theirs: Tenant
    asker: Caller
    everybody: Caller


@dataclass(frozen=True)
class Pair:
    """The same asked about the other owner and about nobody, and the ids that were sent."""

    key: str
    theirs: Ask
    nobody: Ask
    sent: tuple[list[str], list[str]]


def of_the_tokens_catalog(key: str) -> bool:
    """Routes in IoT Hub's, IoT Central's and Prometheus' shape name no catalog: they are about the token's."""
    roots = (f" {iot_hub_call.ROOT}/", f" {prometheus_shape.ROOT}/")
    return any(root in key for root in roots) or central_table.is_central(key.partition(" ")[2])


def version_of(template: str) -> str:
    if template.startswith(V1):
        return ""
    if central_table.is_central(template):
        preview = any(each.path == template and each.preview for each in central_table.OPERATIONS)
        return "api-version=2022-10-31-preview" if preview else "api-version=2022-07-31"
    return "api-version=2024-04-01"


def places(template: str) -> list[str]:
    """What an owner's ids stand for in a path."""
    return [each for each in re.findall(r"\{([a-z_]+)\}", template) if each not in OF_NOBODY]


def target(template: str, ids: Mapping[str, str], *query: str) -> str:
    path = re.sub(r"\{([a-z_]+)\}", lambda found: quote(ids[found.group(1)], safe="-._~:;"), template)
    asked = [each for each in (version_of(template), *NEEDED.get(template, ()), *query) if each]
    return f"{path}?{'&'.join(asked)}" if asked else path


def absent_for(them: Mapping[str, str], place: str) -> str:
    """An id of the same form that nobody has, another one each time."""
    number, given = next(NEW), them[place]
    if place in ("number", "action"):
        return str(900_000 + number)
    if place == "reference":
        return f"VR-NONE-{number // 10_000:04d}-{number % 10_000:04d}"
    if place == "operation":
        return operation_on({each: absent_for(them, each) for each in ("catalog", "product", "device_group", "device")})
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", given):
        return f"{number:08x}-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    if re.fullmatch(r"[0-9A-Fa-f]{32,}", given):
        return f"{number:08x}".rjust(len(given), "0")
    return re.sub(r"zq[a-z]+", f"zqno{number}", given)


def nowhere(key: str, world: World) -> dict[str, str]:
    """Ids that nobody has in every place: what is not refused has nothing to change."""
    them = world.theirs.for_key(key)
    return {**them, **{each: absent_for(them, each) for each in places(key.split(" ", 1)[1])}}


def body_for(key: str, who: Tenant) -> Any:
    """A body that the route takes, as far as it matters who may call it."""
    method, template = key.split(" ", 1)
    if method in ("GET", "DELETE"):
        return None
    for words, body in BODIES.items():
        if template.endswith(words):
            return body(who) if callable(body) else body
    return {}


def everyone(key: str, world: World) -> list[dict[str, str]]:
    """The ids of the other owner for a route: with devices of both kinds."""
    them = world.theirs.for_key(key)
    return [them, {**them, "device_id": world.theirs.hub_device}] if "{device_id}" in key else [them]


def combinations(key: str, world: World) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Each way to put the other owner's ids into a path, and the same with ids that nobody has."""
    named, mine = places(key.split(" ", 1)[1]), world.mine.for_key(key)
    for them in everyone(key, world):
        for foreign in sorted({tuple(named), tuple(named[1:]), *((each,) for each in named)} - {()}):
            absent = {each: absent_for(them, each) for each in foreign}
            yield {**mine, **{each: them[each] for each in foreign}}, {**mine, **absent}


def sent_with(ids: Mapping[str, str], template: str) -> list[str]:
    """The ids of a path, and what is made of them."""
    found = [ids[each] for each in places(template)]
    if "operation" in places(template):
        found += decode(ids["operation"]).resource.split("/")
    if "template_id" in places(template):
        found.append(name_for(ids["template_id"]))
    return found


def pairs(world: World) -> Iterator[Pair]:
    """All of the matrix that is about ids and about the name of the other catalog."""
    for key in KEYS:
        method, template = key.split(" ", 1)
        if SHAPES.routes[key].reach is Reach.CALLER:
            continue
        own = [f"catalog={world.mine.name}"] if SHAPES.routes[key].narrowed else []
        for them, nobody in combinations(key, world):
            asks = [Ask(method, target(template, ids, *own), body_for(key, world.mine)) for ids in (them, nobody)]
            yield Pair(key, asks[0], asks[1], (sent_with(them, template), sent_with(nobody, template)))
        for query in ("catalog={}", "Catalog={}", "CATALOG={}", "%63atalog={}"):
            asked: list[Ask] = []
            sent: list[list[str]] = []
            for name in (world.theirs.name, absent_for(world.theirs.ids, "catalog")):
                ids = world.mine.for_key(key) if method == "GET" else nowhere(key, world)
                asked.append(Ask(method, target(template, ids, query.format(name)), body_for(key, world.mine)))
                sent.append([name, *sent_with(ids, template)])
            yield Pair(key, asked[0], asked[1], (sent[0], sent[1]))


def in_bodies(world: World) -> list[tuple[str, str, str, Any]]:
    """Method, path, place and what a body makes of an id of that place."""
    own, here = f"?catalog={world.mine.name}", f"{V1}/catalogs/{world.mine.name}"
    span = {"start_ms": 0, "end_ms": 10}
    azure = f"{CATALOGS}/{world.mine.name}/products/{quote(world.mine.ids['product'])}/deviceGroups/"
    azure += quote(world.mine.ids["device_group"])
    device = f"{V1}/devices/{world.mine.ids['device']}"
    person = f"{V1}/people/{world.mine.ids['person_id']}/grants{own}"
    version = "?api-version=2022-07-31"
    third = world.service.service.registry.catalogs.get(world.mine.name).catalog_id

    def rule(**target_of: Any) -> dict[str, Any]:
        return {**RULE, "target": target_of}

    def acting(kind: str, **target: Any) -> dict[str, Any]:
        return {"kind": kind, "target": target, "reason": "x"}

    def roll_out(image: str = world.mine.ids["image_id"], **ring: Any) -> dict[str, Any]:
        rings = [{"name": "r", **ring}] if ring else []
        place = {"product": world.mine.ids["product"], "group": world.mine.ids["device_group"]}
        return {**place, "image_ids": [image], "policy": {"rings": rings}}

    def tile(**source: Any) -> dict[str, Any]:
        place = {"id": "t", "kind": "kpi", "x": 0, "y": 0, "w": 4, "h": 4}
        return {"name": "x", "tiles": [{**place, "source": source, "value": "temperature"}]}

    return [
        ("POST", f"{V1}/rule-test{own}", "device", lambda it: {"rule": RULE, "devices": [it], **span}),
        ("POST", f"{V1}/rule-test{own}", "device", lambda it: {"rule": rule(devices=[it]), **span}),
        ("POST", f"{V1}/rule-test{own}", "catalog", lambda it: {"rule": {**RULE, "catalog": it}, **span}),
        ("POST", f"{V1}/rule-test{own}", "group_id", lambda it: {"rule": rule(group=it), **span}),
        ("POST", f"{V1}/rule-test{own}", "template_name", lambda it: {"rule": rule(template=it), **span}),
        ("POST", f"{V1}/rule-test{own}", "heat", lambda it: {
            "rule": {**RULE, "conditions": [{"telemetry": it, "op": ">", "value": 1}]}, **span}),
        ("PUT", f"{V1}/rules/mine-{{}}{own}", "group_id", lambda it: rule(group=it)),
        ("PUT", f"{V1}/rules/mine-{{}}{own}", "device", lambda it: rule(devices=[it])),
        ("PUT", f"{V1}/rules/mine-{{}}{own}", "template_name", lambda it: rule(template=it)),
        ("PUT", f"{V1}/rules/mine-{{}}{own}", "catalog", lambda it: {**RULE, "catalog": it}),
        ("PUT", f"{V1}/rules/mine-{{}}{own}", "heat", lambda it: {
            **RULE, "conditions": [{"telemetry": it, "op": ">", "value": 1}]}),
        ("PUT", f"{V1}/groups/mine-{{}}{own}", "catalog", lambda it: {"name": "x", "catalog": it}),
        ("PUT", f"{V1}/jobs/mine-{{}}{own}", "group_id", lambda it: {"name": "x", "group": it, "action": ACTION}),
        ("PUT", f"{V1}/jobs/mine-{{}}{own}", "device_group", lambda it: {
            "name": "x", "group": world.mine.ids["group_id"],
            "action": {"kind": "update", "device_group": f"{world.mine.ids['product']}/{it}"}}),
        ("PUT", f"{V1}/exports/mine-{{}}{own}", "group_id", lambda it: {**EXPORT, "group": it, "destination": HOOK}),
        ("PUT", f"{V1}/dashboards/mine-{{}}{own}", "group_id", lambda it: tile(group=it)),
        ("PUT", f"{V1}/organisations/mine-{{}}{own}", "organisation", lambda it: {"name": "x", "parent": it}),
        ("PUT", f"{V1}/organisations/mine-{{}}{own}", "catalog", lambda it: {"name": "x", "catalog": it}),
        ("PUT", f"{V1}/templates/mine-{{}}{own}", "catalog", lambda it: {
            "display_name": "x", "root": "dtmi:a:b;1", "models": [MODEL], "catalog": it}),
        ("POST", f"{V1}/group-preview{own}", "catalog", lambda it: {"name": "x", "catalog": it}),
        ("POST", f"{V1}/group-preview{own}", "template_name", lambda it: {"name": "x", "template": it}),
        ("POST", f"{V1}/group-preview{own}", "device", lambda it: {
            "name": "x", "filters": [{"field": "device:id", "operator": "eq", "value": it}]}),
        ("POST", f"{V1}/dead-letters/replay{own}", "alert", lambda it: {"numbers": [int(it)]}),
        ("POST", f"{V1}/alerts/acknowledge{own}", "alert", lambda it: {"numbers": [int(it)]}),
        ("POST", f"{V1}/alerts/acknowledge{own}", "rule_id", lambda it: {"count": 0, "rule": it}),
        ("POST", f"{V1}/alerts/acknowledge{own}", "group_id", lambda it: {"count": 0, "group": it}),
        ("POST", f"{V1}/people{own}", "catalog", lambda it: {"subject": "x", "role": "Reader", "catalog": it}),
        ("POST", person, "catalog", lambda it: {"role": "Reader", "catalog": it}),
        ("POST", person, "organisation", lambda it: {
            "role": "Reader", "catalog": world.mine.name, "organisation": it}),
        ("PUT", f"{device}/template", "template_name", lambda it: {"template": it}),
        ("PUT", f"{device}/organisation", "organisation", lambda it: {"organisation": it}),
        ("POST", f"{V1}/action-preview{own}", "device", lambda it: acting("quarantine", devices=[it])),
        ("POST", f"{V1}/action-preview{own}", "finding_id", lambda it: acting("quarantine", finding=it)),
        ("POST", f"{V1}/action-preview{own}", "image", lambda it: acting("quarantine", image=it)),
        ("POST", f"{V1}/action-preview{own}", "rollout_id", lambda it: acting("halt", rollout=it)),
        ("POST", f"{V1}/actions{own}", "device", lambda it: acting("revoke", devices=[it])),
        ("POST", f"{V1}/actions{own}", "image", lambda it: acting("revoke", image=it)),
        ("POST", f"{V1}/actions{own}", "rollout_id", lambda it: acting("halt", rollout=it)),
        *(
            entry
            for path in (f"{here}/rollout-preview", f"{here}/rollouts")
            for entry in (
                ("POST", path, "image", roll_out),
                ("POST", path, "device", lambda it: roll_out(devices=[it])),
                ("POST", path, "catalog", lambda it: roll_out(groups=[f"{it}/x/y"])),
                ("POST", path, "product", lambda it: roll_out(groups=[f"{world.mine.name}/{it}/y"])),
                ("POST", path, "product", lambda it: {**roll_out(), "product": it}),
            )
        ),
        ("POST", f"{here}/transfers", "device", lambda it: {"device_id": it, "to_catalog_id": str(third)}),
        ("POST", f"{here}/transfers", "hub_device", lambda it: {"device_id": it, "to_catalog_id": str(third)}),
        ("POST", f"{V1}/rule-test{own}", "hub_device", lambda it: {"rule": RULE, "devices": [it], **span}),
        ("POST", f"{here}/enrolment-tokens", "product", lambda it: {"product": it, "group": "Production"}),
        ("POST", f"{azure}/claimDevices?{VERSION}", "device", lambda it: {"deviceIdentifiers": [it]}),
        ("PUT", f"{azure}/deployments/.default?{VERSION}", "image", lambda it: {
            "properties": {"deployedImages": [{"name": it}]}}),
        ("PUT", f"/api/devices/{world.mine.hub_device}{version}", "template_id", lambda it: {"template": it}),
        ("PATCH", f"/api/devices/{world.mine.hub_device}{version}", "organisation", lambda it: {
            "organizations": [it]}),
        ("PUT", f"/api/deviceGroups/mine{{}}{version}", "template_id", lambda it: {
            "displayName": "x", "filter": f"{EVERY} WHERE $template = '{it}'"}),
        ("PUT", f"/api/jobs/mine{{}}{version}", "group", lambda it: {**central_job(world.mine), "group": it}),
        ("PUT", f"/api/apiTokens/mine{{}}{version}", "organisation", lambda it: {
            "roles": [{"role": ROLES[0], "organization": it}]}),
        ("PUT", f"/api/organizations/mine{{}}{version}", "organisation", lambda it: {"parent": it}),
        ("POST", "/api/query?api-version=2022-10-31-preview", "template_id", lambda it: {
            "query": f"{VALUES} {it}"}),
        ("POST", f"/iothub/devices/query?{VERSION}", "device", lambda it: {
            "query": f"{EVERY} WHERE deviceId = '{it}'"}),
        ("POST", f"/iothub/devices?{VERSION}", "hub_device", lambda it: [{"id": it, "importMode": "update"}]),
    ]  # fmt: skip
