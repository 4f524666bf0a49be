# SPDX-License-Identifier: Apache-2.0
"""What the device keeps about its modem: whole or not at all, no secret comes back, a PIN is used once."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.device.cellular.configuration import REGION, CellularConfiguration, CellularSettings, check_kept
from armillary.device.state.kept_region import DamagedRegionError
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region


@pytest.fixture
def flash(tmp_path: Path) -> FileFlash:
    return FileFlash(tmp_path)


def test_what_is_changed_is_kept_and_the_rest_stays(flash: FileFlash) -> None:
    configuration = CellularConfiguration(flash)
    assert not configuration.is_set
    configuration.change({"accessPoint": "iot.example.com", "roaming": False, "pin": "7391"})
    configuration.change({"authenticationType": "chap", "username": "me", "password": "se cret", "operator": "26201"})
    again = CellularConfiguration(flash)
    assert again.is_set
    assert again.settings.shown() == {
        "enabled": True,
        "accessPoint": "iot.example.com",
        "authenticationType": "chap",
        "username": "me",
        "hasPassword": True,
        "operator": "26201",
        "roaming": False,
        "hasPin": True,
        "pinRefused": False,
    }
    assert again.settings.goes_to.password == "se cret"
    assert again.change({"pin": ""}).shown()["hasPin"] is False


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"apn": "internet"}, "'apn'"),
        ({"enabled": 1}, "enabled"),
        ({"accessPoint": 'a"b'}, "access point"),
        ({"accessPoint": "a" * 101}, "access point"),
        ({"operator": "1234"}, "operator"),
        ({"pin": "12345678901"}, "SIM PIN"),
        ({"authenticationType": "eap"}, "authenticationType"),
        ({"username": 'a"'}, "username"),
        ({"password": "a\r"}, "password"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_changed(flash: FileFlash, asked: dict[str, object], named: str) -> None:
    configuration = CellularConfiguration(flash)
    configuration.change({"accessPoint": "before"})
    with pytest.raises(RequestRefusedError, match=named) as raised:
        configuration.change({"roaming": False, **asked})
    assert configuration.settings == CellularSettings(access_point="before")
    if "pin" in asked or "password" in asked:
        assert str(next(iter(asked.values()))) not in raised.value.message


def test_a_pin_is_given_once_until_the_sim_took_it(flash: FileFlash) -> None:
    configuration = CellularConfiguration(flash)
    assert configuration.use_pin() == ""
    configuration.change({"pin": "7391"})
    assert configuration.use_pin() == "7391"
    assert CellularConfiguration(flash).use_pin() == ""  # the power went while the SIM was asked
    configuration.pin_was_taken("0000")  # of another PIN
    assert configuration.use_pin() == ""
    configuration.pin_was_taken("7391")
    assert configuration.use_pin() == "7391"
    configuration.change({"roaming": True})
    assert configuration.use_pin() == ""
    configuration.change({"pin": "7391"})  # somebody says so again
    assert configuration.use_pin() == "7391"


def test_no_secret_is_in_what_is_printed(flash: FileFlash) -> None:
    settings = CellularConfiguration(flash).change({"pin": "7391", "password": "se-cret"})
    for text in (repr(settings), repr(settings.goes_to), repr(settings.shown())):
        assert "7391" not in text
        assert "se-cret" not in text


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xa1\x01\x01", b"\xa2\x01\x01\x02\xa1\x63pin\x63abc"])
def test_a_damaged_region_is_as_good_as_none(flash: FileFlash, data: bytes) -> None:
    replace_region(flash, REGION, data)
    assert CellularConfiguration(flash).settings == CellularSettings()
    with pytest.raises(DamagedRegionError, match=f"flash region {REGION} is damaged"):
        check_kept(flash)
