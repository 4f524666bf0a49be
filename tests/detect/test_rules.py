# SPDX-License-Identifier: Apache-2.0
"""Rules as data say exactly what they match; a wrong one is an error with file, line and rule."""

from __future__ import annotations

from random import Random

import pytest

from armillary import content
from armillary.detect.rule_file import read_rules
from armillary.detect.rules import Event, first_match
from armillary.errors import WireError

RULE = """title: T
id: one
logsource: {product: armillary, service: refusal}
detection:
  selection: {code: [device.unknown, device.revoked]}
  condition: selection
level: high
armillary: {kind: device-unknown, action: Look.}
"""


def matches(detection: str, event: Event) -> bool:
    head, _, rest = RULE.partition("detection:\n")
    text = head + "detection:\n" + detection + rest[rest.index("level:") :]
    return first_match(read_rules(text, "t.yml"), "refusal", event) is not None


EVENT: Event = {"code": "Device.Unknown", "message": "no such device", "count": 5}


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("  a: {code: device.unknown}\n  condition: a\n", True),
        ("  a: {code: [x, device.unknown], count: 5}\n  condition: a\n", True),
        ("  a: {code: device.unknown, count: 6}\n  condition: a\n", False),
        ("  a: [{code: x}, {count: 5}]\n  condition: a\n", True),
        ("  a: {missing: x}\n  condition: not a\n", True),
        ("  a: {message|contains: such}\n  condition: a\n", True),
        ("  a: {message|contains|all: [such, other]}\n  condition: a\n", False),
        ("  a: {code|startswith: device., message|endswith: device}\n  condition: a\n", True),
        ("  a: {count|gte: 5}\n  b: {count|lte: 4}\n  condition: a and not b\n", True),
        ("  a: {message|gte: 5}\n  condition: a\n", False),
        ("  a: {count: 1}\n  b: {count: 5}\n  c: {code: x}\n  condition: a or b and not (c or a)\n", True),
        ("  s1: {count: 1}\n  s2: {count: 5}\n  condition: 1 of s*\n", True),
        ("  s1: {count: 1}\n  s2: {count: 5}\n  condition: all of them\n", False),
    ],
)
def test_conditions(detection: str, expected: bool) -> None:
    assert matches(detection, EVENT) is expected


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("level: high", "level: awful"), 7, "one of informational"),
        (("level: high", "levle: high"), 7, "'levle'"),
        (("id: one", "id: 1"), 2, "text for id"),
        (("product: armillary", "product: windows"), 3, "product armillary"),
        (("kind: device-unknown", "kind: made-up"), 8, "a kind of finding"),
        (("condition: selection", "condition: other"), 4, "no selection"),
        (("condition: selection", "condition: selection and"), 4, "no selection"),
        (("condition: selection", "condition: (selection"), 4, "not closed"),
        (("condition: selection", "condition: selection | count() > 5"), 4, "condition"),
        (("  condition: selection", "  b: {count: 1}\n  condition: selection"), 4, "left over"),
        (("code: [", "code|cidr: ["), 4, "modifier cidr"),
        (("condition: selection", "condition: " + "not " * 40 + "selection"), 4, "more than 16"),
        (("title: T", "title: T\ntitle: U"), 1, "each key once"),
        (("title: T", "title: [T"), 2, "YAML"),
    ],
)
def test_a_wrong_rule_names_file_line_and_rule(change: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(WireError) as caught:
        read_rules(RULE.replace(*change), "mine.yml")
    assert f"mine.yml line {line}" in str(caught.value)
    assert words in str(caught.value)


def test_of_several_rules_the_wrong_one_is_named() -> None:
    with pytest.raises(WireError, match=r"mine.yml line 16, rule 'T'"):
        read_rules(RULE + "---\n" + RULE.replace("level: high", "level: no"), "mine.yml")
    with pytest.raises(WireError, match="an id of its own"):
        read_rules(RULE + "---\n" + RULE, "mine.yml")
    with pytest.raises(WireError, match="anchors"):
        read_rules("a: &x [1]\nb: *x\n", "mine.yml")


def test_any_text_is_rules_or_one_error() -> None:
    random = Random(3)  # noqa: S311 - reproducible, not secret
    for _ in range(400):
        text = list(RULE)
        for _ in range(random.randint(1, 5)):
            text[random.randrange(len(text))] = random.choice("{}[]:-|&*!\n\t 'x\0")
        try:
            read_rules("".join(text), "mine.yml")
        except WireError:
            continue


def test_the_shipped_rules_are_whole() -> None:
    rules = [rule for name, text in content.detection_files().items() for rule in read_rules(text, name)]
    assert len({rule.rule_id for rule in rules}) == len(rules) >= 6
    assert {rule.service for rule in rules} == {"refusal"}
