# SPDX-License-Identifier: Apache-2.0
"""Writes ``sizes.json``: bytes of every component, and of the parts of an image that have a budget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from armillary.errors import InvalidArgumentError

FILE: Final = "sizes.json"


def write_sizes(
    image: Path, *, root_bytes: int, unified_bytes: int, budget: Mapping[str, float], components: Mapping[str, int]
) -> None:
    """Write the sizes, then hold them against the budget (megabytes).

    Raises:
        InvalidArgumentError: a part is larger than its budget.
    """
    found = {"root": root_bytes, "unified": unified_bytes, "total": root_bytes + unified_bytes}
    sizes = {"image": found, "budget_mb": budget, "files_by_component": dict(components)}
    (image / FILE).write_text(json.dumps(sizes, indent=1) + "\n", "utf-8")
    check_budget(found, budget, components)


def check_budget(found: Mapping[str, int], budget: Mapping[str, float], components: Mapping[str, int]) -> None:
    """InvalidArgumentError for a part (bytes) that is larger than its budget (megabytes)."""
    for name, limit in budget.items():
        if found[name] > limit * 1_000_000:
            largest = sorted(components.items(), key=lambda item: -item[1])[:5]
            words = ", ".join(f"{component} {size:,}" for component, size in largest)
            raise InvalidArgumentError(
                f"device image: {name} has {found[name]:,} bytes, expected at most {limit:g} MB",
                remedy=f"Leave something out, or raise image/budget.toml. Largest, before compression: {words}.",
            )
