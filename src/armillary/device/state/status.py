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
from armillary.errors import DataFolderError

STATUS_VERSION = 1  # 1: 2026-11-24, first


def write_status(path: Path, status: Mapping[str, object]) -> None:
    """Replace the status file."""
    document = {"status_version": STATUS_VERSION, **status}
    data = json.dumps(document, indent=2, ensure_ascii=False, default=str).encode() + b"\n"
    replace_file(path, data, mode=0o600)


def read_status(path: Path) -> dict[str, Any] | None:
    """The status, or None when the device never ran. DataFolderError for a file that is damaged or cannot be read."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(value, dict):
        raise _unreadable(path, f"expected a JSON object, got {type(value).__name__}")
    return value


def _unreadable(path: Path, reason: str) -> DataFolderError:
    return DataFolderError(
        f"{path}: the status cannot be read: {reason:.120}",
        remedy="A running device writes it anew at its next event; else start it: armillary device boot --data DIR.",
    )
