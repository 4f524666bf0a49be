# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian``: the verbs that ask the service, without what works on equipment, so that they start fast.

``guardian`` has them too, among all verbs of the noun.
"""

from __future__ import annotations

from armillary.cli.guardian import command, content, equipment, firmware, fleet, recipe
from armillary.cli.terminal.output import adopt, noun

app = noun("Guardians: equipment that must never be on a network.")

adopt(app, fleet.verbs, command.verbs)
app.add_typer(content.app, name="content")
app.add_typer(equipment.app, name="equipment")
app.add_typer(recipe.app, name="recipe")
app.add_typer(firmware.app, name="firmware")
