# SPDX-License-Identifier: Apache-2.0
"""The option ``--json``, which every command that prints data takes."""

from __future__ import annotations

from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
