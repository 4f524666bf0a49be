# SPDX-License-Identifier: Apache-2.0
"""A file of detection rules: YAML documents, one a rule. Loads the YAML library: imported where rules are read."""

from __future__ import annotations

from typing import Any, Final

import yaml

from armillary.detect.rules import Place, Rule, rule_from
from armillary.errors import WireError

MAX_FILE_BYTES: Final = 1024 * 1024
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMEDY: Final = "docs/reference/detections.md has the form of rules."


def read_rules(text: str, file: str) -> tuple[Rule, ...]:
    """The rules of a file, in order; raises WireError that names file, line and rule."""
    if len(text) > MAX_FILE_BYTES:
        raise WireError(file, expected=f"at most {MAX_FILE_BYTES} characters", got=f"{len(text)}", remedy=_REMEDY)
    try:
        if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(text, _LOADER)):
            raise WireError(file, expected="YAML without anchors and aliases", got="one", remedy=_REMEDY)
        rules = [_rule(node, file) for node in yaml.compose_all(text, _LOADER)]
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = file if mark is None else f"{file} line {mark.line + 1}"
        raise WireError(where, expected="YAML", got=f"{getattr(error, 'problem', error)}", remedy=_REMEDY) from error
    ids = [rule.rule_id for rule in rules]
    for rule in rules:
        if ids.count(rule.rule_id) > 1:
            raise WireError(f"{file}, rule {rule.title!r:.60}", expected="an id of its own", got=rule.rule_id)
    return tuple(rules)


def _rule(node: Any, file: str) -> Rule:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise WireError(f"{file} line {line}", expected="a rule: a map", got=f"a {node.id}", remedy=_REMEDY)
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    if len(lines) != len(node.value):
        raise WireError(f"{file} line {line}", expected="each key once", got="one twice", remedy=_REMEDY)
    loader = _LOADER("")
    try:
        document = loader.construct_document(node)
    finally:
        loader.dispose()
    return rule_from(document, Place(file, line, lines))
