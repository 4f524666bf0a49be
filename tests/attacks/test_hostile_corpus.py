# SPDX-License-Identifier: Apache-2.0
"""The hostile corpus in every engine that contains: what an application tries, what stops it, and that it would work.

The attempts are a table (``corpus/attempts.py``); one application makes them all (``corpus/application``).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.attacks.corpus import attempts, scene
from tests.attacks.corpus.scene import Seen
from tests.engines.sandbox.sandbox_stage import crun, linux, reduced
from tests.fixtures.other_user import run_as_other

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.start.plan import StartPlan


@pytest.fixture(scope="module")
def control() -> Seen:
    """What each attempt does without a sandbox: in one of three plays, as others on this host may be in its way."""
    found = asyncio.run(scene.play(None))
    wanted = {each.name for each in attempts.ATTEMPTS if each.control == attempts.OUTSIDE}
    for _ in range(2):
        if wanted - impossible(found) <= found.did:
            break
        found.did |= asyncio.run(scene.play(None)).did
    return found


def impossible(control: Seen) -> set[str]:
    """Attempts at what this host's kernel does not have."""
    return {
        name
        for name in attempts.MAY_BE_MISSING - control.did
        if control.saw.get(name, "not answered") in attempts.MISSING_ERRORS
    }


def as_user(engine: str) -> Seen:
    """The corpus in a device that a user started who is not root."""
    run = run_as_other(["-m", "tests.attacks.corpus.scene", engine])
    assert run.returncode == 0, run.stderr
    return Seen.told(json.loads(run.stdout))


def played(engine: str) -> Seen:
    name, _, who = engine.partition("-")
    if name == "reduced":
        found: Sandbox = reduced()
    else:
        found = {"linux": linux, "crun": crun}[name](own_user=who == "as-root")
    return as_user(name) if who == "of-a-user" else asyncio.run(scene.play(found))


ENGINES = ("linux-as-root", "linux-of-a-user", "crun-as-root", "crun-of-a-user", "reduced", "reduced-of-a-user")


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_the_corpus_escapes(engine: str, control: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    seen = played(engine)
    missing = impossible(control)
    tried = [each for each in scene.due(seen.sandbox, seen.mechanisms) if each.name not in missing]
    escapes = {each.name for each in tried if each.name in seen.did}
    succeeded = {
        each.name
        for each in tried
        if (each.name in control.did if each.control == attempts.OUTSIDE else each.control in seen.did)
    }
    with capsys.disabled():
        note = f"; not in this kernel: {', '.join(sorted(missing))}" if missing else ""
        print(f"\n{engine}: {len(tried)} attempts, {len(escapes)} escapes, {len(succeeded)} controls succeeded{note}")
    assert not seen.errors
    assert {each.name for each in tried} <= set(seen.saw), "each attempt is answered"
    assert set(attempts.ALLOWED) <= seen.did, "and what is allowed works beside them"
    assert not escapes, {name: seen.saw.get(name) for name in escapes}
    if os.geteuid() == 0:
        failed = {each.name: control.saw.get(each.name) for each in tried if each.name not in succeeded}
        assert not failed, "each control succeeds"
        assert len(tried) >= 100


class Unfiltered(LinuxSandbox):
    """Without the filter for system calls."""

    def plan(self, *arguments: Any) -> StartPlan:
        return dataclasses.replace(super().plan(*arguments), filter=b"")


def test_without_the_filter_the_corpus_escapes() -> None:
    plain = linux()
    without = Unfiltered(plain.bubblewrap, plain.own_user, _report=plain.self_test())
    escapes = asyncio.run(scene.play(without)).did & {each.name for each in attempts.ATTEMPTS}
    assert {"keyring", "io_uring", "new-user-namespace", "routes"} <= escapes


def test_every_attempt_stands_in_the_table_once() -> None:
    command = [sys.executable, str(scene.APPLICATION / "app.py")]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    names = [each.name for each in attempts.ATTEMPTS]
    assert len(names) == len(set(names))
    assert {*names, *attempts.ALLOWED} == set(told)
    assert set(names) >= attempts.MAY_BE_MISSING
    assert {each.control for each in attempts.ATTEMPTS} <= {attempts.OUTSIDE, *attempts.ALLOWED}
