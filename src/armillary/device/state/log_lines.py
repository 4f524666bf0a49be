# SPDX-License-Identifier: Apache-2.0
"""Entries of a device's log as lines of text, and the newest of them for whoever asked for the log.

What leaves the device has no secrets that can be told by their form: a value after a name such as ``password=``, an
``Authorization``, a password in an address, the lines of a private key, and long words of mixed characters in what
applications print. Each is replaced by :data:`HIDDEN`. A secret of another form is not found: an application must not
print it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from armillary.device.state.journal import OUTPUT
from armillary.wire.device.device_log import HEAD_BYTES, LINE_HEAD_BYTES, MAX_LINE_BYTES, MAX_LINES, MAX_LOG_BYTES
from armillary.wire.encoding.clip import clip_text

HIDDEN: Final = "[hidden]"
# Fields that a line leaves out: long lists, which the service has from check-ins.
LEFT_OUT: Final = frozenset({"at", "event", "weaker", "components"})
SHORT_CHARACTERS: Final = 200

_NAMED: Final = re.compile(
    r"((?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|accesskey|private[_-]?key|sharedaccesskey"
    r"|credentials?|signature|\bsig)[\w.-]{0,32}[\"']?\s{0,4}[=:]\s{0,4}[\"']?)[^\s\"',;&]+",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(authorization\s{0,4}[:=]\s{0,4}|bearer\s{1,4}|basic\s{1,4})\S.*", re.IGNORECASE)
_IN_ADDRESS: Final = re.compile(r"(://)[^\s/@]{1,256}@")
# 32 bytes in base64 have 43 characters; a UUID has 36, and a digest in hexadecimal has no upper case.
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z ]{0,32}PRIVATE KEY-----")


def plain_line(entry: Mapping[str, object], limit: int = SHORT_CHARACTERS) -> str:
    """An entry in one line: its time (UTC), its event, and its fields, each in at most ``limit`` characters."""
    fields = "  ".join(f"{name}={_short(value, limit)}" for name, value in entry.items() if name not in LEFT_OUT)
    return f"{line_time(entry)}  {entry.get('event')}  {fields}".rstrip()


def line_time(entry: Mapping[str, object]) -> str:
    """The time of an entry, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(str(entry.get("at", 0)))))


def newest_lines(entries: Iterable[Mapping[str, object]]) -> tuple[tuple[str, ...], int]:
    """The newest lines that one message takes, oldest first, without secrets; and how many others there are.

    Half of the message is the device's own events', if there are as many: no application prints them out of it.
    """
    every = [
        (entry.get("event"), clip_text(" ".join(plain_line(entry, MAX_LINE_BYTES).splitlines()), MAX_LINE_BYTES))
        for entry in without_secrets(entries)
    ]
    newest = range(len(every) - 1, -1, -1)
    sizes = [len(line.encode()) + LINE_HEAD_BYTES for _, line in every]
    room = MAX_LOG_BYTES - HEAD_BYTES
    events = (number for number in newest if every[number][0] != OUTPUT)
    taken = _that_fit(events, sizes, room // 2, MAX_LINES // 2)
    room -= sum(sizes[number] for number in taken)
    taken |= _that_fit((number for number in newest if number not in taken), sizes, room, MAX_LINES - len(taken))
    return tuple(every[number][1] for number in sorted(taken)), len(every) - len(taken)


def _that_fit(numbers: Iterable[int], sizes: list[int], room: int, count: int) -> set[int]:
    """The first of these lines that have room together."""
    taken: set[int] = set()
    for number in numbers:
        room -= sizes[number]
        if room < 0 or len(taken) == count:
            break
        taken.add(number)
    return taken


def without_secrets(entries: Iterable[Mapping[str, object]]) -> Iterable[dict[str, object]]:
    """The entries with what looks like a secret hidden; a private key over several lines of output is found too."""
    in_key: set[tuple[object, object]] = set()  # applications and streams that print one
    for entry in entries:
        shown = {name: _hidden(value) for name, value in entry.items()}
        if entry.get("event") == OUTPUT:
            shown["text"] = _output(str(entry.get("text", "")), (entry.get("name"), entry.get("stream")), in_key)
        yield shown


def _output(text: str, printed_by: tuple[object, object], in_key: set[tuple[object, object]]) -> str:
    was_in_key = printed_by in in_key
    if _KEY_BEGINS.search(text):
        in_key.add(printed_by)
    if _KEY_ENDS.search(text):
        in_key.discard(printed_by)
    if was_in_key or _KEY_BEGINS.search(text):
        return HIDDEN
    return _LONG_WORD.sub(_long_word, _without_named(text))


def _long_word(found: re.Match[str]) -> str:
    word = found[0]
    kinds = (str.isupper, str.islower, str.isdigit)
    return HIDDEN if all(any(kind(each) for each in word) for kind in kinds) else word


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return _without_named(value)
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if isinstance(value, dict):
        return {name: _hidden(each) for name, each in value.items()}
    return value


def _without_named(text: str) -> str:
    text = _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
    text = _SCHEME.sub(rf"\1{HIDDEN}", text)
    return _NAMED.sub(rf"\1{HIDDEN}", text)


def _short(value: object, limit: int) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
    return text if len(text) <= limit else text[:limit] + "…"
