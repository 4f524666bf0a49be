# SPDX-License-Identifier: Apache-2.0
"""Forgetting a device whose name may be given again, to another owner.

``engines/hub/forget.py`` says what stays of a device.
"""

from __future__ import annotations

from armillary.engines.hub.forget import forgotten
from armillary.engines.series.store import SeriesStore
from armillary.hub.devices.files import FileUploads
from armillary.hub.front.notices import HubNotices


def forget_device(series: SeriesStore, files: FileUploads, notices: HubNotices, identity: str) -> None:
    """Forget a device with its modules, or a module (``device/module``). Blocks: call it from a thread."""
    for upload_id in series.commits.commit(forgotten(identity)):
        files.remove(upload_id)
    notices.twin_changed(identity)
