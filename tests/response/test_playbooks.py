# SPDX-License-Identifier: Apache-2.0
"""Playbooks: what is read, what is refused with its place, and that none can be made a weapon."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary import content
from armillary.errors import WireError
from armillary.response.action import KINDS
from armillary.response.playbook import SEEN_BY_SERVICE
from armillary.response.playbook_file import read_playbooks
from armillary.wire.device.finding import KINDS as FINDINGS, SEVERITIES

GOOD = """\
title: A proof was replayed
id: replayed
description: What it is for.
enabled: true
trigger:
  finding: proof-replayed
  severity: high
conditions:
  devices: {at_least: 1, at_most: 20}
  catalogs: [Contoso]
actions:
  - kind: re-attest
    mode: automatic
  - kind: quarantine
    mode: propose
    ends_after_s: 3600
"""


def test_shipped_playbooks_are_read_and_do_by_themselves_what_takes_nothing_away() -> None:
    shipped = [each for name, text in content.playbook_files().items() for each in read_playbooks(text, name)]
    assert {each.name for each in shipped} == {"exploited-vulnerability", "proof-replayed", "failing-rollout"}
    for each in shipped:
        automatic = {step.kind for step in each.steps if step.is_automatic}
        assert automatic <= {"notify", "halt", "re-attest"}
        if each.is_enabled:
            assert automatic <= {"notify", "halt"}


def test_a_playbook_says_what_it_is_about() -> None:
    (found,) = read_playbooks(GOOD, "own.yml")
    assert (found.kinds, found.severities) == ({"proof-replayed"}, {"high", "critical"})
    assert (found.at_least, found.at_most, found.catalogs) == (1, 20, {"contoso"})
    assert [(step.kind, step.is_automatic, step.ends_after_s) for step in found.steps] == [
        ("re-attest", True, None),
        ("quarantine", False, 3600),
    ]


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("finding: proof-replayed", "finding: sunshine"), 6, "kinds of findings"),
        (("severity: high", "severity: huge"), 7, "info, low"),
        (("at_most: 20", "at_most: 0"), 9, "a number from 1"),
        (("catalogs: [Contoso]", "catalogs: Contoso"), 10, "names of catalogs"),
        (("kind: re-attest", "kind: explode"), 12, "one of notify"),
        (("mode: automatic", "mode: at once"), 13, "automatic or propose"),
        (("ends_after_s: 3600", "ends_after_s: 1"), 16, "a number from 60"),
        (("    mode: automatic", "    ends_after_s: 60"), 13, "a quarantine only"),
        (("enabled: true", "enabled: 1"), 4, "true or false"),
        (("id: replayed", "id: Re Played"), 2, "a-z"),
        (("title: A proof was replayed", "titel: x"), 1, "one of actions"),
        (("description: What it is for.", "description: ' '"), 3, "text"),
        (("conditions:", "trigger:"), 8, "each key once"),
        (("actions:\n", "actions: []\nx:\n"), 12, "one of actions"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_what_is_expected(
    change: tuple[str, str], line: int, says: str
) -> None:
    assert change[0] in GOOD
    with pytest.raises(WireError, match=re.escape(f"own.yml line {line}")) as raised:
        read_playbooks(GOOD.replace(*change, 1), "own.yml")
    assert says in str(raised.value)


@pytest.mark.parametrize("kind", sorted(FINDINGS.keys() - SEEN_BY_SERVICE))
def test_nothing_that_devices_say_of_one_another_shuts_a_device_out_by_itself(kind: str) -> None:
    text = GOOD.replace("finding: proof-replayed", f"finding: [proof-replayed, {kind}]").replace(
        "mode: propose", "mode: automatic"
    )
    with pytest.raises(WireError, match="rests on what devices say"):
        read_playbooks(text, "own.yml")
    read_playbooks(
        text.replace("kind: quarantine\n    mode: automatic", "kind: quarantine\n    mode: propose"), "own.yml"
    )


@pytest.mark.parametrize("kind", sorted(name for name, each in KINDS.items() if each.only_proposed))
def test_what_cannot_be_undone_is_only_proposed(kind: str) -> None:
    text = GOOD.replace("kind: re-attest", f"kind: {kind}").replace("proof-replayed", "vulnerability-in-field", 2)
    with pytest.raises(WireError, match=r"propose|one of"):
        read_playbooks(text, "own.yml")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x",
        "[" * 3_000,
        "- 1",
        "",
        "? [a]\n: 1",
        "a: b: c",
        "\x00",
        GOOD + "---\n" + GOOD,
        "a:\n" + "".join("  " * depth + "a:\n" for depth in range(1, 40)),
    ],
)
def test_what_is_no_playbook_is_one_error(text: str) -> None:
    with pytest.raises(WireError, match=r"own\.yml"):
        read_playbooks(text, "own.yml")


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from([*KINDS, *SEVERITIES, "automatic"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["title", "id", "description", "enabled", "trigger", "conditions", "actions"]), _ANY, max_size=7
    )
)
def test_any_document_is_a_playbook_or_one_error(document: dict[str, object]) -> None:
    base = yaml.safe_load(GOOD)
    text = yaml.safe_dump({**base, **document}, allow_unicode=False)
    try:
        (found,) = read_playbooks(text, "own.yml")
    except WireError:
        return
    assert found.steps
    for step in found.steps:
        assert not (step.is_automatic and KINDS[step.kind].restricts and not found.kinds <= SEEN_BY_SERVICE)
