# SPDX-License-Identifier: Apache-2.0
"""docs/concepts/appraisal.md says what the list of steps says, explains every step, and names each demand's range."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from armillary.attest import policy
from armillary.attest.steps import STEPS
from armillary.identity.issue import TRUST_TIERS
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "concepts" / "appraisal.md").read_text("utf-8")


def test_the_steps_are_the_list():
    part = TEXT.split("## The steps", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \| (.+) \|$", part, re.MULTILINE)
    assert [(int(number), name, prevents) for number, name, prevents in rows] == list(STEPS)


def test_every_step_is_explained_once():
    part = TEXT.split("## When a step fails", 1)[1].split("\n## ", 1)[0]
    explained = [
        int(number) for row in re.findall(r"^\| ([\d, ]+) \|", part, re.MULTILINE) for number in row.split(",")
    ]
    assert sorted(explained) == [number for number, _, _ in STEPS]


@pytest.mark.parametrize(
    "sentence",
    [
        "Steps 1 to 8 ask *who and when*",
        f"Steps 9 to {len(STEPS)} ask *what\nbooted*",
        ", ".join(TRUST_TIERS),
        f"up to {policy.MAX_CHIPS} chip profiles",
        f"0 to {SECURITY_VERSION_LIMIT}; never falls again",
        f"1 to {policy.MAX_AGE_DAYS} days",
    ],
)
def test_numbers_and_words(sentence: str):
    assert sentence in TEXT


@pytest.mark.parametrize(
    "word",
    ["attester", "evidence", "endorsement", "verifier", "reference values", "attestation result", "relying party"],
)
def test_the_words_of_rfc_9334_are_told(word: str):
    assert f"| {word} |" in TEXT
