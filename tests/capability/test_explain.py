# SPDX-License-Identifier: Apache-2.0
"""What is explained of a manifest: each key as the golden file has it, every fault at once, and nothing by guess."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from tests.capability.explained import CHIP, FILE, all_keys, asked, explained
from tests.fixtures import images

from armillary import content
from armillary.capability.compiled import ENGINES
from armillary.capability.explain import GRANTED, RECORDED, REFUSED, explain
from armillary.capability.grant import grant
from armillary.capability.key_rules import KEY_RULES
from armillary.errors import ManifestError
from armillary.wire.image import board_configuration
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, AppManifest, parse

GOLDEN = json.loads(FILE.read_text("utf-8"))


def manifest(component: int = 1, *, kind: str = "Default", **capabilities: Any) -> AppManifest:
    made = images.manifest("test", UUID(int=component), Capabilities=capabilities, ApplicationType=kind)
    return parse(made, mutable_storage_limit_kb=1 << 20)


def test_every_key_has_a_golden_answer_and_a_rule() -> None:
    assert set(GOLDEN) == {*CAPABILITY_KEYS, "always"}, "python -m tests.capability.explained writes them"
    assert list(KEY_RULES) == list(CAPABILITY_KEYS)


@pytest.mark.parametrize("key", [*CAPABILITY_KEYS, "always"])
def test_a_key_is_explained_as_the_golden_file_says(key: str) -> None:
    assert all_keys()[key] == GOLDEN[key], "read the difference, then python -m tests.capability.explained"


@pytest.mark.parametrize("key", CAPABILITY_KEYS)
def test_what_is_asked_for_alone_is_never_refused_where_the_chip_has_it(key: str) -> None:
    found = explained(**{key: asked(key)})
    assert found.granted
    assert found.answers[0].answer in (GRANTED, RECORDED)
    assert set(found.answers[0].held_by) == set(ENGINES)


def test_recorded_is_said_of_what_no_engine_and_no_part_of_the_device_carries_out() -> None:
    for key in CAPABILITY_KEYS:
        (answer,) = explained(**{key: asked(key)}).answers
        assert (answer.answer == RECORDED) == (not any(answer.held_by.values())), key
        assert (answer.answer == RECORDED) <= ("yet" in answer.gets), key


def test_nothing_is_explained_of_what_was_not_asked_for() -> None:
    found = explained(WifiConfig=False)
    assert (found.answers, found.refusals, found.granted) == ((), (), True)


def test_every_fault_is_found_at_once_with_azures_error() -> None:
    board = board_configuration.parse(content.board_document("lan-enc28j60-isu0-int5"))
    other = grant(manifest(2, Adc=["ADC-CONTROLLER-0"]), CHIP)
    wanted = manifest(Gpio=[5, 8, 900], Uart=["ISU0"], Adc=["ADC-CONTROLLER-0"], MutableStorage={"SizeKB": 128})
    found = explain(wanted, CHIP, board=board, others=[other])
    assert [(each.path, each.got.split(",")[0], each.error_id) for each in found.refusals] == [
        ("Capabilities.Gpio", "5", 5242888),
        ("Capabilities.Gpio", "900", 2097165),
        ("Capabilities.Uart", "ISU0", 5242888),
        ("Capabilities.Adc", "ADC-CONTROLLER-0", 5242888),
        ("Capabilities.MutableStorage.SizeKB", "128", 2097186),
    ]
    assert str(board.component_id) in found.refusals[0].got
    assert str(UUID(int=2)) in found.refusals[3].got
    assert {each.answer for each in found.answers} == {REFUSED}
    assert all(each.held_by == {} for each in found.answers)


def test_a_clash_of_two_keys_is_a_fault_of_the_whole() -> None:
    found = explained(Uart=["ISU0"], Gpio=[27])
    assert [(each.path, each.error_id) for each in found.refusals] == [("Capabilities.Uart", 2097187)]
    assert not found.granted


@pytest.mark.parametrize(
    "wanted",
    [
        manifest(Gpio=[8], MutableStorage={"SizeKB": 64}),
        manifest(Gpio=[900]),
        manifest(Uart=["ISU0"], Gpio=[27]),
        manifest(MutableStorage={"SizeKB": 65}),
        manifest(kind="RealTimeCapable", Gpio=[8]),
        manifest(kind="RealTimeCapable", WifiConfig=True),
    ],
)
def test_what_is_explained_as_installed_is_what_the_grant_gives(wanted: AppManifest) -> None:
    found = explain(wanted, CHIP)
    if found.granted:
        assert grant(wanted, CHIP).component_id == wanted.component_id
        return
    with pytest.raises(ManifestError) as caught:
        grant(wanted, CHIP)
    assert caught.value.error_id in {each.error_id for each in found.refusals}


def test_a_real_time_application_is_explained_by_what_its_core_has() -> None:
    wanted = manifest(kind="RealTimeCapable", Gpio=[8], AllowedApplicationConnections=[str(UUID(int=2))])
    partners, pins = explain(wanted, CHIP).answers
    assert (partners.key, partners.answer) == ("AllowedApplicationConnections", GRANTED)
    assert partners.held_by["linux"] == {"device": ("the emulated core's mailbox",)}
    assert (pins.key, pins.answer, pins.held_by["linux"]) == ("Gpio", RECORDED, {})
    (high,) = explain(manifest(Gpio=[8]), CHIP).answers  # positive control
    assert (high.answer, set(high.held_by["linux"])) == (GRANTED, {"system-calls", "device"})
    refused = explain(manifest(kind="RealTimeCapable", WifiConfig=True), CHIP)
    assert [each.path for each in refused.refusals] == ["Capabilities.WifiConfig"]


def test_a_board_of_another_chip_explains_nothing() -> None:
    board = board_configuration.parse(
        content.board_document("lan-enc28j60-isu0-int5").replace(b'"mt3620"', b'"imx8mp"')
    )
    with pytest.raises(ManifestError, match="expected mt3620"):
        explain(manifest(), CHIP, board=board)
