# SPDX-License-Identifier: Apache-2.0
"""``armillary demo``: play the main story on real processes, one line a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from armillary.cli.demo import attacks, os_updates, saturday, scenes
from armillary.cli.demo.machines import made_in
from armillary.cli.guardian.story.site import Site
from armillary.cli.story.playing import Story, play
from armillary.cli.terminal.json_option import JsonOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

SCENES: tuple[tuple[str, Callable[[Site], str]], ...] = (
    ("service started", scenes.start_the_service),
    ("catalog made", scenes.make_the_catalog),
    ("machines plugged in", scenes.plug_in_the_machines),
    ("devices manufactured", scenes.manufacture_devices),
    ("devices claimed", scenes.claim_devices),
    ("devices booted", scenes.boot_devices),
    ("attested and certified", scenes.attest_and_certify),
    ("guardians deployed", scenes.deploy_guardians),
    ("guardians contained", scenes.run_in_the_sandbox),
    ("telemetry heard", scenes.hear_telemetry),
    ("machine commanded", scenes.command_a_machine),
    ("console shows the fleet", attacks.look_at_the_console),
    ("attack: tampered boot component refused", attacks.tamper_with_the_boot_chain),
    ("attack: replayed proof refused", attacks.replay_a_proof),
    ("attack: undeclared connection blocked", attacks.phone_home),
    ("attack: bad release halted and rolled back", attacks.release_something_bad),
    ("OS updated over the air", os_updates.update_the_os),
    ("bad OS release halted and rolled back", os_updates.halt_a_bad_os),
    ("withdrawn OS left by every device", os_updates.withdraw_the_os),
    ("damaged device heals itself", os_updates.heal_a_damaged_device),
    ("audit chain verified", attacks.verify_the_audit),
    ("Saturday: exploited vulnerability found", saturday.learn_of_an_exploited_vulnerability),
    ("Saturday: playbook halts what spreads it", saturday.halt_what_spreads_it),
    ("Saturday: operator aware, clocks run", saturday.become_aware),
    ("Saturday: affected devices repaired", saturday.repair_the_affected),
    ("Saturday: first report drafted", saturday.draft_the_warning),
    ("Saturday: dossier verified offline", saturday.show_what_can_be_proved),
)


@app.command()
def demo(
    as_json: JsonOption = False,
    stay: Annotated[
        bool | None, typer.Option("--stay/--no-stay", help="Keep everything up until Ctrl-C (default: on a terminal).")
    ] = None,
) -> None:
    """Play the main story: boot, attest, certify, update, contain, hear, attack, defend, report.

    Needs no root and no installed service; everything happens in a temporary folder on free loopback ports.
    """
    play(Story("demo", made_in, SCENES), as_json=as_json, stay=stay)
