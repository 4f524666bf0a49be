# SPDX-License-Identifier: Apache-2.0
"""Application templates over the API and on the command line: catalog, use, pictures, unuse, who may."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.sim.playing import Playing, playing

from armillary.cli.main import run
from armillary.content import application_templates as shipped

NAME = "connected-waste-management"
PATH = f"/api/v1/application-templates/{NAME}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playing]:
    with playing(tmp_path_factory.mktemp("applications")) as found:
        yield found


@pytest.fixture
def used(service: Playing) -> Iterator[Playing]:
    yield service
    service.running.call("POST", f"{PATH}/unuse")


def test_catalog_lists_every_shipped_template_with_one_line(service: Playing):
    items = service.running.call("GET", "/api/v1/application-templates").body["items"]
    assert [each["name"] for each in items] == list(shipped.names())
    assert all(each["line"] and not each["in_use"] for each in items)


def test_use_and_unuse(used: Playing):
    running = used.running
    found = running.call("POST", f"{PATH}/use", {"devices": 3, "catalog": "Bins"})
    assert found.status == 200
    assert len(found.body["devices"]) == 3
    assert found.body["catalog"] == "Bins"
    assert found.body["trust_tier"] == "simulated"
    assert {"kind": "dashboard", "id": "waste-operations"} in found.body["documents"]
    devices = {each["id"] for each in found.body["devices"]}
    names = running.service.registry.names.of(sorted(devices))
    assert names == {each["id"]: each["name"] for each in found.body["devices"]}
    own = min(devices)
    assert running.call("PUT", f"/api/v1/devices/{own}/name", {"name": "Mine"}).status == 200  # and it stays
    more = running.call("POST", f"{PATH}/use", {"devices": 4, "catalog": "Bins"}).body["devices"]
    assert devices < {each["id"] for each in more}
    assert running.service.registry.names.of([own]) == {own: "Mine"}
    fewer = running.call("POST", f"{PATH}/use", {"devices": 1, "catalog": "Bins"}).body["devices"]
    assert len(fewer) == 1
    assert running.call("POST", f"{PATH}/unuse").body["devices"] == 1
    assert running.call("POST", f"{PATH}/unuse").status == 404
    for device in {each["id"] for each in more} | devices:
        assert running.service.registry.devices.get(device).decommissioned_at is not None


def test_another_catalog_is_refused_while_it_is_in_use(used: Playing):
    assert used.running.call("POST", f"{PATH}/use", {"catalog": "One"}).status == 200
    refused = used.running.call("POST", f"{PATH}/use", {"catalog": "Other"})
    assert refused.status == 409
    assert "template unuse" in refused.body["remedy"]


@pytest.mark.parametrize(
    "body", [{"devices": 0}, {"devices": 1001}, {"catalog": ""}, {"colour": "red"}, {"devices": "x"}]
)
def test_what_makes_no_sense_is_refused(service: Playing, body: dict[str, object]):
    assert service.running.call("POST", f"{PATH}/use", body).status == 400
    assert service.running.call("GET", PATH).body["in_use"] is False


def test_unknown_template_names_those_there_are(service: Playing):
    found = service.running.call("POST", "/api/v1/application-templates/no-such/use", {})
    assert found.status == 404
    assert NAME in found.body["remedy"]


def test_pictures_are_served_and_run_nothing(service: Playing):
    found = service.running.call("GET", f"{PATH}/images/bin.svg")
    assert found.status == 200
    assert found.raw == shipped.load(NAME).images["bin.svg"]
    assert found.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert service.running.call("GET", f"{PATH}/images/no.svg").status == 404
    assert service.running.call("GET", f"{PATH}/images/..%2Ftemplate.toml").status == 404


def test_command_line(used: Playing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    running = used.running
    monkeypatch.setenv("ARMILLARY_SERVICE", running.address)
    monkeypatch.setenv("ARMILLARY_TOKEN", running.token)
    monkeypatch.setenv("ARMILLARY_CA", str(running.root))
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            run(["template", *arguments])
        assert not ended.value.code
        printed = capsys.readouterr().out  # the service in this process logs there as well, line by line
        return printed[printed.find("{") :] if "--json" in arguments else printed

    assert NAME in command("catalog")
    found = json.loads(command("use", NAME, "--devices", "2", "--json"))
    assert found["devices_measuring"] == 2
    assert "waste-operations" in command("use", NAME)
    assert json.loads(command("unuse", NAME, "--yes", "--json"))["devices"] == 2
