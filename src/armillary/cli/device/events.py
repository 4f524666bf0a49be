# SPDX-License-Identifier: Apache-2.0
"""How entries of a device's log are printed: as lines of JSON, or as text for people."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from armillary.cli.terminal.output import inert, json_text


def print_event(entry: dict[str, object]) -> None:
    """Print an entry as a line of JSON."""
    sys.stdout.write(json_text(entry) + "\n")
    sys.stdout.flush()


def write_event(entry: dict[str, object], write: Callable[[str], object]) -> None:
    """Write an entry as a line for people, and a line for each thing that its sandbox does not enforce."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(str(entry.get("at", 0)))))
    fields = "  ".join(
        f"{name}={_short(value)}"
        for name, value in entry.items()
        if name not in ("at", "event", "weaker", "components")
    )
    write(inert(f"{at}  {entry.get('event')}  {fields}".rstrip()) + "\n")
    weaker = entry.get("weaker")
    for sentence in weaker if isinstance(weaker, list) else ():
        write(inert(f"{at}  weaker sandbox: {sentence}") + "\n")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
    return text if len(text) <= 200 else text[:200] + "…"
