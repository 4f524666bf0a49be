# SPDX-License-Identifier: Apache-2.0
"""Devices in IoT Central's shape: list, get, make, change, delete.

Devices of both kinds are here: those that attest are shown and get names, templates and organisations; they are made,
revoked and taken out of service where the rest of the service is. A device that is made here is a hub device without
keys of its own: its first credentials make them (``attestation.py``), or an enrolment group registers it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from armillary.api.central.call import (
    Call,
    body_object,
    check_fields,
    check_id,
    cursor,
    field,
    match,
    paged,
    quoted,
    wrong,
)
from armillary.api.central.template_id import Resolved, check_reach, resolve, template_id_of
from armillary.api.http.route import ADMINISTRATOR, allows
from armillary.api.iot_hub import call as iot_hub_call
from armillary.engines.records.queries.hub import HubIdentity
from armillary.engines.records.schema.rows import Device
from armillary.errors import ArmillaryError, ConflictError, NotFoundError, PermissionDeniedError
from armillary.service.hub_access.identities import IdentityForm, awaits_keys, etag_of
from armillary.wire.hub.credentials import check_device_name
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS, check_name

if TYPE_CHECKING:
    from armillary.engines.documents.document import Document

FIELDS: Final = (
    "displayName",
    "enabled",
    "etag",
    "id",
    "organizations",
    "provisioned",
    "simulated",
    "template",
    "type",
)
AnyDevice = HubIdentity | Device


def list_devices(call: Call) -> dict[str, Any]:
    """Devices by id, a page at a time; a token of an organisation sees those of it and of what is below."""
    names: dict[tuple[str, int], str] = {}
    return paged(call, _behind(call, cursor(call)), iot_hub_call.identity_of, lambda each: document(call, each, names))


def get_device(call: Call) -> dict[str, Any]:
    """A device."""
    return document(call, find(call))


def put_device(call: Call) -> dict[str, Any]:
    """Make a device, or change what the body says of one."""
    body, found = _checked(call), _present(call)
    if found is not None:
        return _changed(call, found, body)
    match("device", call.if_match, None)
    wanted = _wanted(call, None, body)
    made = _made(call, enabled=field(body, "enabled", bool, default=True) is not False)
    try:
        _keep(call, made.identity, wanted)
    except ArmillaryError:  # nothing half made stays
        call.service.hub_access.identities.delete(made.identity, actor=call.operator.name)
        _forget(call, made.identity)
        raise
    return document(call, made)


def patch_device(call: Call) -> dict[str, Any]:
    """Change what the body says of a device."""
    return _changed(call, find(call), _checked(call))


def delete_device(call: Call) -> None:
    """Delete a device with its modules, twin, messages and files; one that attests is decommissioned instead."""
    found = find(call)
    if isinstance(found, Device):
        raise _elsewhere(found, "is decommissioned, not deleted", "armillary device decommission")
    match("device", call.if_match, etag(call, found))
    call.service.hub_access.identities.delete(found.identity, actor=call.operator.name, if_match=etag_of(found))
    _forget(call, found.identity)


def find(call: Call) -> HubIdentity | Device:
    """The device that the path names, of the request's catalog. Raises NotFoundError if there is none."""
    return iot_hub_call.find(call.request, call.parameters["device_id"])


def find_identity(call: Call) -> str:
    """The hub's id of the device or module that the path names. Raises NotFoundError if there is none."""
    found = find(call)
    module = call.parameters.get("module")
    if module is not None:
        found = iot_hub_call.find(call.request, call.parameters["device_id"], module)
    return iot_hub_call.identity_of(found)


def document(call: Call, found: AnyDevice, names: dict[tuple[str, int], str] | None = None) -> dict[str, Any]:
    """A device in IoT Central's form; ``names`` remembers the identifiers of templates over a list."""
    identity = iot_hub_call.identity_of(found)
    kept = _kept(call, identity)
    body: Mapping[str, Any] = {} if kept is None else kept.content
    shown: dict[str, Any] = {
        "id": identity,
        "etag": quoted(etag(call, found, kept)),
        "displayName": _display_name(call, found),
        "enabled": found.is_enabled if isinstance(found, HubIdentity) else found.revoked_at is None,
        "provisioned": found.last_check_in_at is not None if isinstance(found, Device) else not awaits_keys(found),
        "simulated": isinstance(found, Device) and found.trust_tier == "simulated",
        "organizations": _organisations(call, body),
    }
    if body.get("template"):
        key = (str(body["template"]), int(body.get("version") or 1))
        known = {} if names is None else names
        if key not in known:
            known[key] = template_id_of(call.platform, *key)
        shown["template"] = known[key]
    return shown


def etag(call: Call, found: AnyDevice, kept: Document | None = None) -> str:
    """The ETag of a device in this shape: of its identity and of what operators set."""
    kept = kept or _kept(call, iot_hub_call.identity_of(found))
    first = etag_of(found) if isinstance(found, HubIdentity) else f"at-{found.claimed_at or 0}-{found.revoked_at or 0}"
    name = sha256(_display_name(call, found).encode()).hexdigest()[:8]
    return f"{first}.{'' if kept is None else kept.etag}.{name}"


