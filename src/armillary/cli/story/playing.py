# SPDX-License-Identifier: Apache-2.0
"""Plays the scenes of a story on a stage, one line a step, and says what became of it; one JSON object for programs."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

import typer

from armillary.cli.story.stage import Stage
from armillary.cli.terminal.output import note, print_json
from armillary.errors import ArmillaryError

S = TypeVar("S", bound=Stage)


class SceneError(Exception):
    """A scene saw something other than it must."""


def require(holds: bool, otherwise: str) -> None:
    """Go on only when ``holds``; else the scene has failed with the sentence ``otherwise``."""
    if not holds:
        raise SceneError(otherwise)


@dataclass(frozen=True, slots=True)
class Story(Generic[S]):
    """Scenes by their names, in order, on a stage that is made in an empty folder."""

    name: str
    stage: Callable[[Path], S]
    scenes: Sequence[tuple[str, Callable[[S], str]]]


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one scene."""

    name: str
    ok: bool
    seconds: float
    detail: str


def play(story: Story[S], *, as_json: bool, stay: bool | None) -> None:
    """Play a story to its end; exits with 1 if a scene failed.

    ``stay``: keep everything up until Ctrl-C; None: on a terminal.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"armillary-{story.name}-") as folder:
        stage = story.stage(Path(folder))
        try:
            steps = list(_steps(story, stage, quiet=as_json))
            ok = len(steps) == len(story.scenes) and all(step.ok for step in steps)
            seconds = round(time.monotonic() - started, 2)
            if as_json:
                print_json(_summary(stage, steps, ok=ok, seconds=seconds))
            else:
                _say_goodbye(stage, steps, len(story.scenes), ok=ok, seconds=seconds)
            if ok and (stay if stay is not None else sys.stdout.isatty() and not as_json):
                _stay_up(stage)
        finally:
            stage.close()
    if not ok:
        raise typer.Exit(1)


def _steps(story: Story[S], stage: S, *, quiet: bool) -> Iterator[Step]:
    """Play the scenes in order; the first that fails is the last."""
    for name, scene in story.scenes:
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


def _say_goodbye(stage: Stage, steps: list[Step], scenes: int, *, ok: bool, seconds: float) -> None:
    done = sum(step.ok for step in steps)
    note(f"\n{done} of {scenes} steps in {seconds:.0f} s.")
    for sentence in stage.notes.get("weaker", ()):
        note(f"weaker on this host: {sentence.removeprefix('missing: ')}")
    if not ok:
        note(f"\nhint: the step above says what was seen; logs were in {stage.folder}.")


def _stay_up(stage: Stage) -> None:
    note(f"\nConsole: {stage.ready['console']}\nToken:   {stage.ready['token']}\n\nCtrl-C ends the demo.")
    try:
        stage.linger()
    except KeyboardInterrupt:
        note("\nending the demo ...")
