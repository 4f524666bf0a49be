# SPDX-License-Identifier: Apache-2.0
"""The noun ``device`` for verbs that work on this host: what goes wrong there is written to stderr as JSON lines."""

from __future__ import annotations

import typer

from armillary.cli.terminal.output import noun
from armillary.roles.plain_log import log_to_stderr

HELP = "Devices: on this host and in the service."


def devices_here() -> typer.Typer:
    """The noun, as yet without verbs."""
    app = noun(HELP)
    app.callback(help=HELP)(_begin)
    return app


def _begin() -> None:
    log_to_stderr()
