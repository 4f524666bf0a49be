# SPDX-License-Identifier: Apache-2.0
"""The words of the orders that lists can have over all their pages; each falls with - before it.

They are apart from the queries, so that who only describes a list loads none of them.
"""

from __future__ import annotations

from typing import Final

ACTIONS: Final = ("kind", "state", "devices", "done", "asked_by", "asked_at")
CASES: Final = ("title", "kind", "state", "aware_at")
CRASH_DUMPS: Final = ("device", "signal", "stack", "crashed_at", "received_at", "size", "image")
HUB_DEVICES: Final = ("name", "device_id", "authentication", "enabled", "created_at")
IMAGES: Final = ("name", "architecture", "size", "uploaded_at", "uploaded_by")
