# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian demo``: play what a guardian is for, with one of three kinds of equipment."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from armillary.cli.guardian.story import cable, coffee, dispenser
from armillary.cli.story.playing import Story, play
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun
from armillary.errors import InvalidArgumentError

verbs = noun()

STORIES: Final[dict[str, Story[Any]]] = {
    "coffee": coffee.STORY,
    "dispenser": dispenser.STORY,
    "cable": cable.STORY,
}


@verbs.command("demo")
def demo(
    equipment: Annotated[str, typer.Argument(metavar="EQUIPMENT", help=f"One of {', '.join(STORIES)}.")],
    as_json: JsonOption = False,
    stay: Annotated[
        bool | None, typer.Option("--stay/--no-stay", help="Keep everything up until Ctrl-C (default: on a terminal).")
    ] = None,
) -> None:
    """Play a guardian's story with simulated equipment.

    The equipment says that it is simulated; its guardian is in the sandbox, and speaks to the hub.

    Needs no root and no installed service; everything happens in a temporary folder on free loopback ports.
    """
    if equipment not in STORIES:
        raise InvalidArgumentError(f"no story of {equipment!r:.40}", remedy=f"Use one of: {', '.join(STORIES)}.")
    play(STORIES[equipment], as_json=as_json, stay=stay)
