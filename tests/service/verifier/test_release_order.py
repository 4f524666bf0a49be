# SPDX-License-Identifier: Apache-2.0
"""A feed's newest release is the one that was published last, because nothing older is published by mistake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.updates.os_feeds import numbers_of
from armillary.service.verifier.release_order import check_sortable
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, components_of
from armillary.wire.device.update_status import OS, UpdateStatus

CHIP = "mt3620"


def publish(
    host: ServiceHost, version: str, security_version: int = 1, *, feed: str = "Retail", allow_older: bool = False
) -> OsRelease:
    return host.service.releases.publish(
        CHIP, version, actor="t", security_version=security_version, feed=feed, allow_older=allow_older
    )


def boot(host: ServiceHost, device: WireDevice, release: OsRelease) -> None:
    device.prover.components = components_of(host.service.releases.packages(release))
    device.prover.os_version = release.version
    device.prover.boot()


def offered(device: WireDevice) -> str:
    """The OS version that the next check-in offers; empty for none."""
    offer = device.check_in().offer
    return "" if offer is None else offer.os_version


def test_versions_are_compared_by_their_numbers() -> None:
    for lower, higher in (("26.9", "26.12"), ("26.12", "26.12.1"), ("26.12-rc9", "27.01"), ("9", "10.0")):
        assert (numbers_of(lower) or ()) < (numbers_of(higher) or ())
    for one, same in (("27.1", "27.01"), ("26.12", "26.12.0"), ("26.12", "26.12-rc1"), ("0", "0.0")):
        assert numbers_of(one) == numbers_of(same)


@pytest.mark.parametrize("version", ["banana", "", "v26.12", "26.", "26..1", "26.12 b", "26.12b", "26.12-", "1" * 33])
def test_a_version_that_does_not_sort_is_refused(version: str) -> None:
    assert numbers_of(version) is None
    with pytest.raises(InvalidArgumentError, match="version: expected numbers with dots") as refused:
        check_sortable(version)
    assert "26.12" in refused.value.remedy


def test_nothing_older_is_published_unless_it_is_said(host: ServiceHost) -> None:
    drafts = host.service.attestation.drafts
    publish(host, "26.96", 3)
    old = drafts.create(CHIP, "25.01", security_version=3, feed="Retail", actor="t")
    with pytest.raises(ConflictError, match=r"25\.01 of mt3620 would take Retail back: .* given 26\.96 now") as refused:
        drafts.publish(old.release_id, actor="t")
    assert "--allow-older" in refused.value.remedy
    with pytest.raises(ConflictError, match=r"26\.94 .* given 26\.96 now, which is newer"):
        publish(host, "26.94", 3)
    with pytest.raises(ConflictError, match=r"has security version 1, in 26\.96 it has 3"):
        publish(host, "26.97", 1)
    with pytest.raises(InvalidArgumentError, match="version: expected numbers"):
        publish(host, "banana", 3)
    assert host.service.releases.newest(CHIP).version == "26.96", "nothing half-done stays"
    drafts.publish(old.release_id, actor="t", allow_older=True)
    assert host.service.releases.newest(CHIP).version == "25.01"
    publish(host, "26.98", 3)


def test_a_lower_security_version_than_that_of_a_withdrawn_release_is_said_too(host: ServiceHost) -> None:
    bad = publish(host, "26.60", 3)
    host.service.releases.withdraw(bad.release_id, "It hangs.", actor="t")
    with pytest.raises(ConflictError, match=r"devices that run 26\.60 refuse a lower one"):
        publish(host, "26.61", 2)
    publish(host, "26.61", 3)


def test_what_is_promoted_is_not_older_than_what_everybody_has(host: ServiceHost) -> None:
    drafts = host.service.attestation.drafts
    publish(host, "27.2")
    tried = host.service.releases.publish(CHIP, "27.1", actor="t", feed="RetailEval", allow_older=True)
    with pytest.raises(ConflictError, match=r"would take Retail back: its devices are given 27\.2 now"):
        drafts.promote(tried.release_id, actor="t")
    assert drafts.promote(tried.release_id, actor="t", allow_older=True).feed == "Retail"


@pytest.mark.parametrize("how", ["at once", "as a draft", "older", "after a bad one"])
def test_a_correction_for_everybody_leaves_evaluation_ahead(host: ServiceHost, clock: Clock, how: str) -> None:
    """Retail's devices get it; those of the evaluation feed stay with the newer release, which everybody gets later."""
    releases, drafts = host.service.releases, host.service.attestation.drafts
    host.service.registry.groups.create("Contoso", "Kettle", "Evaluation", os_feed="RetailEval", actor="t")
    policy = {"older_releases_until": int(clock.now)}  # a catalog that takes the newest release alone
    host.service.attestation.policies.revise("Contoso", policy, actor="t")
    with (
        host.claimed(b"r" * 32) as retail,
        host.claimed(b"e" * 32, group="Evaluation") as early,
        host.claimed(b"l" * 32, group="Evaluation") as late,
    ):
        for one in (retail, early, late):
            one.update_status = UpdateStatus(abilities=(OS,))
        boot(host, retail, publish(host, "26.20.2" if how == "older" else "26.20"))
        ahead = publish(host, "26.30", feed="RetailEval")
        boot(host, early, ahead)
        assert (offered(retail), offered(early), offered(late)) == ("", "", "26.30")
        if how == "after a bad one":
            releases.withdraw(publish(host, "26.31").release_id, "It hangs.", actor="t")
        if how == "as a draft":
            drafts.publish(drafts.create(CHIP, "26.20.1", feed="Retail", actor="t").release_id, actor="t")
        else:
            publish(host, "26.20.1", allow_older=how == "older")
        assert (offered(retail), offered(early), offered(late)) == ("26.20.1", "", "26.30")
        assert (releases.newest(CHIP).version, releases.newest(CHIP, "RetailEval").version) == ("26.20.1", "26.30")
        assert early.check_in().verdict == "attested", "nothing newer was published to everybody"
        drafts.promote(ahead.release_id, actor="t")
        assert (offered(retail), offered(early), offered(late)) == ("26.30", "", "26.30")
        with pytest.raises(ConflictError, match=r"given 26\.30 now, which is newer"):
            publish(host, "26.20.3")
        releases.withdraw(ahead.release_id, "It hangs.", actor="t")
        assert (offered(early), offered(late)) == ("26.20.1", "26.20.1")


