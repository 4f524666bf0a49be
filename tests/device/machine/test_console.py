# SPDX-License-Identifier: Apache-2.0
"""The machine's console: whatever is said is one line, which forges no other and which no terminal obeys."""

from __future__ import annotations

import pytest

from armillary.device.machine.console import say


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ready after 8.2 s", "ready after 8.2 s"),
        ("Wi-Fi of Zoë: größer — “ja”", "Wi-Fi of Zoë: größer — “ja”"),
        ("text=a\narmillary: restarting", "text=a\\narmillary: restarting"),
        ("text=a\rb\x85c\u2028d", "text=a\\rb\\x85c\\u2028d"),
        ("text=\x1b[2J", "text=\\x1b[2J"),
        ("half a character: \ud800", "half a character: \\ud800"),
    ],
)
def test_what_is_said_is_one_line(text: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    assert capsys.readouterr().out == f"armillary: {line}\n"
