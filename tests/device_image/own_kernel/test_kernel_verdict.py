# SPDX-License-Identifier: Apache-2.0
"""The kept verdicts of kernel-hardening-checker: they belong to the fragments, and nothing in them gets worse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary.device_image.own_kernel import fragments, verdict
from armillary.device_image.own_kernel.fragments import FRAGMENTS
from armillary.device_image.own_kernel.verdict import Check, Verdict
from armillary.errors import HostError, InvalidArgumentError

# Checks that are not content, and those that are at least. Lower the first, raise the second; never the other way.
MOST_FAILED = {"x86_64": 8, "arm64": 9}
LEAST_CONTENT = {"x86_64": 251, "arm64": 229}
SAID = [
    {"option_name": "CONFIG_B", "desired_val": "y", "check_result": 'FAIL: "is not set"'},
    {"option_name": "CONFIG_A", "desired_val": "is not set", "check_result": "OK: is not found"},
]


def kept(architecture: str) -> Verdict:
    return verdict.read_verdict((fragments.kernel_folder() / f"verdict-{architecture}.txt").read_text("utf-8"))


@pytest.mark.parametrize("architecture", sorted(FRAGMENTS))
def test_the_kept_verdict_is_about_these_fragments(architecture: str) -> None:
    options = fragments.read_fragments(fragments.kernel_folder(), architecture)
    assert kept(architecture).fragments == fragments.digest(options), "run make image-kernel-verdict"


@pytest.mark.parametrize("architecture", sorted(FRAGMENTS))
def test_no_verdict_gets_worse(architecture: str) -> None:
    found = kept(architecture)
    assert len(found.failed()) <= MOST_FAILED[architecture]
    assert len(found.checks) - len(found.failed()) >= LEAST_CONTENT[architecture]


def test_every_refused_option_has_a_reason_and_every_reason_an_option() -> None:
    refused = {check.name for architecture in FRAGMENTS for check in kept(architecture).failed()}
    assert refused == verdict.read_reasons(fragments.kernel_folder()).keys()


def test_a_verdict_is_read_as_it_was_written() -> None:
    checks = (Check("CONFIG_A", "is not set", content=True), Check("CONFIG_B", "y", content=False))
    text = verdict.rendered(Verdict("ab12", checks), "said by somebody", {"CONFIG_B": "for a reason"})
    assert "ok 1, fail 1\nFAIL CONFIG_B wanted y\n    for a reason\nOK CONFIG_A wanted is not set\n" in text
    found = verdict.read_verdict(text)
    assert found.fragments == "ab12"
    assert set(found.checks) == set(checks)


def test_a_verdict_with_a_line_taken_out_is_refused() -> None:
    text = verdict.rendered(Verdict("ab12", (Check("CONFIG_B", "y", content=False),)), "-", {"CONFIG_B": "because"})
    with pytest.raises(ValueError, match="fail 1', but there are 0 and 0"):
        verdict.read_verdict(text.replace("FAIL CONFIG_B wanted y\n", ""))


def test_a_failed_check_without_a_reason_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="no reason for CONFIG_B"):
        verdict.rendered(Verdict("ab12", (Check("CONFIG_B", "y", content=False),)), "-", {})


def test_a_reason_of_another_form_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / verdict.REASONS).write_text("# head\nCONFIG_A  # why\nCONFIG_B\n")
    with pytest.raises(InvalidArgumentError, match=r"refused\.txt:3: expected CONFIG_NAME"):
        verdict.read_reasons(tmp_path)


def test_the_checker_is_asked_as_a_program_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "checker"
    program.write_text(
        f"import sys\nprint('checker 1.2.3' if '--version' in sys.argv else {json.dumps(json.dumps(SAID))})\n"
    )
    version, checks = verdict.ask_checker(program, tmp_path / ".config")
    assert version == "1.2.3"
    assert checks == (Check("CONFIG_A", "is not set", content=True), Check("CONFIG_B", "y", content=False))
    program.write_text("print('checker 9')\n")
    with pytest.raises(HostError, match="9 answers in another form"):
        verdict.ask_checker(program, tmp_path / ".config")
    with pytest.raises(HostError, match="there is no kernel-hardening-checker"):
        verdict.ask_checker(tmp_path / "absent", tmp_path / ".config")
