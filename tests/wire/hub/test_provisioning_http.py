# SPDX-License-Identifier: Apache-2.0
"""Addresses of the provisioning service over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.hub.provisioning_http import (
    METHODS,
    VERSIONS,
    CallKind,
    ProvisioningCall,
    is_provisioning,
    parse_target,
)

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
PLACES = {CallKind.REGISTER: "/register", CallKind.LOOK_UP: "", CallKind.POLL: "/operations/5.ab.cd"}


@given(st.sampled_from(CallKind), st.from_regex(r"[A-Za-z0-9]{1,32}", fullmatch=True), IDS, st.sampled_from(VERSIONS))
def test_every_address_is_read_as_it_was_written(kind: CallKind, scope: str, name: str, version: str) -> None:
    target = f"/{scope}/registrations/{quote(name)}{PLACES[kind]}?api-version={version}"
    assert is_provisioning(target)
    operation = "5.ab.cd" if kind is CallKind.POLL else ""
    assert parse_target(target) == ProvisioningCall(kind, scope, name, operation)
    assert kind in METHODS


@pytest.mark.parametrize(
    "target",
    [
        "/0ne1/registrations/a/register", "/0ne1/registrations/a/register?api-version=1", "/0ne1/registrations/a%20b?x",
        "/0ne1/registrations/-a?api-version=2021-06-01", "/0ne1/registrations/a/operations/b%2Fc?api-version=2021-06-01",
        f"/0ne1/registrations/{'a' * 129}?api-version=2021-06-01",
    ],
)  # fmt: skip
def test_an_address_of_the_service_that_is_wrong_is_a_wire_error(target: str) -> None:
    assert is_provisioning(target)
    with pytest.raises(WireError):
        parse_target(target)


@pytest.mark.parametrize("target", ["/devices/a/files", "/$iothub/websocket", "/0ne1/registrations//register", "/x"])
def test_other_addresses_are_not_its(target: str) -> None:
    assert not is_provisioning(target)
    with pytest.raises(WireError):
        parse_target(target)
