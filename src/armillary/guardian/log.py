# SPDX-License-Identifier: Apache-2.0
"""What a guardian says: lines on standard output, which the device keeps in its journal. Never a secret."""

from __future__ import annotations


def log(text: str) -> None:
    """Write one line."""
    print(text, flush=True)  # noqa: T201 - an application's log is its standard output