def test_whose_os_was_withdrawn_is_offered_the_newest_that_it_can_take(host: ServiceHost) -> None:
    with host.claimed(b"w" * 32) as device, host.claimed(b"y" * 32) as young:
        bad, good = publish(host, "26.60", 3), publish(host, "26.96", 3)
        for one in (device, young):
            one.update_status = UpdateStatus(abilities=(OS,))
        boot(host, device, bad)
        publish(host, "26.97", 1, allow_older=True)
        publish(host, "25.01", 1, allow_older=True)
        host.service.releases.withdraw(bad.release_id, "It hangs.", actor="t")
        reply = device.check_in()
        assert reply.verdict == "update-only"
        assert reply.offer is not None
        assert reply.offer.os_version == "26.96"
        packages = host.service.releases.packages(good)
        for image in reply.offer.images:
            assert device.exchange("GET", f"/v1/images/{image.image_id}").body == packages[image.name]
        assert host.service.updates.standings.of(device.device_id).wanted_os_version == "26.96"
        assert offered(young) == "25.01", "who confirmed nothing higher gets the feed's"
        boot(host, device, good)
        assert offered(device) == "", "it runs the newest that it can take"
        assert host.service.updates.standings.of(device.device_id).code == "nothing-deployed"


def test_where_no_release_can_be_taken_the_feeds_newest_is_offered(host: ServiceHost) -> None:
    bad = publish(host, "26.60", 3)
    with host.claimed(b"n" * 32) as device:
        device.update_status = UpdateStatus(abilities=(OS,))
        boot(host, device, bad)
        host.service.releases.withdraw(bad.release_id, "It hangs.", actor="t")
        assert offered(device) == "26.11", "its refusal says why"


@pytest.mark.parametrize("passes_s", [0, -60])
def test_the_order_is_that_of_publication_whatever_the_clock_says(
    host: ServiceHost, clock: Clock, *, passes_s: int
) -> None:
    """Two of one second, or by a clock that was set back; text would put 26.9 after 26.12, and -b after -a."""
    versions = ("26.11.9", "26.12-b", "26.12-a")
    drafts = host.service.attestation.drafts
    with host.claimed(b"o" * 32) as device:
        device.update_status = UpdateStatus(abilities=(OS,))
        for number, version in enumerate(versions):
            made = drafts.create(CHIP, version, feed="Retail", actor="t")
            drafts.publish(made.release_id, actor="t")
            clock.now += passes_s
            assert host.service.releases.newest(CHIP).version == version
            assert (
                host.service.releases.reference.newer(CHIP, versions[number - 1] if number else "26.11", 0) == version
            )
            assert host.service.releases.reference.newer(CHIP, version, 0) == ""
        assert offered(device) == versions[-1]
    with pytest.raises(ConflictError, match=r"given 26\.12-a now, which is newer"):
        publish(host, "26.9")


def test_of_two_that_are_published_at_once_the_later_one_is_judged_by_the_first(host: ServiceHost) -> None:
    """Two windows: whichever comes second is the feed's newest, or is refused because the other one is newer."""

    def attempt(version: str) -> str:
        try:
            return publish(host, version).version
        except ConflictError as refused:
            return refused.message

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(attempt, ["26.20", "26.21"]))
    assert results[1] == "26.21"
    assert results[0] == "26.20" or "given 26.21 now, which is newer" in results[0]
    assert host.service.releases.newest(CHIP).version == "26.21"


def test_a_draft_that_two_publish_at_once_is_published_once(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob's window has read the draft when Ann's publishes it."""
    drafts, releases = host.service.attestation.drafts, host.service.releases
    made = drafts.create(CHIP, "26.30", feed="Retail", actor="t")
    read = releases.get

    def slow(release_id: UUID) -> OsRelease:
        found = read(release_id)
        monkeypatch.setattr(releases, "get", read)
        drafts.publish(release_id, actor="ann")
        return found

    monkeypatch.setattr(releases, "get", slow)
    with pytest.raises(ConflictError, match="was changed meanwhile"):
        drafts.publish(made.release_id, actor="bob")
    lines = host.service.audit.list(target=str(made.release_id)).items
    assert [(one.operation, one.actor) for one in lines] == [("release.publish", "ann"), ("release.create", "t")]
