# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian``: the noun, whose verbs are in the modules beside it."""

from __future__ import annotations

from armillary.cli.guardian import consent, demo, image, in_service, isolate, profile, run, sweep, trial
from armillary.cli.guardian.probe import bacnet, modbus, opcua
from armillary.cli.terminal.output import adopt, noun
from armillary.roles.log import log_to_stderr

app = noun("Guardians: equipment that must never be on a network.")


@app.callback()
def guardians() -> None:
    """Guardians: equipment that must never be on a network."""
    log_to_stderr()


adopt(app, in_service.app)
adopt(app, image.verbs, run.verbs, consent.verbs, isolate.verbs)
adopt(app, trial.verbs, sweep.verbs, demo.verbs)
app.add_typer(profile.app, name="profile")
adopt(modbus.app, opcua.verbs, bacnet.verbs)
app.add_typer(modbus.app, name="probe")
