# SPDX-License-Identifier: Apache-2.0
"""Who keeps a signing key from being dropped, and who does not keep the next one from being put in force."""

from __future__ import annotations

import pytest
from tests.fixtures.os_packages import os_packages
from tests.service.updates.signing_steps import key_store, release_everywhere, renewed, states

from armillary.engines.records.queries.planning.trust_stores import Having
from armillary.errors import ConflictError
from armillary.service.updates.trust_stores import TrustStores
from armillary.sim.device.service_host import ServiceHost


def test_a_key_is_not_dropped_while_a_release_that_it_signed_is_rolled_out(
    host: ServiceHost, stores: TrustStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what feeds give: devices of the roll-out get its release. Nothing newer goes into the feed meanwhile."""
    monkeypatch.setattr(host.service.updates.planner, "run_once", lambda: 0)  # a roll-out without devices would end
    service = host.service
    service.registry.os_feeds.create("Canary", "Retail", actor="t")
    service.registry.os_feeds.create("Lab", "Retail", actor="t")
    brought = service.releases.publish("mt3620", "27.1", feed="Lab", actor="t")
    rollout = service.updates.os_rollouts.start(brought.release_id, feed="Canary", actor="t")
    renewed(stores)
    [serial] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("os", "old")]
    for chip in service.chips.names:
        if chip != "mt3620":
            service.releases.publish(chip, "27.2", actor="t")
    words = f"OS 27.1 of mt3620 in roll-out {rollout.rollout_id}"
    with pytest.raises(ConflictError) as raised:
        stores.drop(serial, actor="t")
    assert raised.value.message.endswith(f"OS 26.11 of mt3620 in Retail, {words}")
    assert raised.value.remedy.endswith(f"; armillary rollout show --rollout {rollout.rollout_id}, and end it.")
    service.updates.rollouts.cancel(rollout.rollout_id, reason="", actor="t")
    with pytest.raises(ConflictError) as raised:
        stores.drop(serial, actor="t")
    assert words not in raised.value.message
    service.releases.publish("mt3620", "27.2", actor="t")
    stores.drop(serial, actor="t")
    assert states(stores)["os"] == ["in force"]


def test_a_store_of_before_is_vouched_for_no_longer(host: ServiceHost, stores: TrustStores) -> None:
    """It names the key that was dropped: whoever stole that key would want devices to take it again."""
    service = host.service

    def named() -> set[str]:
        service.repository.publish()
        return {one.hashes["sha256"] for one in service.repository.edition().delegated["os"].signed.targets.values()}

    renewed(stores)
    release_everywhere(host, "27.1")
    older = {one.sha256.hex() for one in key_store(stores).store.packages}
    assert older
    assert older <= named()
    [serial] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("os", "old")]
    stores.drop(serial, actor="t")
    assert {one.sha256.hex() for one in key_store(stores).store.packages} <= named()
    assert not older & named()
    assert not older & {path.name for path in service.context.folder.blobs.glob("*/*")}


def test_a_bridged_device_takes_no_store_and_is_not_waited_for(host: ServiceHost, stores: TrustStores) -> None:
    host.service.bridge.devices.create("Contoso", "gateway", actor="t")
    stores.renew(actor="t")
    assert key_store(stores).devices == Having(0, 0, 0, 0, 0)
    stores.put_in_force(actor="t")


def test_what_takes_the_place_of_real_packages_is_made_of_packages(host: ServiceHost, stores: TrustStores) -> None:
    """Stand-ins would be refused: the command that is said is the one that can be given."""
    drafts, chip = host.service.attestation.drafts, "gateway-x86-64"
    payloads = {each.name: each.name.encode() for each in host.service.chips.get(chip).boot_components}
    draft = drafts.create(chip, "27.1", packages=os_packages(host.service.chips.get(chip), payloads), actor="t")
    drafts.sign(draft.release_id, actor="t")
    drafts.publish(draft.release_id, actor="t")
    renewed(stores)
    [serial] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("os", "old")]
    with pytest.raises(ConflictError) as raised:
        stores.drop(serial, actor="t")
    assert f"armillary release create --chip {chip} --os-feed RetailEval --os-version VERSION" in raised.value.remedy
    assert f"armillary release publish --chip {chip} " not in raised.value.remedy
    assert "armillary release publish --chip mt3620 " in raised.value.remedy
