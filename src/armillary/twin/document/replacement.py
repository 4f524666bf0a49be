# SPDX-License-Identifier: Apache-2.0
"""Expresses the replacement of a twin's section as a patch, which deletes what the new section does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def replacement_patch(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that makes ``current`` into ``wanted``; empty when it is that already."""
    patch: dict[str, Any] = {name: None for name in current if name not in wanted}
    for name, value in wanted.items():
        present = current.get(name)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            inner = replacement_patch(present, value)
            if inner:
                patch[name] = inner
        elif name not in current or value != present or type(value) is not type(present):
            patch[name] = value
    return patch
