# SPDX-License-Identifier: Apache-2.0
"""``armillary completion SHELL``: print the script with which a shell completes commands."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from armillary.cli import main
from armillary.cli.completion.places import places
from armillary.cli.completion.scripts import SCRIPTS

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script with which your shell completes commands, options and their values.

    Where to keep it: docs/guides/command-line.md. Print it again after an update.
    """
    commands = {name: main.command_of(name) for name in main.COMMANDS}
    abouts = {name: about for name, (_, about) in main.COMMANDS.items()}
    sys.stdout.write(SCRIPTS[shell](places(commands, abouts)))
