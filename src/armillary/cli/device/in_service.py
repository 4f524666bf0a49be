# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: the verbs that ask the service, without what works on this host, so that they start fast.

``device`` has them too, among all verbs of the noun.
"""

from __future__ import annotations

from armillary.cli.device import device_life, device_remote, device_template, device_update
from armillary.cli.device.device_file import files
from armillary.cli.device.device_message import message
from armillary.cli.security import insights
from armillary.cli.terminal.output import adopt, noun

app = noun("Devices: on this host and in the service.")

adopt(app, device_remote.verbs, device_life.verbs, device_update.verbs, insights.verbs, device_template.verbs)
app.add_typer(message, name="message")
app.add_typer(files, name="file")
