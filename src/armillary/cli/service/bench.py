# SPDX-License-Identifier: Apache-2.0
"""``armillary bench NAME``: measure this machine against a limit or a peer in the same run."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, table
from armillary.errors import InvalidArgumentError, NotFoundError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

# result name -> modules under bench/ that measure it
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "checkin": ("checkin", "checkin_storm", "checkin_registry", "checkin_workers"),
    "checkin-new": ("checkin",),
    "checkin-kept": ("checkin",),
    "checkin-storm": ("checkin_storm",),
    "checkin-registry": ("checkin_registry",),
    "checkin-workers": ("checkin_workers",),
    "evidence-verify": ("evidence_verify",),
    "ingest": ("ingest",),
    "pipeline": ("pipeline",),
    "rules": ("rules",),
    "series-append": ("series",),
    "dashboard": ("series",),
    "chart": ("chart",),
    "first-paint": ("console",),
    "page": ("console_pages",),
    "viewers": ("viewers",),
    "ready": ("ready",),
    "cli-start": ("cli_start",),
    "memory": ("memory",),
    "people-memory": ("people_memory",),
    "hub-idle": ("hub_idle",),
    "delays": ("delays",),
    "demo": ("story",),
    "image-parse": ("image_parse",),
    "artifact-serve": ("artifact_serve",),
    "rollout-plan": ("rollout_plan",),
    "delta": ("delta",),
    "feed-match": ("feed_match",),
    "feed-rematch": ("feed_rematch",),
    "advisory-join": ("advisory_join",),
    "detector": ("detector",),
    "crash-hold": ("crash_hold",),
    "sandbox-start": ("sandbox_start",),
    "sandbox-many": ("sandbox_many",),
    "sandbox-supervisor": ("sandbox_supervisor",),
    "event-delay": ("event_delay",),
    "sandbox-connect": ("sandbox_connect",),
    "guard-decision": ("guard_decision",),
    "guardian-point": ("guardian_point",),
    "guardian-queue": ("guardian_queue",),
    "image-ready": ("image_ready",),
}


@dataclass(frozen=True, slots=True)
class Floor:
    """What a ratio must reach (``at_least``) or stay under to keep a promise of SPECIFICATION.md."""

    bound: float
    at_least: bool

    def holds(self, ratio: float) -> bool:
        """Whether the ratio keeps the promise."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    @property
    def text(self) -> str:
        """``>=0.20`` or ``<=1.00``."""
        return f"{'>=' if self.at_least else '<='}{self.bound:.2f}"


