# SPDX-License-Identifier: Apache-2.0
"""The option for the keys that signed an image, of commands that make later OSes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", metavar="DIR", help="The keys that signed the image, keys beside the image if not given."),
]
