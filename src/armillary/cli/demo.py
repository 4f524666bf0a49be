# SPDX-License-Identifier: Apache-2.0
"""``armillary demo``: play the main story on real processes, one line a step."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.story import attacks, os_updates, saturday, scenes
from armillary.cli.story.scenes import SceneError
from armillary.cli.story.stage import Stage
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, print_json
from armillary.errors import ArmillaryError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

SCENES: tuple[tuple[str, Callable[[Stage], str]], ...] = (
    ("service started", scenes.start_the_service),
    ("catalog made", scenes.make_the_catalog),
    ("devices manufactured", scenes.manufacture_devices),
    ("devices claimed", scenes.claim_devices),
    ("devices booted", scenes.boot_devices),
    ("attested and certified", scenes.attest_and_certify),
    ("applications deployed", scenes.deploy_applications),
    ("applications contained", scenes.run_in_the_sandbox),
    ("telemetry heard", scenes.hear_telemetry),
    ("device commanded", scenes.command_a_device),
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


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one scene."""

    name: str
    ok: bool
    seconds: float
    detail: str


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
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="armillary-demo-") as folder, _ended_by_sigterm():
        stage = Stage(Path(folder))
        try:
            steps = list(_play(stage, quiet=as_json))
            ok = len(steps) == len(SCENES) and all(step.ok for step in steps)
            seconds = round(time.monotonic() - started, 2)
            if as_json:
                print_json(_summary(stage, steps, ok=ok, seconds=seconds))
            else:
                _say_goodbye(stage, steps, ok=ok, seconds=seconds)
            if ok and (stay if stay is not None else sys.stdout.isatty() and not as_json):
                _stay_up(stage)
        finally:
            stage.close()
    if not ok:
        raise typer.Exit(1)


def _play(stage: Stage, *, quiet: bool) -> Iterator[Step]:
    """Play the scenes in order; the first that fails is the last."""
    for name, scene in SCENES:
        started = time.monotonic()
        try:
            detail, ok = scene(stage), True
        except (ArmillaryError, SceneError, OSError) as error:
            detail, ok = str(error) or type(error).__name__, False
        step = Step(name, ok, round(time.monotonic() - started, 2), detail)
        if quiet:
            note(f"{'ok' if ok else 'FAILED'}  {name}")
        else:
            print(f"{'✓' if ok else '✗'} {name:<44} {step.seconds:>5.1f} s  {detail}", flush=True)  # noqa: T201 - the story
        yield step
        if not ok:
            return


def _summary(stage: Stage, steps: list[Step], *, ok: bool, seconds: float) -> dict[str, object]:
    return {
        "ok": ok,
        "seconds": seconds,
        "steps": [asdict(step) for step in steps],
        "console_url": stage.ready.get("console"),
        "devices": {device.name: device.device_id for device in stage.devices.values()},
    }


def _say_goodbye(stage: Stage, steps: list[Step], *, ok: bool, seconds: float) -> None:
    done = sum(step.ok for step in steps)
    note(f"\n{done} of {len(SCENES)} steps in {seconds:.0f} s.")
    for sentence in stage.notes.get("weaker", ()):
        note(f"weaker on this host: {sentence.removeprefix('missing: ')}")
    if not ok:
        note(f"\nhint: the step above says what was seen; logs were in {stage.folder}.")


def _stay_up(stage: Stage) -> None:
    note(f"\nConsole: {stage.ready['console']}\nToken:   {stage.ready['token']}\n\nCtrl-C ends the demo.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        note("\nending the demo ...")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into the same orderly end as Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
