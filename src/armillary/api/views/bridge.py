# SPDX-License-Identifier: Apache-2.0
"""Bridged devices, their artifacts and actions as JSON-able dicts, for the native routes and the console.

Tokens are in an answer only where the caller gets them: in that of the change that made them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.engines.records.queries.devices import installed_from
from armillary.engines.records.schema.bridge_rows import (
    BridgeAction,
    BridgeAdmission,
    BridgeArtifact,
    BridgeAuthority,
    BridgeDevice,
    BridgeStatus,
)
from armillary.service.bridge.artifacts import Upload
from armillary.wire.hub.credentials import UNATTESTED

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def admission(service: SecurityService, found: BridgeAdmission) -> Document:
    """How controllers of a catalog may authenticate."""
    into = None if found.registers_into is None else service.registry.groups.find(found.registers_into)
    return {
        "tenant": found.tenant,
        "target_tokens": found.target_tokens,
        "certificates": found.certificates,
        "gateway_token": found.gateway_token_hash is not None,
        "registers_into": None if into is None else f"{into.product}/{into.name}",
        "polling_s": found.polling_s,
        "changed_at": found.changed_at or None,
        "changed_by": found.changed_by or None,
    }


def authority(found: BridgeAuthority) -> Document:
    """An authority of client certificates."""
    return {
        "fingerprint": found.fingerprint.hex(),
        "subject": found.subject,
        "not_after": found.not_after,
        "added_at": found.added_at,
    }


def device(found: BridgeDevice) -> Document:
    """A bridged device; what it told about itself is its word."""
    return {
        "controller": found.controller,
        "device_id": found.device_id,
        "trust_tier": UNATTESTED,
        "product": found.product,
        "group": found.group,
        "has_token": found.has_token,
        "revoked": found.revoked,
        "polled_at": found.polled_at,
        "installed": [{"name": each.name, "image_id": str(each.image_id)} for each in installed_from(found.installed)],
        "attributes": dict(found.attributes),
        "attributes_at": found.attributes_at,
        "created_at": found.created_at,
    }


def with_token(made: Document, token: str | None) -> Document:
    """A document with the token that was just made, if any."""
    return made if token is None else {**made, "token": token}


def artifact(found: BridgeArtifact) -> Document:
    """An artifact; its id is an image id, which deployments and roll-outs name."""
    return {
        "image_id": str(found.image_id),
        "name": found.name,
        "version": found.version,
        "part": found.part,
        "filename": found.filename,
        "size": found.size,
        "sha256": found.sha256.hex(),
        "sha1": found.sha1.hex(),
        "md5": found.md5.hex(),
        "uploaded_at": found.uploaded_at,
        "uploaded_by": found.uploaded_by,
    }


def upload(found: Upload) -> Document:
    """An upload under way."""
    return {"upload_id": str(found.upload_id), "received": found.received, "size": found.form.size, "artifact": None}


def action(found: BridgeAction) -> Document:
    """One deployment on one controller."""
    return {
        "action": found.number,
        "deployment_id": str(found.deployment_id),
        "state": found.state,
        "reason": found.reason,
        "created_at": found.created_at,
        "changed_at": found.changed_at,
        "finished_at": found.finished_at,
    }


def history(found: BridgeAction, said: tuple[BridgeStatus, ...]) -> Document:
    """An action and what was said of it, oldest first."""
    lines = [
        {
            "at": each.at,
            "event": each.event,
            "progress": each.progress or None,
            "code": each.code,
            "messages": list(each.messages),
        }
        for each in said
    ]
    return {**action(found), "history": lines}
