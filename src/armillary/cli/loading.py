# SPDX-License-Identifier: Apache-2.0
"""Loads a command without work that is of no use to it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_search_for_garbage() -> Iterator[None]:
    """Load modules without a search for garbage, then or later, among what they are made of: it stays to the end.

    Such searches are a fifth of the start of a large command.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
