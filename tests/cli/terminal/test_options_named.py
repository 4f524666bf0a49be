# SPDX-License-Identifier: Apache-2.0
"""What the service refuses of a body is said of the option that a person gave; devices are looked for in one catalog."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from armillary.cli.terminal.remote import flags_of, naming_options
from armillary.cli.terminal.times import ExpiresOption
from armillary.errors import InvalidArgumentError

FLAGS = frozenset({"--expires", "--uses", "-d"})


FORM = "Correct it: GET /api/v1/openapi.json says what each route takes."


def reworded(message: str, flags: frozenset[str] = FLAGS, remedy: str = FORM) -> tuple[str, str]:
    with pytest.raises(InvalidArgumentError) as caught, naming_options(flags):
        raise InvalidArgumentError(message, remedy=remedy)
    return caught.value.message, caught.value.remedy


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("lifetime_s: expected at most 2592000, got 8639913600", "--expires: expected at most 30d, got 99999d"),
        ("lifetime_s: expected at least 60, got 30", "--expires: expected at least 1min, got 30s"),
        ("limits.uses: expected at most 10000, got 1e+22", "--uses: expected at most 10000, got 1e+22"),
    ],
)
def test_a_field_is_called_as_the_option_that_sets_it(said: str, wanted: str) -> None:
    message, remedy = reworded(said)
    assert message == wanted
    assert remedy.startswith(f"Give {wanted.partition(':')[0]} another value")


@pytest.mark.parametrize(
    ("said", "flags", "remedy"),
    [
        ("lifetime_s: expected at most 60, got 61", frozenset({"--days"}), FORM),
        ("lifetime_s: expected at most 60, got 61", frozenset({"--expires", "--for"}), FORM),
        ("--uses: expected its number", FLAGS, "List them: armillary release list."),
        ("it went wrong", FLAGS, FORM),
    ],
)
def test_what_is_of_no_option_or_was_said_of_it_stays_as_it_is(said: str, flags: frozenset[str], remedy: str) -> None:
    assert reworded(said, flags, remedy) == (said, remedy)


def test_the_names_of_options_are_those_that_people_type() -> None:
    assert flags_of({"expires": ExpiresOption}) == {"--expires"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--expires", "99999d"), "--expires: expected at most 30d, got 99999d"),
        (("--uses", "10000000000000000000000"), "--uses: expected at most 10000, got 10000000000000000000000"),
    ],
)
def test_a_token_that_may_not_be_so_names_the_option(
    armillary: Command, catalog: str, words: tuple[str, str], said: str
) -> None:
    done = armillary("enrolment-token", "create", "-c", catalog, *words)
    assert (done.code, said in done.err, "openapi" in done.err) == (1, True, False), done.err


def test_a_time_of_nothing_is_told_from_one_that_is_none(armillary: Command, catalog: str) -> None:
    for text in ("0s", "0d"):
        done = armillary("enrolment-token", "create", "-c", catalog, "--expires", text)
        assert (done.code, "--expires: expected a time of more than 0" in done.err) == (2, True), done.err


def test_a_device_is_looked_for_in_the_catalog_that_is_named(armillary: Command, catalog: str, tmp_path: Path) -> None:
    made = armillary("device", "create", "--data", str(tmp_path / "d"), "--sandbox", "process", "--json").json
    short = made["device_id"][:12]
    assert armillary("device", "claim", "-c", catalog, "-d", short).code == 0
    for verb in ("update-status", "show", "check-ins"):
        assert armillary("device", verb, "-c", catalog, "-d", short).code == 0
    other = f"Other-{uuid.uuid4().hex[:8]}"
    assert armillary("catalog", "create", "-c", other).code == 0
    done = armillary("device", "update-status", "-c", other, "-d", short)
    assert (done.code, "no device is called" in done.err) == (1, True), done.err


def test_what_is_empty_is_shown_in_one_way(armillary: Command, catalog: str) -> None:
    made = armillary("product", "create", "-c", catalog, "-p", "Plain")
    assert [line.split() for line in made.out.splitlines()] == [["name", "Plain"], ["description", "-"]]
