# SPDX-License-Identifier: Apache-2.0
"""Tags and desired properties of a twin in one change: both are kept or neither, and an ETag guards both."""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.hub.twins import changed_twin
from armillary.errors import InvalidArgumentError
from armillary.twin.document.document import Twin, desired_notice, patch_desired, patch_tags
from armillary.twin.document.replacement import replacement_patch
from armillary.twin.document.section import check_patch

if TYPE_CHECKING:
    from armillary.hub.hub import Hub

COMMIT_TIMEOUT_S: Final = 30.0


def change_twin(
    hub: Hub,
    device_id: str,
    *,
    tags: object,
    desired: object,
    whole: AbstractSet[str] = frozenset(),
    if_match: str | None,
) -> Twin:
    """Merge or replace, durably, and tell the device if it is connected. Blocks: call it from a thread.

    Args:
        hub: The hub.
        device_id: Whose twin.
        tags: A JSON object, or None to leave them.
        desired: The same of the desired properties.
        whole: Which of ``tags`` and ``desired`` are whole sections, not patches.
        if_match: The ETag that somebody has seen; None or ``*`` for whatever it is.

    Raises:
        ConflictError: the twin's ETag is another one.
        InvalidArgumentError: a limit is broken, or there is nothing to change.
    """
    if tags is None and desired is None:
        raise InvalidArgumentError("twin: expected tags or desired properties", remedy="Send at least one.")
    now_ms = hub.now_ms()
    told: list[Mapping[str, Any]] = []
    checked_tags = None if tags is None else check_patch(tags, "tags")
    checked = None if desired is None else check_patch(desired, "desired")

    def apply(twin: Twin) -> Twin:
        guard = if_match
        if checked_tags is not None:
            patch = replacement_patch(twin.tags, checked_tags) if "tags" in whole else checked_tags
            twin, guard = patch_tags(twin, patch, if_match=guard), None
        if checked is not None:
            patch = replacement_patch(twin.desired.properties, checked) if "desired" in whole else checked
            told.append(patch)
            twin = patch_desired(twin, patch, now_ms=now_ms, if_match=guard)
        return twin

    def notify(twin: Twin) -> None:
        if told:
            version = twin.desired.version
            hub.front.notify_desired(device_id, desired_notice(told[-1], version), version)
        hub.notices.twin_changed(device_id)

    change = changed_twin(device_id, apply, now_ms=now_ms)
    future: Future[Twin] = hub.twins._submit(change, notify)  # noqa: SLF001 - the twins' other half
    return future.result(COMMIT_TIMEOUT_S)