class _Wanted:
    """The changes in a body, checked against the device; None changes nothing."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.template: Resolved | None = None
        self.organisation: tuple[str | None] | None = None


def _present(call: Call) -> AnyDevice | None:
    try:
        return find(call)
    except NotFoundError:
        return None


def _checked(call: Call) -> dict[str, Any]:
    body = body_object(call)
    check_fields("device", body, FIELDS)
    check_id(body, call.parameters["device_id"])
    if body.get("type") not in (None, [], ["iot"], "iot"):
        raise wrong("type", "no gateway and no Edge device: there are none here", body["type"])
    return body


def _wanted(call: Call, found: AnyDevice | None, body: Mapping[str, Any]) -> _Wanted:
    wanted = _Wanted()
    is_simulated = isinstance(found, Device) and found.trust_tier == "simulated"
    if (field(body, "simulated", bool) or False) and not is_simulated:
        raise wrong("simulated", "false: simulated devices come with an application template", True)
    name = field(body, "displayName", str)
    if name is not None and not name.strip():
        raise wrong("displayName", f"1 to {MAX_NAME_CHARACTERS} printable characters", name)
    wanted.name = None if name is None else check_name(name)
    template = field(body, "template", str)
    if template is not None:
        wanted.template = resolve(call, template)
        check_reach(call, wanted.template, template)
    if body.get("organizations") is not None:
        wanted.organisation = (_organisation(call, body["organizations"]),)
        identity = None if found is None else iot_hub_call.identity_of(found)
        if identity is not None and call.platform.organisations.of_device(identity) == wanted.organisation[0]:
            wanted.organisation = None
        elif found is not None or wanted.organisation[0] is not None:
            _check_may_assign(call)
    return wanted


def _organisations(call: Call, body: Mapping[str, Any]) -> list[str]:
    """The organisation of a device, where it is one of its catalog: not that of an earlier owner."""
    given = body.get("organisation")
    found = call.platform.organisations.all().get(given) if isinstance(given, str) else None
    return [str(given)] if found is not None and found.catalog.lower() == call.catalog.name.lower() else []


def _organisation(call: Call, given: Any) -> str | None:
    if not isinstance(given, list) or len(given) > 1 or not all(isinstance(each, str) for each in given):
        raise wrong("organizations", "a list of one organisation or none", given)
    if not given:
        return None
    found = call.platform.organisations.all().get(given[0])
    if found is None or found.catalog.lower() != call.catalog.name.lower():
        raise NotFoundError(
            f"the device's catalog has no organisation {given[0]!a:.80}",
            remedy="List them: GET /api/organizations.",
        )
    return str(given[0])


def _check_may_assign(call: Call) -> None:
    if call.operator.organisation is not None or not allows(call.operator.role, ADMINISTRATOR):
        raise PermissionDeniedError(
            "organizations: who sees a device is for administrators of its catalog to say",
            remedy="Leave organizations out, or use a token with the role Administrator.",
        )


def _changed(call: Call, found: AnyDevice, body: Mapping[str, Any]) -> dict[str, Any]:
    match("device", call.if_match, etag(call, found))
    wanted = _wanted(call, found, body)
    enabled = field(body, "enabled", bool)
    if enabled is not None and enabled != document(call, found)["enabled"]:
        found = _enable(call, found, enabled=enabled)
    _keep(call, iot_hub_call.identity_of(found), wanted)
    return document(call, found)


def _enable(call: Call, found: AnyDevice, *, enabled: bool) -> HubIdentity:
    if isinstance(found, Device):
        raise _elsewhere(found, "is revoked and restored, not disabled", "armillary device revoke")
    form = IdentityForm(
        authentication=found.authentication,
        thumbprints=(found.primary_thumbprint, found.secondary_thumbprint),
        awaits_keys=found.authentication == "sas" and found.primary_key is None,
        is_enabled=enabled,
        status_reason=found.status_reason,
    )
    identities = call.service.hub_access.identities
    return identities.put(found.identity, form, actor=call.operator.name, if_match=etag_of(found))[0]


def _made(call: Call, *, enabled: bool) -> HubIdentity:
    name = check_device_name(call.parameters["device_id"])
    form = IdentityForm(authentication="sas", awaits_keys=True, is_enabled=enabled)
    made, _ = call.service.hub_access.identities.put(
        name, form, actor=call.operator.name, catalog_id=call.catalog.catalog_id, create=True
    )
    return made


def _keep(call: Call, identity: str, wanted: _Wanted) -> None:
    by = call.operator.name
    if wanted.template is not None:
        call.platform.device_template_operations.assign_resolved(call.actor, identity, *wanted.template)
    if wanted.name is not None:  # its id is what a device without a name is shown as
        call.service.registry.names.rename(identity, "" if wanted.name == identity else wanted.name, actor=by)
    if wanted.organisation is not None:
        call.platform.organisation_operations.assign_checked(call.actor, identity, wanted.organisation[0])


def _behind(call: Call, after: str) -> Iterator[AnyDevice]:
    root = call.operator.organisation
    if root is None:
        yield from iot_hub_call.devices_after(call.request, after)
        return
    at: str | None = after or None
    while True:
        items, at = call.platform.organisations.devices(root, after=at, limit=iot_hub_call.PAGE)
        for each in items:
            yield iot_hub_call.find(call.request, each["device_id"])
        if at is None:
            return


def _kept(call: Call, identity: str) -> Document | None:
    return call.platform.documents.find("device", identity)


def _display_name(call: Call, found: AnyDevice) -> str:
    """Its name; of a device that nobody named its id, as IoT Central has it."""
    identity = iot_hub_call.identity_of(found)
    known = call.service.registry.names.described([identity])
    return known[0].name if known and known[0].is_named else identity


def _elsewhere(found: Device, what: str, command: str) -> ConflictError:
    return ConflictError(f"device {found.device_id[:16]}... attests: it {what}", remedy=f"{command} --device ID.")


def _forget(call: Call, identity: str) -> None:
    call.hub.forget(identity)
    call.platform.forget_device(identity, by=call.operator.name)
