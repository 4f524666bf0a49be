# SPDX-License-Identifier: Apache-2.0
"""Device twins: desired and reported properties with a version each, tags, and one ETag.

As in IoT Hub, ``$version`` of a section starts at 1 and grows by one with every change. The ETag changes with tags and
desired properties, which operators write, so that one operator cannot overwrite another's change unseen; reported
properties do not change it. A device sees desired and reported properties without metadata, an operator everything.
Unlike in IoT Hub, sizes are those of compact JSON without metadata. A patch that breaks a limit is refused as a whole.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.twin.document.section import (
    MAX_SECTION_BYTES,
    MAX_TAGS_BYTES,
    Document,
    check_patch,
    check_size,
    merge,
    merge_metadata,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The desired or the reported properties."""

    properties: Mapping[str, Any] = field(default_factory=dict)  # merged, without ``$`` members
    metadata: Mapping[str, Any] = field(default_factory=dict)  # mirrors ``properties``; see ``section.py``
    version: int = 1  # number of changes plus one


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A device's twin."""

    device_id: str
    desired: Section = field(default_factory=Section)  # set by operators
    reported: Section = field(default_factory=Section)  # set by the device
    tags: Mapping[str, Any] = field(default_factory=dict)  # notes of operators; the device never sees them
    version: int = 1  # number of changes of the twin, plus one
    etag_number: int = 1  # number of changes of tags and desired properties, plus one

    @property
    def etag(self) -> str:
        """Opaque value to send back in If-Match; without quotes."""
        return f"tw-{self.etag_number}"


def patch_desired(twin: Twin, patch: object, *, now_ms: int, if_match: str | None = None) -> Twin:
    """The twin after an operator's patch of the desired properties; null deletes.

    ``if_match`` is the ETag that the operator has read; None or ``*`` overwrites any state.

    Raises:
        ConflictError: the twin has changed since.
        InvalidArgumentError: a limit is broken.
    """
    _match(twin, if_match)
    checked = check_patch(patch, "desired")
    section = _changed(twin.desired, checked, now_ms, "desired", versions=True)
    return dataclasses.replace(twin, desired=section, version=twin.version + 1, etag_number=twin.etag_number + 1)


def patch_tags(twin: Twin, patch: object, *, if_match: str | None = None) -> Twin:
    """The twin after an operator's patch of the tags. Raises as :func:`patch_desired`."""
    _match(twin, if_match)
    tags = merge(twin.tags, check_patch(patch, "tags"))
    check_size(tags, "tags", MAX_TAGS_BYTES)
    return dataclasses.replace(twin, tags=tags, version=twin.version + 1, etag_number=twin.etag_number + 1)


def report(twin: Twin, patch: object, *, now_ms: int) -> Twin:
    """The twin after the device reported properties; raises InvalidArgumentError if a limit is broken."""
    checked = check_patch(patch, "reported")
    section = _changed(twin.reported, checked, now_ms, "reported", versions=False)
    return dataclasses.replace(twin, reported=section, version=twin.version + 1)


def device_view(twin: Twin) -> Document:
    """The twin as the device gets it: ``{"desired": {.., "$version"}, "reported": {.., "$version"}}``."""
    return {
        "desired": {**twin.desired.properties, "$version": twin.desired.version},
        "reported": {**twin.reported.properties, "$version": twin.reported.version},
    }


def desired_notice(patch: Mapping[str, Any], version: int) -> Document:
    """The message to a connected device about a patch of its desired properties."""
    return {**patch, "$version": version}


def operator_view(twin: Twin) -> Document:
    """The twin as operators get it: IoT Hub's form, with metadata."""
    return {
        "deviceId": twin.device_id,
        "etag": twin.etag,
        "version": twin.version,
        "tags": dict(twin.tags),
        "properties": {"desired": _shown(twin.desired), "reported": _shown(twin.reported)},
    }


def encode_twin(twin: Twin) -> str:
    """The stored form, JSON text; :func:`decode_twin` reads it."""
    document = dataclasses.asdict(twin)
    del document["device_id"]
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def decode_twin(device_id: str, text: str) -> Twin:
    """Read what :func:`encode_twin` wrote; raises InvalidArgumentError for another text: storage is damaged."""
    try:
        document = json.loads(text)
        return Twin(
            device_id=device_id,
            desired=Section(**document.pop("desired")),
            reported=Section(**document.pop("reported")),
            **document,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidArgumentError(
            f"twin of {device_id[:16]}...: expected a stored twin, got {error}",
            remedy="Restore the data folder from a backup.",
        ) from error


def timestamp(now_ms: int) -> str:
    """Unix milliseconds as IoT Hub writes time: ``2026-11-24T15:04:57.123Z``."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now_ms % 1000:03d}Z"


def _match(twin: Twin, if_match: str | None) -> None:
    if if_match is None or if_match == "*" or if_match.strip('"') == twin.etag:
        return
    raise ConflictError(
        f"twin: expected ETag {twin.etag}, got {if_match[:64]!a}",
        remedy="Read the twin again and apply the change to what it says now.",
        code="request.precondition",
    )


def _changed(section: Section, patch: Mapping[str, Any], now_ms: int, name: str, *, versions: bool) -> Section:
    properties = merge(section.properties, patch)
    check_size(properties, name, MAX_SECTION_BYTES)
    version = section.version + 1
    stamp: Document = {"$lastUpdated": timestamp(now_ms)}
    if versions:
        stamp["$lastUpdatedVersion"] = version
    metadata = merge_metadata(section.metadata, patch, stamp, properties)
    return Section(properties=properties, metadata=metadata, version=version)


def _shown(section: Section) -> Document:
    return {**section.properties, "$metadata": section.metadata, "$version": section.version}
