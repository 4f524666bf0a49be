# SPDX-License-Identifier: Apache-2.0
"""Advisories in YAML, as PyPA's advisory database keeps them: OSV's fields in another spelling.

Every plain scalar is taken as the text that it is, so that the version ``1.10`` does not become the number 1.1 and a
time stays a time; ``null``, ``~`` and nothing are no value. Aliases, tags and merge keys are refused: nothing in an
advisory needs them, and nested aliases make terabytes of a kilobyte. A key that stands twice is refused, as in JSON.

Source: YAML 1.1 as libyaml reads it; pypa/advisory-database.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from armillary.errors import AdvisoryError
from armillary.wire.advisory.fields import MAX_DEPTH
from armillary.wire.advisory.osv import Advisory, advisory_of

WHAT: Final = "osv-yaml"
# The largest of PyPA's has 60 KB.
MAX_BYTES: Final = 2 << 20
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})


def read_yaml(data: bytes) -> Advisory:
    """One advisory of a YAML document.

    Raises:
        AdvisoryError: it breaks a limit, has an alias or a tag, or is no OSV record; the message says where.
    """
    if len(data) > MAX_BYTES:
        raise AdvisoryError(WHAT, expected=f"at most {MAX_BYTES} bytes", got=f"{len(data)} bytes")
    try:
        document = _document(yaml.parse(data.decode(), _LOADER))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise AdvisoryError(WHAT, expected="a YAML document in UTF-8", got=f"{error!s:.200}") from error
    if not isinstance(document, dict):
        raise AdvisoryError(WHAT, expected="a mapping", got=type(document).__name__)
    return advisory_of(document)


def _document(events: Any) -> Any:
    """The one document of a stream of events: mappings, lists, texts and None."""
    root: list[Any] = []
    open_: list[_Open] = [_Open(root)]
    for event in events:
        if isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.NodeEvent) and event.anchor):
            raise AdvisoryError(WHAT, expected="no anchors and aliases", got=f"one at line {_line(event)}")
        if getattr(event, "tag", None):
            raise AdvisoryError(WHAT, expected="no tags", got=f"one at line {_line(event)}")
        if isinstance(event, yaml.ScalarEvent):
            open_[-1].put(None if not event.style and event.value in _NOTHING else event.value, event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            inner: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            open_[-1].put(inner, event)
            open_.append(_Open(inner))
            if len(open_) > MAX_DEPTH:
                raise AdvisoryError(WHAT, expected=f"at most {MAX_DEPTH} levels", got="more")
        elif isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
    if len(root) != 1:
        raise AdvisoryError(WHAT, expected="one document", got=str(len(root)))
    return root[0]


class _Open:
    """A mapping or list that is being filled."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._key: str | None = None

    def put(self, value: Any, event: Any) -> None:
        if isinstance(self._value, list):
            self._value.append(value)
        elif self._key is not None:
            self._value[self._key] = value
            self._key = None
        elif not isinstance(value, str):
            raise AdvisoryError(WHAT, expected="texts as keys", got=f"something else at line {_line(event)}")
        elif value in self._value or value == "<<":
            raise AdvisoryError(WHAT, expected="each key once", got=f"{value!a:.40} at line {_line(event)}")
        else:
            self._key = value


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
