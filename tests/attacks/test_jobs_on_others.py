# SPDX-License-Identifier: Apache-2.0
"""A token of one catalog and jobs: it acts on its own devices only, whatever group and catalog its job names."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.running_service import RunningService, application, fresh, wait_until
from tests.attacks.owners import Owner

from armillary.errors import WrongCatalogError
from armillary.platform.authored.documents import AuthoredDocuments

ACTION = {"kind": "set-property", "properties": {"taken": True}}


@pytest.fixture
def shared(service: RunningService) -> str:
    """A group of everybody's devices."""
    name = fresh("all")
    assert service.call("PUT", f"/api/v1/groups/{name}", {"name": "All"}).status == 200
    return name


def taken(service: RunningService, who: Owner) -> bool:
    return bool(service.hub.twins.get(who.device.device_id).desired.properties.get("taken"))


def run(who: Owner, job: str) -> dict[str, Any]:
    begun = who.call("POST", f"/jobs/{job}/runs?catalog={who.name}", {})
    assert begun.status == 200, begun.raw
    place = f"/jobs/{job}/runs/{begun.body['number']}?catalog={who.name}"
    wait_until(lambda: who.call("GET", place).body["state"] != "running", "the end of the run")
    return who.call("GET", place).body


def test_a_job_over_everybody_reaches_ones_own(service: RunningService, alice: Owner, bob: Owner, shared: str) -> None:
    job = fresh("j")
    made = bob.call("PUT", f"/jobs/{job}?catalog={bob.name}", {"name": "j", "group": shared, "action": ACTION})
    assert (made.status, made.body["body"]["catalog"]) == (200, bob.name)
    assert run(bob, job)["counts"]["succeeded"] == 1
    assert taken(service, bob)
    assert not taken(service, alice)
    for body in ({"catalog": alice.name}, {"catalog": None}):
        given = {"name": "j", "group": shared, "action": ACTION, **body}
        assert bob.call("PUT", f"/jobs/{job}?catalog={bob.name}", given).status == 400


def test_nobody_runs_sees_or_cancels_anothers_job_or_one_of_all(
    service: RunningService, alice: Owner, bob: Owner, shared: str
) -> None:
    mine, everybody = fresh("j"), fresh("j")
    alice.call("PUT", f"/jobs/{mine}?catalog={alice.name}", {"name": "j", "group": shared, "action": ACTION})
    service.call("PUT", f"/api/v1/jobs/{everybody}", {"name": "j", "group": shared, "action": ACTION})
    number = run(alice, mine)["number"]
    for job, expected in ((mine, 404), (everybody, 403)):
        own = f"catalog={bob.name}"
        assert bob.call("POST", f"/jobs/{job}/runs?{own}", {}).status == expected
        assert bob.call("POST", f"/jobs/{job}/runs/{number}/cancel?{own}").status == expected
        assert bob.call("DELETE", f"/jobs/{job}?{own}").status == expected
        for part in ("/runs", f"/runs/{number}", f"/runs/{number}/results", f"/runs/{number}/results.csv"):
            assert bob.call("GET", f"/jobs/{job}{part}?{own}").status == expected
            assert bob.call("GET", f"/jobs/{job}{part}").status == 403
    assert not taken(service, bob)
    assert alice.call("GET", f"/jobs/{mine}/runs/{number}/results?catalog={alice.name}").status == 200  # the control


def test_without_the_checks_the_attack_gets_through(
    service: RunningService, alice: Owner, bob: Owner, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = fresh("j")
    service.call("PUT", f"/api/v1/jobs/{everybody}", {"name": "j", "group": shared, "action": ACTION})
    monkeypatch.setattr(AuthoredDocuments, "check_owned", lambda kept, kind, each, _: kept._store.get(kind, each))
    begun = bob.call("POST", f"/jobs/{everybody}/runs?catalog={bob.name}", {})
    assert begun.status == 200
    wait_until(lambda: taken(service, alice), "somebody else's device to be reached")
    place = f"/api/v1/jobs/{everybody}/runs/{begun.body['number']}"
    wait_until(lambda: service.call("GET", place).body["state"] != "running", "the end of the run")


def test_an_update_moves_ones_own_devices_to_ones_own_groups(
    service: RunningService, alice: Owner, bob: Owner, shared: str
) -> None:
    for each in (alice, bob):
        image = service.service.updates.images.upload(each.name, application()[1], actor="t")
        service.service.updates.deployments.create(each.name, "Coffee", "Field Test", [image.image_id], actor="t")
    job, action = fresh("j"), {"kind": "update", "device_group": "Coffee/Field Test"}
    given = {"name": "j", "group": shared, "action": action}
    assert bob.call("PUT", f"/jobs/{job}?catalog={bob.name}", given).status == 200
    begun = bob.call("POST", f"/jobs/{job}/runs?catalog={bob.name}", {})
    assert (begun.status, begun.body["total"]) == (200, 1)

    def group_of(who: Owner) -> str | None:
        return service.service.registry.devices.get(who.device.device_id).group

    wait_until(lambda: group_of(bob) == "Field Test", "his own to be moved")
    assert group_of(alice) == "Production"
    with pytest.raises(WrongCatalogError):  # whatever a job says of whose a device is, the registry looks itself
        service.service.hub_access.updates.move(alice.device.device_id, bob.name, "Coffee/Field Test", by="job j")
    assert group_of(alice) == "Production"
    service.service.hub_access.updates.move(
        alice.device.device_id, alice.name, "Coffee/Field Test", by="job j"
    )  # the control
    assert group_of(alice) == "Field Test"
