# SPDX-License-Identifier: Apache-2.0
"""Has no command take an empty text for a file or a folder: of it Python makes the folder that one is in.

It is what a shell writes for a variable that is not set, as in ``--data "$FOLDER"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from typer.models import TyperPath

from armillary.errors import InvalidArgumentError

EMPTY_PATH_REMEDY: Final = "Look whether a variable in that line is not set; . is the folder that you are in."


def with_paths_that_are_named(command: Any) -> Any:
    """The command, or the noun with all its verbs, whose files and folders are not named by an empty text.

    Whoever gives one gets an InvalidArgumentError with the option's name, before anything is done.
    """
    for each in getattr(command, "commands", {}).values():
        with_paths_that_are_named(each)
    for each in command.params:
        if isinstance(each.type, TyperPath):
            each.type.convert = _named(each.type.convert)  # type: ignore[method-assign]  # of this option alone
    return command


def _named(convert: Callable[..., Any]) -> Callable[..., Any]:
    def named(value: Any, parameter: Any, context: Any) -> Any:
        if value == "":
            what = parameter.opts[0] if parameter.param_type_name == "option" else parameter.human_readable_name
            raise InvalidArgumentError(
                f"{what}: expected the name of a file or folder, got an empty text", remedy=EMPTY_PATH_REMEDY
            )
        return convert(value, parameter, context)

    return named
