# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian sweep``: put every frame there is to the guard of a profile, and count what it permits."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from armillary.cli.guardian.profile_file import read_profile_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun
from armillary.content import equipment
from armillary.guard.compiling import compile_profile
from armillary.guard.sweep.second_reading import SecondReading
from armillary.guard.sweep.sweeping import ALL_ADDRESSES, Sweep, near_addresses, sweep
from armillary.wire.equipment.profile_reader import profile_document

verbs = noun()


@verbs.command("sweep")
def sweep_profiles(
    profiles: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROFILE...", help="Files, or names of shipped profiles; none: every shipped one."),
    ] = None,
    near: Annotated[
        bool, typer.Option("--near", help="Only addresses near what is listed: two seconds instead of a minute.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put every frame there is to the guard.

    All functions, all addresses, all units.

    A second reading of the profile, written apart from the guard, says of each permit whether it is right, and gives
    the frames that must be permitted. Sends nothing. Exit code 1 where the two differ.
    """
    results = []
    for name in profiles or equipment.names():
        profile = read_profile_file(name)
        allow = compile_profile(profile).allow
        reading = SecondReading(profile_document(profile))
        start = time.monotonic()
        found = sweep(allow, reading, addresses=near_addresses(allow) if near else ALL_ADDRESSES)
        result = _result(profile.name, found, round(time.monotonic() - start, 1))
        results.append(result)
        if not as_json:
            sys.stdout.write(_line(result))
            sys.stdout.flush()
    Shown(results, lambda: None).show(as_json=as_json)
    if any(result["false_allows"] or result["false_denials"] for result in results):
        raise typer.Exit(1)


def _result(name: str, found: Sweep, seconds: float) -> dict[str, object]:
    return {
        "profile": name,
        "frames": found.tried,
        "allowed": found.allowed,
        "false_allows": found.false_allows,
        "must_be_allowed": found.examples,
        "false_denials": found.false_denials,
        "wrong": [repr(request) for request in found.wrong],
        "seconds": seconds,
    }


def _line(result: dict[str, object]) -> str:
    line = (
        f"{result['profile']}: {result['frames']:,} frames, {result['allowed']:,} allowed, "
        f"{result['false_allows']} false allows; {result['must_be_allowed']:,} must be allowed, "
        f"{result['false_denials']} false denials ({result['seconds']} s)\n"
    )
    wrong = result["wrong"]
    return line + "".join(f"  wrong: {each}\n" for each in wrong) if isinstance(wrong, list) else line
