# SPDX-License-Identifier: Apache-2.0
"""Leaves an optional dependency of a library out of a process that never uses it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(package: str) -> Iterator[None]:
    """Have an optional dependency count as not installed while others are imported, unless it is there already.

    Python lets an import fail where None stands as the module.
    """
    is_new = package not in sys.modules
    if is_new:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if is_new:
            del sys.modules[package]
