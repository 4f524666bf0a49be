# SPDX-License-Identifier: Apache-2.0
"""What ``armillary device show`` and the console's page say of a sandbox that is weaker than it could be."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.cli.device.device_remote import sandbox_words
from armillary.console.device.pages_device import enforcement_sentence

WHOLE = [["seccomp", "enforced"], ["namespaces", "enforced"]]
WEAK = [["seccomp", "enforced"], ["namespaces", "missing: applications share the host's processes"]]


def device(sandbox: str, enforcement: list[list[str]]) -> dict[str, Any]:
    return {"sandbox": sandbox, "enforcement": enforcement}


@pytest.mark.parametrize(
    ("shown", "words", "noted"),
    [
        (device("", []), "", ""),
        (device("linux", WHOLE), "linux", ""),
        (
            device("reduced", WEAK),
            "reduced, without 1 of 2 mechanisms: namespaces",
            "1 of 2 mechanisms enforced by reduced, by its own self-test; weaker here: namespaces.",
        ),
        (
            device("waiting", WEAK),
            "waiting: no application runs until it holds; why: armillary device insights",
            "No application runs until its sandbox holds; its reports say why.",
        ),
    ],
    ids=["has not said", "whole", "reduced", "waiting"],
)
def test_what_does_not_hold_is_named_until_it_does(shown: dict[str, Any], words: str, noted: str) -> None:
    assert sandbox_words(shown) == words
    assert enforcement_sentence(shown, only_weak=True) == noted
