# SPDX-License-Identifier: Apache-2.0
"""``armillary template``: device templates and application templates."""

from __future__ import annotations

from armillary.cli.platform import template_application, template_device
from armillary.cli.terminal.output import adopt, noun

app = noun("Device templates, and whole applications made from shipped templates.")
adopt(app, template_device.verbs, template_application.verbs)
