# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian content``: what is shipped for the hub is put there, once, and stays as its author left it."""

from __future__ import annotations

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.content import guardian_content


def test_what_is_shipped_is_listed(bare: Command) -> None:
    assert tuple(each["equipment"] for each in bare("guardian", "content", "list", "--json").json) == (
        guardian_content.names()
    )
    assert bare("guardian", "content", "put", "kettle").code == 1


@pytest.mark.parametrize("name", guardian_content.names())
def test_content_is_put_once_and_every_tile_can_be_answered(
    armillary: Command, service: RunningService, catalog: str, name: str
) -> None:
    put = ("guardian", "content", "put", name, "--json")
    made = armillary(*put).json
    assert {each["change"] for each in made} == {"new"}
    rule = next(each["id"] for each in made if each["kind"] == "rule")
    path = f"/api/v1/rules/{rule}"
    body = {**service.call("GET", path).body["body"], "severity": "critical", "description": "an author's own"}
    assert service.call("PUT", path, body).body["warnings"] == []
    assert {each["change"] for each in armillary(*put).json} == {"there already"}
    assert service.call("GET", path).body["body"]["description"] == "an author's own"
    assert {each["change"] for each in armillary(*put, "--replace").json} == {"there already", "replaced"}
    assert service.call("GET", path).body["body"]["description"] != "an author's own"
    tiles = service.call("GET", f"/api/v1/dashboards/guardian-{name}/data").body["tiles"]
    assert [each for each in tiles.values() if "error" in each] == []


def test_a_template_of_the_models_alone_gets_its_cloud_properties(armillary: Command, service: RunningService) -> None:
    armillary("guardian", "content", "put", "cable")
    name = "guard-cable"
    before = service.call("GET", f"/api/v1/templates/{name}").body
    bare = {**before["body"], "cloud_properties": [], "views": []}
    assert service.call("PUT", f"/api/v1/templates/{name}", bare).status == 200

    def changed() -> str:
        made = armillary("guardian", "content", "put", "cable", "--json").json
        return next(str(each["change"]) for each in made if each["kind"] == "template")

    assert changed() == "there already"  # the draft alone was another one
    assert service.call("PUT", f"/api/v1/templates/{name}", bare).status == 200
    assert service.call("POST", f"/api/v1/templates/{name}/publish").status == 200
    assert changed() == "next version"
    after = service.call("GET", f"/api/v1/templates/{name}").body
    assert [each["name"] for each in after["cloud_properties"]] == ["Site", "Charger"]
    assert max(after["published_versions"]) == max(before["published_versions"]) + 2
