# SPDX-License-Identifier: Apache-2.0
"""``armillary template``: device templates, and whole applications of them."""

from __future__ import annotations

import typer

from armillary.cli.platform import template_application, template_device

app = typer.Typer(
    no_args_is_help=True,
    help="Device templates, and whole applications made from shipped templates.",
    rich_markup_mode=None,
    add_completion=False,
)
template_device.register(app)
template_application.register(app)