# Floors of SPECIFICATION.md, chapter Numbers.
FLOORS: dict[str, Floor] = {
    "checkin-new": Floor(0.65, at_least=True),
    "checkin-kept": Floor(2.5, at_least=True),
    "checkin-storm": Floor(1.0, at_least=True),
    "checkin-storm-memory": Floor(1.0, at_least=False),
    "checkin-registry-new": Floor(0.90, at_least=True),
    "checkin-registry-kept": Floor(0.90, at_least=True),
    "evidence-verify": Floor(0.80, at_least=True),
    "evidence-verify-quote": Floor(0.80, at_least=True),
    "ingest": Floor(1.0, at_least=True),
    "ingest-sustained": Floor(0.60, at_least=True),
    "pipeline": Floor(1.0, at_least=True),
    "rules-50": Floor(1.0, at_least=True),
    "rules-500": Floor(1.0, at_least=True),
    "rules-delay": Floor(1.0, at_least=False),
    "series-append": Floor(1.0, at_least=True),
    "dashboard": Floor(1.0, at_least=False),
    "chart": Floor(1.0, at_least=False),
    "first-paint": Floor(1.0, at_least=False),
    "page-paint": Floor(1.0, at_least=False),
    "page-weight": Floor(1.0, at_least=False),
    "viewers": Floor(1.0, at_least=False),
    "sandbox-start": Floor(1.5, at_least=False),
    "sandbox-connect-address": Floor(1.0, at_least=False),
    "sandbox-connect-name": Floor(1.0, at_least=False),
    "sandbox-connect-event-loop": Floor(1.0, at_least=False),
    "ready": Floor(1.0, at_least=False),
    "cli-start": Floor(1.0, at_least=False),
    "people-memory": Floor(1.0, at_least=False),
    "memory": Floor(1.0, at_least=False),
    "hub-idle": Floor(1.0, at_least=False),
    "hub-idle-device": Floor(1.0, at_least=False),
    "demo": Floor(1.0, at_least=False),
    "guardian-demo-coffee": Floor(1.0, at_least=False),
    "guardian-demo-dispenser": Floor(1.0, at_least=False),
    "guardian-demo-cable": Floor(1.0, at_least=False),
    "revocation": Floor(1.0, at_least=False),
    "template-live": Floor(1.0, at_least=False),
    "message-check": Floor(1.0, at_least=False),
    "artifact-serve": Floor(0.60, at_least=True),
    "artifact-serve-cpu": Floor(0.60, at_least=True),
    "rollout-plan": Floor(1.0, at_least=False),
    "rollout-halt": Floor(1.0, at_least=False),
    "delta": Floor(1.02, at_least=False),
    "delta-memory": Floor(1.0, at_least=False),
    "feed-match": Floor(1.0, at_least=False),
    "feed-rematch": Floor(1.0, at_least=False),
    "feed-rematch-wait": Floor(1.0, at_least=False),
    "advisory-join": Floor(1.0, at_least=False),
    "case-draft": Floor(1.0, at_least=False),
    "detector": Floor(1.0, at_least=True),
    "detector-recall": Floor(1.0, at_least=True),
    "detector-false": Floor(1.0, at_least=False),
    "crash-hold": Floor(1.0, at_least=False),
    "crash-hold-delay": Floor(1.0, at_least=False),
    "sandbox-many": Floor(1.0, at_least=False),
    "sandbox-supervisor": Floor(1.0, at_least=False),
    "sandbox-many-each": Floor(1.0, at_least=False),
    "event-stored": Floor(1.0, at_least=False),
    "event-finding": Floor(1.0, at_least=False),
    "guard-decision": Floor(1.0, at_least=False),
    "guard-decision-write": Floor(1.0, at_least=False),
    "guardian-point": Floor(1.0, at_least=False),
    "guardian-rate": Floor(0.98, at_least=True),
    "guardian-read": Floor(1.0, at_least=False),
    "guardian-memory": Floor(1.0, at_least=False),
    "guardian-queue": Floor(1.0, at_least=True),
    "guardian-queue-drain": Floor(1.0, at_least=True),
    "guardian-queue-cpu": Floor(1.0, at_least=False),
}


def run_benchmark(subject: str) -> list[dict[str, object]]:
    """Results of ``bench/<subject>.py``. Raises NotFoundError unless the source tree is beside the program."""
    root = Path(__file__).resolve().parents[4]
    if not (root / "bench" / f"{subject}.py").is_file():
        raise NotFoundError(
            f"benchmark {subject}: bench/{subject}.py is not beside this installation",
            remedy="Benchmarks ship with the source tree: clone the repository and run make bench.",
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    results: list[dict[str, object]] = importlib.import_module(f"bench.{subject}").run()
    return results


@app.command()
def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {', '.join(BENCHMARKS)}.")],
    as_json: JsonOption = False,
) -> None:
    """Run one benchmark and print its figures with the reference measured in the same run."""
    if name not in BENCHMARKS:
        raise InvalidArgumentError(f"benchmark {name!r} is unknown", remedy=f"Known: {', '.join(BENCHMARKS)}.")
    note(f"measuring {name} ...")
    results = [result for subject in BENCHMARKS[name] for result in run_benchmark(subject)]
    columns = ("name", "value", "unit", "reference", "reference_value", "ratio")
    table(results, columns, empty="").show(as_json=as_json)
