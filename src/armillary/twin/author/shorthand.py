# SPDX-License-Identifier: Apache-2.0
"""Short forms in which people type parts of documents, on the command line and in the console's forms.

::

    value    JSON where it is JSON, else the text itself:  40   true   null   {"a": 1}   north
    filter   SOURCE:PATH, a sign (= != > >= < <= ~) and a value:  telemetry:temperature>40   cloud:site ~ nor
             SOURCE:PATH alone: there is such a value;  not SOURCE:PATH: there is none
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.author.group import EXISTS

# Longer ones first, so that >= is not read as >.
SIGNS: Final[Mapping[str, str]] = {
    "!=": "ne", ">=": "ge", "<=": "le", "=": "eq", ">": "gt", "<": "lt", "~": "contains",
}  # fmt: skip
_SIGN_OF: Final[Mapping[str, str]] = {operator: sign for sign, operator in SIGNS.items()}
_FILTER: Final = re.compile(
    r"(?P<none>not\s+)?(?P<field>[a-z]+:[^=<>!~]+?)\s*(?:(?P<sign>!=|>=|<=|=|>|<|~)\s*(?P<value>.*))?\Z", re.DOTALL
)


def value_of(text: str) -> Any:
    """The value that was typed; what JSON cannot hold (NaN, a number beyond a double) is text."""
    try:
        found = json.loads(text)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return text
    return found


def text_of(value: Any) -> str:
    """The short form of a value, on one line: a text as it is, unless it would be read as another value."""
    if isinstance(value, str) and value and value == value.strip() and "\n" not in value and value_of(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def filter_of(text: str) -> dict[str, Any]:
    """A filter as in a segment's document; raises InvalidArgumentError if it is not of the form above."""
    found = _FILTER.match(text.strip())
    if found is None or (found["none"] and found["sign"]):
        raise InvalidArgumentError(
            f"expected SOURCE:PATH OPERATOR VALUE, got {text!a:.60}",
            remedy="Write it as telemetry:temperature>40; docs/concepts/segments.md lists the sources.",
        )
    field = found["field"].strip()
    if found["sign"] is None:
        return {"field": field, "operator": EXISTS, "value": found["none"] is None}
    return {"field": field, "operator": SIGNS[found["sign"]], "value": value_of(found["value"])}


def filter_text(document: Mapping[str, Any]) -> str:
    """The short form of a filter of a document."""
    if document["operator"] == EXISTS:
        return f"{'' if document.get('value', True) else 'not '}{document['field']}"
    return f"{document['field']} {_SIGN_OF[document['operator']]} {text_of(document['value'])}"
