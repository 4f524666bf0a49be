# SPDX-License-Identifier: Apache-2.0
"""How entries of a device's log are printed: as lines of JSON, or as text for people."""

from __future__ import annotations

import sys
from collections.abc import Callable

from armillary.cli.terminal.output import inert, json_text
from armillary.device.state.log_lines import line_time, plain_line


def print_event(entry: dict[str, object]) -> None:
    """Print an entry as a line of JSON."""
    sys.stdout.write(json_text(entry) + "\n")
    sys.stdout.flush()


def write_event(entry: dict[str, object], write: Callable[[str], object]) -> None:
    """Write an entry as a line for people, and a line for each thing that its sandbox does not enforce."""
    write(inert(plain_line(entry)) + "\n")
    weaker = entry.get("weaker")
    for sentence in weaker if isinstance(weaker, list) else ():
        write(inert(f"{line_time(entry)}  weaker sandbox: {sentence}") + "\n")
