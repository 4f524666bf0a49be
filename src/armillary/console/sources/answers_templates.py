# SPDX-License-Identifier: Apache-2.0
"""Answers about device templates, a device as its template sees it, and templates of whole applications."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from armillary.api.native.bodies import ImportBody
from armillary.api.views import (
    authored as views_authored,
    device_labels as views_labels,
    template as views,
)
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document
from armillary.content import application_templates as shipped
from armillary.errors import RateLimitedError
from armillary.twin.rule.rule_values import values_of
from armillary.twin.template.name import split_id
from armillary.twin.template.value_names import Naming

# Templates ---------------------------------------------------------------------------------------------------------


def list_templates(by: RequestContext, limit: int, after: str | None = None, search: str = "") -> Document:
    """Device templates by name."""
    return views.listed(by.platform, by.catalog, limit, after, search)


def show_template(by: RequestContext, template_name: str) -> Document:
    """A template's draft."""
    return views.shown(by.platform, template_name, 0, by.catalog)


def show_template_version(by: RequestContext, template_name: str, version: int) -> Document:
    """A published version of a template."""
    return views.shown(by.platform, template_name, version, by.catalog)


def put_template(by: RequestContext, template_name: str, body: Mapping[str, Any], if_match: str) -> None:
    """Make or change a draft."""
    by.platform.template_operations.put(by.operator, template_name, body, by.catalog, if_match)


def import_template(by: RequestContext, template_name: str, body: ImportBody, if_match: str) -> None:
    """Make a draft of models."""
    by.platform.template_operations.bring(
        by.operator, template_name, body.files(), by.catalog, if_match, root=body.root, display_name=body.display_name
    )


def check_template(by: RequestContext, body: ImportBody) -> Document:  # noqa: ARG001 - as every answer
    """What models would make, or every rule that they break."""
    return views.check(body.files(), root=body.root, display_name=body.display_name)


def upcoming_template(by: RequestContext, template_name: str) -> Document:
    """What publishing the draft would do."""
    by.platform.template_operations.check_owned(template_name, by.catalog)
    return views.upcoming(by.platform, template_name)


def publish_template(by: RequestContext, template_name: str) -> None:
    """Make the draft the next published version."""
    by.platform.template_operations.publish(by.operator, template_name, by.catalog)


def migrate_template(by: RequestContext, template_name: str, version: int, *, dry_run: bool = False) -> Document:
    """Give every device of a template a version of it; says what devices lose."""
    operations = by.platform.template_operations
    found = operations.migrate(by.operator, template_name, version, by.catalog, dry_run=dry_run)
    return {**views.migrated(found), "dry_run": dry_run}


def delete_template(by: RequestContext, template_name: str) -> None:
    """Delete a template with all its versions."""
    by.platform.template_operations.delete(by.operator, template_name, 0, by.catalog)


def template_devices(by: RequestContext, template_name: str, limit: int) -> Document:
    """Devices that have a template, by id."""
    page = by.platform.template_operations.devices(template_name, by.catalog, limit, None)
    return views_labels.with_names(by.service, page, by.operator.catalog)


def template_values(by: RequestContext, template_name: str) -> Document:
    """What a rule for a template's devices can look at: by its newest version, else its draft."""
    published = by.platform.templates.versions(template_name)
    version = split_id(published[0].id)[1] if published else 0
    ready = by.platform.template_operations.visible(template_name, version, by.catalog)
    return values_of(Naming([ready.names]))


def template_uses(by: RequestContext, template_name: str, value: str) -> Document:
    """What uses a value of a template."""
    return views_authored.uses(by.platform.template_operations.uses(template_name, by.catalog, value))


# Devices -----------------------------------------------------------------------------------------------------------


def show_device_template(by: RequestContext, device_id: str) -> Document:
    """A device as its template sees it."""
    known = by.service.hub_access.known(device_id)
    return views.device(by.hub, by.platform, known, by.since_ms(known))


def set_device_template(by: RequestContext, device_id: str, template: str, version: int, *, dry_run: bool) -> Document:
    """Give a device a template; says what it loses."""
    known, operations = by.service.hub_access.known(device_id), by.platform.device_template_operations
    given = operations.assign(by.operator, known, template, version, dry_run=dry_run)
    return views.assigned(known, template, *given, dry_run=dry_run)


def unset_device_template(by: RequestContext, device_id: str) -> None:
    """Take a device's template away."""
    by.platform.device_template_operations.unassign(by.operator, by.service.hub_access.known(device_id))


def set_cloud_properties(by: RequestContext, device_id: str, change: Mapping[str, Any], if_match: str) -> None:
    """Change cloud properties of a device; null takes one away."""
    known = by.service.hub_access.known(device_id)
    by.platform.device_template_operations.set_cloud(by.operator, known, change, if_match)


def properties_patch(by: RequestContext, device_id: str, values: Mapping[str, Any]) -> Document:
    """The patch of desired properties that wants values of writable properties; nothing is changed."""
    return by.platform.device_template_operations.patch_of(by.service.hub_access.known(device_id), values)


def set_device_properties(by: RequestContext, device_id: str, values: Mapping[str, Any], if_match: str) -> None:
    """Want values of writable properties; null wants none."""
    known = by.service.hub_access.known(device_id)
    by.platform.device_template_operations.want(by.operator, known, values, if_match)


# Application templates ---------------------------------------------------------------------------------------------


def list_application_templates(by: RequestContext) -> Document:
    """Application templates that are shipped; none where simulated devices are not played."""
    found = by.applications()
    return {"items": [] if found is None else found.catalog()}


def application_contents(_by: RequestContext, name: str) -> Document:
    """What is in a template: ``devices``, and its models, rules, groups, jobs and dashboards. Raises NotFoundError."""
    return _contents(name)


def use_application_template(by: RequestContext, name: str, into: str | None = None) -> Document:
    """Make a running application of a template, in a catalog (by default one that is made for it)."""
    found = by.applications()
    if found is None:
        raise RateLimitedError("simulated devices are not being played here yet", retry_after_s=2)
    made: Document = found.use(name, actor=by.operator.name, catalog=into, devices=None)
    return made


@cache  # what is shipped does not change while the service runs
def _contents(name: str) -> Document:
    found = shipped.load(name)
    dashboards = [
        {"id": document_id, "name": body["name"], "tiles": body["tiles"]}
        for (kind, document_id), body in found.documents.items()
        if kind == "dashboard"
    ]
    dashboards.sort(key=lambda each: (-len(each["tiles"]), each["id"]))

    def names_of(kind: str) -> list[str]:
        return [str(body["name"]) for (each, _), body in found.documents.items() if each == kind]

    return {
        "name": name,
        "product": found.head["product"],
        "operator": found.head["operator"],
        "devices": sum(int(table["count"]) for table in found.devices),
        "models": [str(each["name"]) for each in found.head["template"]],
        "rules": names_of("rule"),
        "groups": names_of("group"),
        "jobs": names_of("job"),
        "dashboards": dashboards,
    }
