# SPDX-License-Identifier: Apache-2.0
"""What the console's tenant matrix asks: verbs and queries of addresses, fields of forms, and where each names a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.attacks.tenant_asks import ACTION, EXPORT, HOOK, MODEL, RULE

from armillary.console.authored.read import KINDS
from armillary.console.device.pages_device_life import VERBS as DEVICE_VERBS
from armillary.console.evidence.pages_case import ADDS
from armillary.console.hub_devices import pages_hub_access, pages_hub_devices
from armillary.console.new_rollout.pages_new_rollout import VERBS as ROLLOUT_STEPS
from armillary.console.new_rollout.pages_upload import VERBS as UPLOAD_VERBS
from armillary.console.operations.pages_catalog import VERBS as OFFER_VERBS
from armillary.console.operations.pages_rollout import ACTIONS
from armillary.console.people.pages_people import CHANGES as PEOPLE_CHANGES
from armillary.console.releases.read import CHANGES as RELEASE_CHANGES
from armillary.console.security.pages_actions import CHANGES as ACTION_CHANGES
from armillary.console.security.pages_channels import CHANGES as CHANNEL_CHANGES

# Beginning of an address -> the verbs that it knows; the longest counts.
VERBS: Mapping[str, tuple[str, ...]] = {
    "/devices/": DEVICE_VERBS,
    "/updates/": tuple(ACTIONS),
    "/releases/": tuple(RELEASE_CHANGES),
    "/releases/{release_id}/rollout/": ROLLOUT_STEPS,
    "/new-rollout/": ROLLOUT_STEPS,
    "/new-image/": UPLOAD_VERBS,
    "/rules/": ("enable", "disable", "delete"),
    "/hub-devices/": pages_hub_devices.VERBS,
    "/hub-catalogs/{catalog}/admission/": pages_hub_access.ADMIT,
    "/hub-catalogs/{catalog}/enrolments/": pages_hub_access.ENROLMENT_VERBS,
    "/settings/catalogs/": tuple(OFFER_VERBS),
    "/cases/": tuple(ADDS),
    "/actions/": tuple(ACTION_CHANGES),
    "/playbooks/": ("enable", "disable"),
    "/notification-channels/": tuple(CHANNEL_CHANGES),
    "/people/": tuple(PEOPLE_CHANGES),
    **{f"/{kind}s/": ("delete", "form", *(("run", "cancel") if kind == "job" else ())) for kind in KINDS},
}
# Places of paths that hold nothing of an owner.
OF_NOBODY = {"verb", "kind", "command", "version", "template", "file", "tile_id", "feed", "finding_kind",
             "advisory_id", "key_serial"}  # fmt: skip
# As much of every form as gets an action to where it looks for what is named.
FIELDS = {
    "reason": "x", "word": "x", "name": "x", "value": "1", "status": "closed", "etag": "", "seen": "x", "number": "1",
    "role": "Reader", "uses": "1", "life": "1 hour", "group": "", "only": "all", "what": "view",
    "severity": "low", "match": "all", "name_0": "t", "op_0": ">", "value_0": "5", "variant": "command", "tiles": "[]", "want": "form",
    "action.command": "x", "source": "telemetry", "from": "now", "method": "x", "patch": "{}", "wanted": "{}",
    "authentication": "sas", "to": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "version": "1", "template": "x/1",
    "module_id": "x", "device_id": "x", "title": "x", "x": "0", "y": "0", "w": "3", "h": "3", "model": "{}",
    "days": "7", "stacks": "scrubbed", "is_on": "off", "action": "work", "note": "x", "display_name": "x", "schema": "double", "form": "", "payload": "", "theme": "dark", "label": "x",
}  # fmt: skip
# The form of a roll-out with nothing special in it.
POLICY_FIELDS = {
    "cohorts": "100", "success_percent": "95", "soak_s": "0", "min_failures": "2", "failure_percent": "5",
    "timeout_s": "1 d", "hold_on_severity": "high", "false_hold_percent": "1", "lease_s": "1 d",
}  # fmt: skip
GROUP = "{catalog}/{product}/{device_group}"
# What addresses do not answer without.
NEEDED: Mapping[str, str] = {
    "/rules/{rule_id}/trace": "?device={device_id}",
    "/devices/{device_id}/series": "?metric=temperature&range=1h",
    "/hub-devices/{device_id}/series": "?metric=temperature&range=1h",
    "/templates/{name}/move": "?version=1",
    "/templates/{name}/remove": "?what=view&name=x",
}
# Queries of pages that read one, with the place that an owner's id has in each.
QUERIES = {
    "/fleet": ("q={word}", "group={device_group}", "product={product}", "image={image_id}"),
    "/fleet.csv": ("q={word}", "group={device_group}"),
    "/hub-devices": ("catalog={catalog}", "q={word}"),
    "/images": ("catalog={catalog}",),
    "/device-groups": ("catalog={catalog}",),
    "/new-hub-device": ("catalog={catalog}",),
    "/new-image": ("catalog={catalog}", "catalog={catalog}&group={product}/x"),
    "/new-rollout": ("target={catalog}/x/y", "target={catalog}/{product}/{device_group}"),
    "/rules/{rule_id}/trace": ("device={device_id}", "device={word}%20device", "device={hub_device}"),
    "/devices/{device_id}/data": ("name=temperature",),
    "/findings": ("status=closed", "catalog={catalog}", "device={device_id}", "device={word}%20device"),
    "/finding-kinds/{finding_kind}/acknowledge": ("catalog={catalog}",),
    "/advisories": ("catalog={catalog}", "field=1"),
    "/advisories/{advisory_id}": ("catalog={catalog}",),
    "/advisories/{advisory_id}/devices": ("catalog={catalog}", "state=affected"),
    "/advisories/{advisory_id}/curve.json": ("catalog={catalog}",),
    "/advisories/{advisory_id}/trace.json": ("catalog={catalog}",),
    "/advisory-coverage": ("catalog={catalog}",),
    "/crashes": ("catalog={catalog}", "image={image_id}"),
    "/traces": ("device={device_id}", "device={word}%20device"),
    "/settings": ("offers={catalog}",),
    "/search": ("q={word}%20device", "q={hub_device}&kind=device"),
    "/search/lines": ("q={word}%20device",),
    "/acknowledge-alerts": ("rule={rule_id}", "device={device_id}", "group={group_id}"),
    "/alerts": (
        "status=all",
        "status=all&rule={rule_id}",
        "status=all&device={device_id}",
        "status=all&group={group_id}",
    ),
    "/dashboards/{dashboard_id}/tiles/{tile_id}": ("kind=kpi",),
    "/templates/{name}": ("version=1",),
}
# Forms that name an owner's row: address (of who asks), fields, the place whose id is put in for ``*``.
IN_FORMS: tuple[tuple[str, Mapping[str, str], str], ...] = (
    ("/rules/new", {"catalog": "*"}, "catalog"),
    ("/rules/new", {"catalog": "{catalog}", "template": "*"}, "template_name"),
    ("/rules/new", {"do": "show", "template": "*"}, "template_name"),
    ("/rules/new", {"do": "try", "catalog": "{catalog}", "template": "*"}, "template_name"),
    ("/rules/new", {"do": "try", "catalog": "*"}, "catalog"),
    ("/rules/new", {"do": "try", "catalog": "{catalog}", "group": "*"}, "group_id"),
    ("/rules/new", {"do": "try", "catalog": "{catalog}", "devices": "*"}, "device_id"),
    ("/groups/new/form", {"catalog": "*"}, "catalog"),
    ("/groups/new", {"body": '{"name": "g", "catalog": "*"}'}, "catalog"),
    ("/jobs/new/form", {"catalog": "{catalog}", "group": "*"}, "group_id"),
    ("/jobs/new", {"body": '{"name": "j", "group": "*", "action": {"kind": "command", "command": "x"}}'}, "group_id"),
    ("/exports/new/form", {"catalog": "*", "variant": "file"}, "catalog"),
    ("/new-hub-device", {"catalog": "*"}, "catalog"),
    ("/dashboards", {"template": "*"}, "template_name"),
    ("/dashboards/{dashboard_id}/tiles/new", {"kind": "kpi", "source": "device", "source_device": "*"}, "device_id"),
    ("/dashboards/{dashboard_id}/tiles/new", {"kind": "kpi", "source": "device", "source_device": "*"}, "hub_device"),
    ("/dashboards/{dashboard_id}/tiles/new", {"kind": "kpi", "source": "group:*"}, "group_id"),
    ("/dashboards/{dashboard_id}/preview", {"kind": "kpi", "source": "device:", "source_device": "*"}, "device_id"),
    ("/dashboards/{dashboard_id}/preview", {"kind": "kpi", "source": "device:", "source_device": "*"}, "hub_device"),
    ("/dashboards/{dashboard_id}/preview", {"kind": "kpi", "source": "group:*", "value": "temperature"}, "group_id"),
    ("/dashboards/{dashboard_id}/preview", {"kind": "kpi", "source": "template:*"}, "template_name"),
    (
        "/dashboards/{dashboard_id}/preview",
        {
            "tile": '{"id": "t", "kind": "kpi", "x": 0, "y": 0, "w": 3, "h": 2, "value": "temperature", '
            '"source": {"device": "*"}}'
        },
        "device_id",
    ),
    ("/devices/{device_id}/template/review", {"template": "*/1"}, "template_name"),
    ("/devices/{device_id}/template", {"template": "*/1"}, "template_name"),
    *(
        (f"/new-rollout/{verb}", {**POLICY_FIELDS, **fields}, place)
        for verb in ("review", "start")
        for fields, place in (
            ({"target": "*/x/y"}, "catalog"),
            ({"target": GROUP, "image.*": "on"}, "image_id"),
            ({"target": GROUP, "image.{image_id}": "on", "ring_0_name": "r", "ring_0_devices": "*"}, "device_id"),
            ({"target": GROUP, "image.{image_id}": "on", "ring_0_name": "r", "ring_0_groups": "*/y"}, "product"),
        )
    ),
    ("/acknowledge-alerts", {"ticked": "1", "alert_*": "on", "status": "open"}, "number"),
    ("/add-devices/connect", {"catalog": "*"}, "catalog"),
    ("/add-devices/product", {"catalog": "*"}, "catalog"),
    ("/add-devices/group", {"product": "*/x", "os_feed": "Retail", "update_policy": "UpdateAll"}, "catalog"),
    ("/add-devices/claim", {"target": "*/x/y", "ids": "0" * 128}, "catalog"),
    ("/add-devices/claim", {"target": GROUP, "ids": "*"}, "device_id"),
    ("/add-devices/one-command", {"target": "*/x/y"}, "catalog"),
    ("/settings/catalogs/{catalog}/enrolment-tokens", {"group": "*/x"}, "product"),
    ("/finding-kinds/{finding_kind}/acknowledge", {"catalog": "*", "severity": ""}, "catalog"),
    ("/new-action", {"catalog": "*", "kind": "re-attest", "target": "device_group", "value": "x/y"}, "catalog"),
    ("/new-action", {"catalog": "{catalog}", "kind": "quarantine", "target": "devices", "value": "*"}, "device_id"),
    ("/new-action", {"catalog": "{catalog}", "kind": "halt", "target": "rollout", "value": "*"}, "rollout_id"),
    (
        "/actions",
        {"catalog": "{catalog}", "kind": "quarantine", "target": "devices", "value": "*", "devices": "1"},
        "device_id",
    ),
    ("/actions", {"catalog": "{catalog}", "kind": "halt", "target": "finding", "value": "*"}, "finding_id"),
    ("/dossiers", {"catalog": "*", "product": ""}, "catalog"),
    ("/dossiers", {"catalog": "{catalog}", "product": "*"}, "product"),
    (
        "/advisories/{advisory_id}/statements",
        {"catalog": "{catalog}", "subject": "image", "named": "*", "status": "fixed", "author": "x"},
        "image_id",
    ),
    (
        "/advisories/{advisory_id}/statements",
        {"catalog": "*", "subject": "product", "named": "x", "status": "fixed", "author": "x"},
        "catalog",
    ),
    ("/people", {"who": "a@example.com", "of": "*"}, "catalog"),
    ("/people/{person_id}/grants", {"of": "*"}, "catalog"),
    ("/people/{person_id}/grants", {"of": "{catalog}/*"}, "organisation"),
    ("/new-notification-channel", {"catalog": "*", "kind": "e-mail", "to": "a@example.com"}, "catalog"),
    ("/new-case", {"catalog": "*", "kind": "severe-incident"}, "catalog"),
    ("/new-case", {"catalog": "{catalog}", "product": "*", "kind": "severe-incident"}, "product"),
    ("/new-case", {"catalog": "", "subject": "finding", "reference": "*", "kind": "severe-incident"}, "finding_id"),
)
# What makes a thing under the id that an address names, and the field that it is made of: that such an id is taken is
# told to who wants to make one.
MADE_OF: Mapping[str, tuple[str, dict[str, Any]]] = {
    "/rules/{rule_id}": ("body", RULE),
    "/groups/{document_id}": ("body", {"name": "x"}),
    "/jobs/{document_id}": ("body", {"name": "x", "group": "zqminegroup", "action": ACTION}),
    "/exports/{document_id}": ("body", {**EXPORT, "destination": HOOK}),
    "/templates/{name}/edit": ("model", MODEL),
}
