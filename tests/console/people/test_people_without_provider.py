# SPDX-License-Identifier: Apache-2.0
"""The page of people of a service that has no sign-in provider."""

from __future__ import annotations

import pytest
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Browser, signed_in


def of_one_catalog(scene: HubScene) -> Browser:
    tokens = scene.running.service.tokens
    return signed_in(scene, tokens.create("boss", "Administrator", actor="test", catalog="contoso").secret)


@pytest.mark.parametrize("who", [HubScene.browser, of_one_catalog])
def test_without_a_provider_the_page_says_what_to_set_and_promises_no_form(hub_scene: HubScene, who) -> None:
    page = who(hub_scene).get("/people")
    assert page.status == 200
    assert "people can be invited as soon as a sign-in provider is set" in page.text
    for each in ("oidc_issuer", "oidc_client_id", "docs/guides/people.md"):
        assert each in page.text
    assert "below" not in page.text
    assert "Invite somebody" not in page.text
