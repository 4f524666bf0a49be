# SPDX-License-Identifier: Apache-2.0
"""Forgetting what has a name that may be given again, to another owner: devices, and what documents leave behind.

``engines/hub/forget.py`` says what stays of a device.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from armillary.engines.hub.forget import forgotten
from armillary.errors import NotFoundError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub

COMMIT_TIMEOUT_S: Final = 30.0


def forget_document(hub: Hub, kind: str, document_id: str) -> None:
    """Forget what a deleted document leaves: a job its runs, an export its dead letters and secret.

    Raises:
        ConflictError: a run of the job is under way.
    """
    if kind == "job":
        hub.jobs.forget(document_id)
    elif kind == "export":
        hub.exports.store.forget(document_id)


def forget_device(hub: Hub, identity: str, *, by: str) -> None:
    """Forget a device with its modules, or a module. Blocks: call it from a thread.

    Args:
        hub: The hub.
        identity: Device, or ``device/module``.
        by: Who, for the history of what operators kept of the device.
    """
    for upload_id in hub.series.commits.submit(forgotten(identity)).result(COMMIT_TIMEOUT_S):
        hub.files.remove(upload_id)
    if "/" not in identity:
        with contextlib.suppress(NotFoundError):  # most have none
            hub.application.delete("device", identity, by=by)
    hub.notices.twin_changed(identity)
