# SPDX-License-Identifier: Apache-2.0
"""The one command that makes, claims and boots a device: the form for it, itself shown once, how far it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.frame.form import Field, Form, Wrong
from armillary.console.frame.sheet import Cell, Once, Section, device_href, text
from armillary.console.frame.states import GOOD, HEALTH, UNKNOWN, State, state_of
from armillary.console.frame.words import moment
from armillary.console.language.say import say

# Kind of the form, and id of its section.
ONE: Final = "one-command"
# Id of the section that says how far the device is.
MADE: Final = "made-by-command"
# What the token in the command is good for.
USES: Final = 1
LIFE_S: Final = 3600


def offer(
    post: str,
    targets: tuple[tuple[str, str], ...],
    sent: Mapping[str, str],
    wrong: tuple[str, Wrong] | None,
) -> Section:
    """The form that makes a command, with the device groups that it may be for."""
    field = Field(
        name="target",
        label=say("Device group"),
        kind="select",
        choices=targets,
        value=sent.get("target", ""),
    )
    form = Form(
        post=post,
        label=say("Create the command"),
        title=say("The device group that it goes to"),
        fields=(field,),
        error=wrong[1] if wrong is not None and wrong[0] == ONE else None,
    )
    return Section(
        title=say("Create a device that attests, with one command"),
        note=say("it needs no login on the host"),
        columns=(),
        rows=(),
        none=say("The command makes a device on a host with Armillary installed, claims it and boots it."),
        anchor=ONE,
        form=form,
    )


def once(made: Mapping[str, Any], addresses: Mapping[str, str], now: int) -> Once:
    """The command with its enrolment token, ``made`` as the API's answer is."""
    token = made["token"]
    ends = moment(token["expires_at"], now)
    command = (
        f"armillary device create --data my-device --service {addresses['api']} "
        f"--root-sha256 {addresses['root_sha256']} --token {made['secret']} --boot"
    )
    return Once(
        says=say(
            "The command is shown this once: copy it now. It makes one device, in {catalog} / {product} / {group}, "
            "until {at}.",
            catalog=token["catalog"],
            product=token["product"],
            group=token["group"],
            at=ends.exact if ends else say("an unknown time"),
        ),
        lines=(
            (
                say("Run it on a host with Armillary installed; it runs until Ctrl-C, and goes on when run again"),
                command,
            ),
        ),
    )


def progress(claimed: Sequence[Mapping[str, Any]], href: str, token_id: str, every_s: int) -> Section:
    """How far the device is that the command with this token makes; ``claimed`` as ``newly_claimed`` has them."""
    own = f"enrolment-token {token_id}"  # as the audit log names a token that claims
    device = next((each for each in claimed if each["claimed_by"] == own), None)
    made, attests = states(device)
    return Section(
        title=say("The device of the command"),
        note=say("both say by themselves when they are done"),
        columns=(say("Step"), say("State")),
        rows=((text(say("It is made and claimed")), made), (text(say("It boots and attests")), attests)),
        none="",
        anchor=MADE,
        more=(say("Open {name}", name=device["name"]), device_href(device["device_id"]))
        if device
        else (say("Show how far it is"), href),
        live_href=href,
        every_s=0 if device is not None and device["health"] == "attested" else every_s,
    )


def states(device: Mapping[str, Any] | None) -> tuple[Cell, Cell]:
    """Whether a device is claimed, and whether it attested; None is one that is not there yet."""
    waits = Cell(state=State(UNKNOWN, say("waits")))
    if device is None:
        return waits, waits
    claimed = Cell(state=State(GOOD, say("claimed")), reason=device["name"])
    if device["health"] == "attested":
        return claimed, Cell(state=State(GOOD, say("attested")), reason=device["name"])
    if device["last_check_in"] is None:
        return claimed, waits
    reason = say("Its page says which check failed.")
    return claimed, Cell(state=state_of(HEALTH, device["health"]), reason=reason)
