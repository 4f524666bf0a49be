# SPDX-License-Identifier: Apache-2.0
"""What `armillary image build`, `fetch` and `package` are told reaches the build: here nothing is built."""

from __future__ import annotations

import datetime as dt
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image import build as building
from armillary.device_image.build import Plan
from armillary.device_image.packages import PAYLOADS
from armillary.device_image.recipe import recipe_folder

ABOUT = {"version": "1", "architecture": "arm64", "root_hash": "ab", "bytes": 1, "test_keys": True}
TEST_KEYS = "Its secure boot keys are test keys: never ship what they signed."
UNKNOWN = "Its image.json does not say whether test keys signed it: an older build made it."


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What was to be built or fetched."""
    made: list[Plan] = []

    def build(plan: Plan, *, at: dt.datetime) -> dict[str, Any]:
        assert abs(dt.datetime.now(dt.UTC) - at) < dt.timedelta(hours=1)
        made.append(plan)
        return ABOUT

    monkeypatch.setattr(building, "build", build)
    monkeypatch.setattr(building, "fetch_parts", made.append)
    return made


def run(*words: object) -> tuple[int, str]:
    done = armillary_here("image", *words, env={})
    return done.returncode, done.stderr


@pytest.mark.parametrize("verb", ["build", "fetch"])
def test_packages_come_from_where_it_was_said(plans: list[Plan], tmp_path: Path, verb: str) -> None:
    places = ("--packages", tmp_path, "--snapshot", "http://127.0.0.1:9", "--pins", tmp_path / "pins")
    code, error = run(verb, "--arch", "arm64", "--image", tmp_path / "image", *places)
    assert code == 0, error
    (plan,) = plans
    assert plan.places is not None
    assert (plan.places.folder, plan.places.archive) == (tmp_path, "http://127.0.0.1:9")
    assert (plan.architecture, plan.pins, plan.output) == ("arm64", tmp_path / "pins", tmp_path / "image")
    plan.places.told("one 1: not at this host's sources any more")


def test_a_development_image_is_built_where_that_is_said_and_has_a_folder_of_its_own(plans: list[Plan]) -> None:
    code, error = run("build")
    assert (code, "DEVELOPMENT" in error) == (0, False)
    code, error = run("build", "--development", "--kernel", "own", "--simulated-radios", "2")
    assert (code, "This is a DEVELOPMENT image" in error) == (0, True)
    folder = recipe_folder().parent / ".image"
    assert [(plan.development, plan.own_kernel, plan.simulated_radios, plan.output) for plan in plans] == [
        (False, False, 0, folder / "x86_64"),
        (True, True, 2, folder / "x86_64-development"),
    ]


def test_a_version_and_the_keys_of_another_build_reach_the_build(plans: list[Plan], tmp_path: Path) -> None:
    assert run("build", "--version", "26.13", "--keys", tmp_path / "keys")[0] == 0
    assert run("build")[0] == 0
    assert [(plan.version, plan.keys) for plan in plans] == [("26.13", tmp_path / "keys"), (None, None)]


def test_a_development_image_is_fetched_for_where_that_is_said(plans: list[Plan]) -> None:
    assert run("fetch", "--development")[0] == 0
    assert run("fetch")[0] == 0
    assert [plan.development for plan in plans] == [True, False]
    assert len({plan.cache for plan in plans}) == 1


@pytest.mark.parametrize("test_keys", [True, False])
def test_a_build_says_of_test_keys_alone_that_they_are(
    plans: list[Plan], monkeypatch: pytest.MonkeyPatch, test_keys: bool
) -> None:
    monkeypatch.setitem(ABOUT, "test_keys", test_keys)
    for words in ((), ("--json",)):
        code, error = run("build", *words)
        assert (code, TEST_KEYS in error, "test keys" in error) == (0, test_keys, test_keys), error
    assert len(plans) == 2


@pytest.mark.parametrize(
    ("more", "told", "said"),
    [
        ({"test_keys": True}, True, TEST_KEYS),
        ({"test_keys": False}, False, None),
        ({}, None, UNKNOWN),
    ],
)
def test_packages_of_an_image_that_test_keys_signed_are_made_and_that_is_said(
    tmp_path: Path, more: dict[str, bool], told: bool | None, said: str | None
) -> None:
    for name in PAYLOADS.values():
        (tmp_path / name).write_bytes(name.encode())
    digests = {name: sha256(name.encode()).hexdigest() for name in PAYLOADS.values()}
    (tmp_path / "image.json").write_text(json.dumps({"architecture": "x86_64", "sha256": digests} | more))
    done = armillary_here("image", "package", "--image", tmp_path, "--json", env={})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test_keys"] is told
    assert [line for line in done.stderr.splitlines() if "test keys" in line] == ([] if said is None else [said])


def test_a_development_image_is_packaged_only_where_that_is_said(tmp_path: Path) -> None:
    for name in PAYLOADS.values():
        (tmp_path / name).write_bytes(name.encode())
    digests = {name: sha256(name.encode()).hexdigest() for name in PAYLOADS.values()}
    about = {"architecture": "x86_64", "sha256": digests, "development": True}
    (tmp_path / "image.json").write_text(json.dumps(about))
    code, error = run("package", "--image", tmp_path)
    assert (code, "a development image is no release" in error) == (1, True)
    assert [*tmp_path.glob("*.package")] == []
    code, error = run("package", "--image", tmp_path, "--allow-development")
    assert code == 0, error
    assert {file.stem for file in tmp_path.glob("*.package")} == PAYLOADS.keys()
