# SPDX-License-Identifier: Apache-2.0
"""Options that are read without the library of the command line: what is plain, and what is left to the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.cli.plain_options import JSON, MAX_PORT, plain_options, port

READERS = {"data": Path, "public_host": str, "api_port": port, "mirror": str}
FLAGS = {**JSON, "--simulated-wifi": "simulated_wifi"}


def read(*given: str) -> dict[str, object] | None:
    return plain_options(given, READERS, flags=FLAGS, repeatable={"mirror"})


def test_names_with_values_and_flags_are_plain() -> None:
    assert read() == {}
    assert read("--data", "a b", "--public-host=a=b", "--simulated-wifi") == {
        "data": Path("a b"),
        "public_host": "a=b",
        "simulated_wifi": True,
    }
    assert read("--json", f"--api-port={MAX_PORT}") == {"as_json": True, "api_port": MAX_PORT}


def test_what_is_repeatable_is_a_list() -> None:
    assert read("--mirror", "http://a/", "--json", "--mirror=http://b/") == {
        "mirror": ["http://a/", "http://b/"],
        "as_json": True,
    }


@pytest.mark.parametrize(
    "given",
    [
        ["--help"],
        ["--datas", "x"],
        ["--public_host", "x"],
        ["data", "x"],
        ["x"],
        ["--data"],
        ["--data="],
        ["--data", "--json"],
        ["--mirror", "a", "--mirror"],
        ["--json", "--json"],
        ["--json=yes"],
        ["--public-host", "a", "--public-host", "b"],
        ["--api-port", "x"],
        ["--api-port", "-1"],
        ["--api-port", str(MAX_PORT + 1)],
        ["--api-port", "9" * 5000],
        ["--api-port", "\u0663"],
        ["--as-json", "x"],
        ["--", "--json"],
    ],
)
def test_everything_else_is_left_to_the_command(given: list[str]) -> None:
    assert read(*given) is None
