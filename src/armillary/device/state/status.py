# SPDX-License-Identifier: Apache-2.0
"""The status file: state of a running device for people and scripts on the same host.

One JSON object, replaced atomically, so a reader never sees half of it. It is a report, not state: the device
never reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armillary.device.state.layout import replace_file

STATUS_VERSION = 1  # 1: 2026-11-24, first


def write_status(path: Path, status: Mapping[str, object]) -> None:
    """Replace the status file."""
    document = {"status_version": STATUS_VERSION, **status}
    data = json.dumps(document, indent=2, ensure_ascii=False, default=str).encode() + b"\n"
    replace_file(path, data, mode=0o600)


def read_status(path: Path) -> dict[str, Any] | None:
    """The status, or None when the device never ran."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return value if isinstance(value, dict) else None
