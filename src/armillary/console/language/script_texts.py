# SPDX-License-Identifier: Apache-2.0
"""The texts that scripts of a page say (``static/worded.js``), as a page in another language brings them along."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Final

_SAID: Final = re.compile(r'\bworded\(\s*("(?:[^"\\]|\\.)*")')


def said_in(source: str) -> Iterator[str]:
    """Texts that a script says by ``worded("...")``."""
    return (json.loads(each) for each in _SAID.findall(source))


@cache
def script_texts() -> tuple[str, ...]:
    """The texts of all scripts of the console."""
    static = resources.files("armillary.console") / "static"
    scripts = (each.read_text("utf-8") for each in static.iterdir() if each.name.endswith(".js"))
    return tuple(sorted({text for script in scripts for text in said_in(script)}))
