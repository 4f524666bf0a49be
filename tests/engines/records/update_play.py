# SPDX-License-Identifier: Apache-2.0
"""A small fleet in the middle of its updates, written and asked by the records' own functions, on any engine.

Ids are fixed, so that two engines can be compared row by row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from armillary.engines.records.bridge import actions as action_rows, devices as bridge_rows
from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    devices as device_rows,
    findings as finding_rows,
    images as image_rows,
    releases as release_rows,
    reports as report_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.queries.planning import (
    before,
    crashes as crash_rows,
    looks,
    parts,
    reach,
    starts,
    trust_stores,
)
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.bridge_rows import BridgeAction, BridgeAdmission, BridgeStatus
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutEvent, RolloutPart
from armillary.engines.records.schema.rows import (
    Catalog,
    Deployment,
    DeviceGroup,
    Image,
    OsComponent,
    OsRelease,
    Product,
    SecurityFloor,
)
from armillary.engines.records.schema.update_rows import (
    BillRow,
    DeviceUpdateStatus,
    OwnFeed,
    TrustPackage,
    TrustStoreRow,
    UpdateSchedule,
)
from armillary.rollout.policy import Ring, RolloutPolicy
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.finding import Finding

NOW, DEVICES, BRIDGED = 1_790_000_000, 30, 6
CATALOG, PRODUCT, GROUP, EVAL, BRIDGE = (UUID(int=number) for number in range(1, 6))
OLD, NEW = UUID(int=11), UUID(int=12)  # images
BEFORE, AFTER, BESIDE = UUID(int=21), UUID(int=22), UUID(int=23)  # deployments; the last of group EVAL
APPS, SYSTEMS, PAST, RINGED = UUID(int=31), UUID(int=32), UUID(int=33), UUID(int=34)  # roll-outs
FIRST, SECOND = UUID(int=41), UUID(int=42)  # releases
CRASH = UUID(int=51)
ABLE = DeviceUpdateStatus(abilities=("delta", "os"), directive_version=1, reason="", detail="", until=None, since=NOW)


def device_id(number: int) -> str:
    return f"{number:0128x}"


def image(image_id: UUID) -> Image:
    return Image(
        image_id=image_id, catalog_id=CATALOG, component_id=UUID(int=10), image_type=10, name="tap", size=5,
        sha256=image_id.bytes * 2, built_at=1, architecture="any", allowed_connections=("a",),
        regional_data_boundary="None", uploaded_at=NOW, uploaded_by="t",
    )  # fmt: skip


def release(release_id: UUID, version: str, feed: str) -> OsRelease:
    component = OsComponent(
        name="kernel", image_type=7, component_id=UUID(int=60), image_id=UUID(int=60 + release_id.int),
        digest=release_id.bytes * 2, security_version=1, size=9,
    )  # fmt: skip
    return OsRelease(
        release_id=release_id, chip="mt3620", version=version, feed=feed, components=(component,),
        created_at=NOW + release_id.int, os_abi=2, signed_at=NOW, published_at=NOW,
    )  # fmt: skip


def rollout(rollout_id: UUID, **changes: Any) -> Rollout:
    policy = RolloutPolicy(cohorts=(10, 100), rings=(Ring(name="lab", devices=(device_id(1), device_id(2))),))
    made = Rollout(
        rollout_id=rollout_id, catalog_id=CATALOG, group_id=GROUP, catalog="Contoso", product="Kettle",
        group="Production", deployment_id=AFTER, previous_deployment_id=BEFORE, policy=policy, state="running",
        cohort=-1, cohort_started_at=None, reason="", created_at=NOW, created_by="ana", changed_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def of_system() -> Rollout:
    return rollout(
        SYSTEMS, catalog_id=None, group_id=None, deployment_id=None, previous_deployment_id=None, release_id=SECOND,
        feed="Retail", catalog="", product="", group="",
    )  # fmt: skip


def fill(connection: Connection) -> None:
    """The owner, its devices of both kinds, what they should have and what they said."""
    catalog_rows.add_catalog(
        connection, Catalog(catalog_id=CATALOG, name="Contoso", resource_group="rg", tags={}, created_at=NOW)
    )
    catalog_rows.add_product(
        connection,
        Product(
            product_id=PRODUCT, catalog_id=CATALOG, catalog="Contoso", name="Kettle", description="", created_at=NOW
        ),
    )
    for group_id, name, feed in (
        (GROUP, "Production", "Retail"), (EVAL, "Field test", "RetailEval"), (BRIDGE, "Old", "Retail"),
    ):  # fmt: skip
        made = DeviceGroup(
            group_id=group_id, product_id=PRODUCT, catalog_id=CATALOG, catalog="Contoso", product="Kettle", name=name,
            description="", os_feed=feed, update_policy="UpdateAll", allow_crash_dumps="Disabled",
            regional_data_boundary="None", deployment_id=None, created_at=NOW,
        )  # fmt: skip
        catalog_rows.add_group(connection, made)
    for made_image in (image(OLD), image(NEW)):
        image_rows.add(connection, made_image)
    for deployment_id, group_id, image_id in ((BEFORE, GROUP, OLD), (AFTER, GROUP, NEW), (BESIDE, EVAL, NEW)):
        image_rows.add_deployment(
            connection,
            Deployment(
                deployment_id=deployment_id, group_id=group_id, catalog_id=CATALOG, images=(image(image_id),),
                created_at=NOW, created_by="ana", in_force_at=None, rollout_id=None,
            ),
        )  # fmt: skip
    image_rows.put_in_force(connection, BEFORE, GROUP, now=NOW)
    for made_release in (release(FIRST, "26.11", "Retail"), release(SECOND, "26.12", "RetailEval")):
        release_rows.add(connection, made_release)
    release_rows.raise_floor(connection, SecurityFloor(chip="mt3620", image_type=7, minimum=1, changed_at=NOW))
    schedule = UpdateSchedule(group_id=GROUP, check_interval_s=900, zone="Europe/Berlin", windows=("Sat 01:00-05:00",))
    for urgent_until in (None, NOW + 60):
        catalog_rows.put_update_schedule(connection, replace(schedule, urgent_until=urgent_until))
    bill = BillRow(
        release_id=SECOND, catalog_id=None, image_id=None, sha256=b"b" * 32, size=3, spec_version="1.6", components=1,
        added_at=NOW, added_by="t",
    )  # fmt: skip
    for added_by in ("t", "u"):
        image_rows.put_bill(connection, replace(bill, added_by=added_by))
    for number in range(1, DEVICES + 1):
        _device(connection, number)
    for number in range(DEVICES + 1, DEVICES + BRIDGED + 1):
        _bridged(connection, number)


def _device(connection: Connection, number: int) -> None:
    enrolled = device_rows.enrol(
        connection, device_id=device_id(number), chip="mt3620", chip_sku="MT3620AN", trust_tier="software",
        manufacturing_state="DeviceComplete", now=NOW,
    )  # fmt: skip
    assert enrolled == number
    group = GROUP if number % 5 else EVAL
    device_rows.claim(connection, device_id(number), catalog_id=CATALOG, group_id=group, now=NOW)
    has = InstalledImage(
        component_id=UUID(int=10), image_id=NEW if number % 3 == 0 else OLD, image_type=10, name="tap", state="running"
    )
    values = {
        "installed": device_rows.installed_text([has]),
        "update_status": device_rows.update_status_text(ABLE) if number % 4 else None,
        "checked_in_at": NOW + number if number % 6 else None,
        "verdict": "attested",
        "os_version": "26.11" if number % 7 else "26.12",
        "offered_deployment_id": AFTER,
    }
    mine = schema.device_status.c.device_number == number
    connection.execute(update(schema.device_status).where(mine).values(values))
    device_rows.keep_directive(connection, number, number)


def _bridged(connection: Connection, number: int) -> None:
    device_rows.enrol(
        connection, device_id=device_id(number), chip="bridge", chip_sku="b", trust_tier="unattested",
        manufacturing_state="DeviceComplete", now=NOW,
    )  # fmt: skip
    device_rows.claim(connection, device_id(number), catalog_id=CATALOG, group_id=GROUP, now=NOW)
    bridge_rows.add_device(connection, number, CATALOG, f"dev{number}", b"h" * 32, now=NOW + number)


def _released(connection: Connection) -> list[str]:
    """The order of releases of another chip, of which two came before others that were there."""
    for number, version, other in ((101, "1.1", None), (102, "3.1", None), (103, "1.2", 102), (104, "1.3", 102)):
        made = replace(release(UUID(int=number), version, "Retail"), chip="imx8mp")
        place = None if other is None else UUID(int=other)
        if version == "1.3":  # as a draft at first
            release_rows.add(connection, replace(made, published_at=None))
            release_rows.change(connection, made, at=NOW, before=place)
        else:
            release_rows.add(connection, made, before=place)
    return [one.version for one in release_rows.every(connection) if one.chip == "imx8mp"]


def play(connection: Connection) -> dict[str, Any]:
    """Two roll-outs from their start to a roll-back, as the planner makes them; what it saw at each step."""
    seen: dict[str, Any] = {"releases: order": _released(connection)}
    for made in (rollout(PAST, state="completed", deployment_id=BEFORE, previous_deployment_id=None), rollout(APPS)):
        rollout_rows.add(connection, made)
    rollout_rows.add(connection, of_system())
    starts.start(connection, PAST, 0, range(1, 10), now=NOW)
    starts.move(
        connection, PAST, [_moved(number, "reverted" if number < 3 else "confirmed") for number in range(1, 10)]
    )
    for rollout_id in (APPS, SYSTEMS):
        current = _of(connection, rollout_id)
        ring = reach.numbers_of(connection, current, current.policy.rings[0].devices)
        seen[f"ring {rollout_id}"] = sorted(ring)
        seen[f"started {rollout_id}"] = starts.start(connection, rollout_id, 0, sorted(ring), now=NOW)
        started, up_to, is_more = starts.start_next(connection, current, 1, 8, now=NOW + 1)
        seen[f"next {rollout_id}"] = (started, up_to, is_more)
        rollout_rows.change(connection, rollout_id, {"cohort": 1, "reach": up_to, "due": 0, "reached_at": NOW})
    seen["runners"] = starts.add_runners(connection, _of(connection, SYSTEMS), now=NOW)
    _say(connection)
    for name, wanted in (("apps", APPS), ("systems", SYSTEMS)):
        seen |= {f"{name}: {what}": found for what, found in looked(connection, _of(connection, wanted)).items()}
    numbers = sorted(connection.execute(select(schema.rollout_device.c.device_number).where(_is(APPS))).scalars())
    starts.move(connection, APPS, [_moved(number, "timed-out") for number in numbers[:3]])
    event = RolloutEvent(at=NOW, actor="planner", event="hold", reason="3 timed out", finding_id=CRASH)
    rollout_rows.note(connection, APPS, event)
    rollout_rows.change(connection, APPS, {"state": "held", "changed_at": NOW + 5})
    release_rows.set_feed(connection, SECOND, "Retail", at=NOW)
    seen |= {f"held: {what}": found for what, found in looked(connection, _of(connection, APPS)).items()}
    seen |= _crash_rates(connection)
    return seen | _ring_of_a_group(connection) | _trust(connection) | _asked(connection) | _alone(connection)


def _alone(connection: Connection) -> dict[str, Any]:
    """The roll-out of the OS once more, completed for the catalog alone: the one for all passes it over."""
    before_it = reach.devices_in_reach(connection, _of(connection, SYSTEMS))
    made = replace(of_system(), rollout_id=UUID(int=99), catalog_id=CATALOG, state="completed")
    rollout_rows.add(connection, made)
    assert (before_it > 0, reach.devices_in_reach(connection, _of(connection, SYSTEMS))) == (True, 0)
    return {
        "in reach of the catalog": reach.devices_in_reach(connection, _of(connection, made.rollout_id)),
        "what is left behind": rollout_rows.past_of_systems(connection),
    }


def _asked(connection: Connection) -> dict[str, Any]:
    """Feeds that somebody makes, whom a release concerns, bills of many, and a group that is asked to check in."""
    for name, to in (("Canary", "RetailEval"), ("Gone", "Retail")):
        release_rows.add_feed(connection, OwnFeed(name=name, follows=to, created_at=NOW, created_by="ana"))
    release_rows.remove_feed(connection, "Gone")
    bill = BillRow(
        release_id=None, catalog_id=CATALOG, image_id=NEW, sha256=b"i" * 32, size=3, spec_version="1.6", components=1,
        added_at=NOW, added_by="t",
    )  # fmt: skip
    image_rows.put_bill(connection, bill)
    asked = device_rows.ask_group(connection, EVAL, now=NOW, limit=DEVICES)
    return {
        "feeds": release_rows.follows(connection),
        "own feeds": release_rows.own_feeds(connection),
        "a feed is used by": release_rows.feed_used_by(connection, "Retail"),
        "who gets a feed": release_rows.devices_of_feeds(connection, "mt3620", ["Retail", "RetailEval"]),
        "who runs a release": release_rows.devices_running(connection, "mt3620", "26.12"),
        "bills of releases": image_rows.bills_of_releases(connection),
        "bills of images": list(image_rows.bills_of_images(connection, CATALOG, [OLD, NEW])),
        "asked": asked,
        "too many": len(device_rows.ask_group(connection, GROUP, now=NOW, limit=3)),
    }


def _crash_rates(connection: Connection) -> dict[str, Any]:
    """Crashes of devices that have the release, and of others; what of them is evidence, kept twice and pruned."""
    made = _of(connection, SYSTEMS)
    confirmed = sorted(connection.execute(select(schema.rollout_device.c.device_number).where(_is(SYSTEMS))).scalars())
    starts.move(connection, SYSTEMS, [_moved(number, "confirmed") for number in confirmed[:4]])
    for number in (confirmed[0], confirmed[3], confirmed[5], DEVICES):
        for sequence in (1, 2):
            told = ErrorReport(
                sequence=sequence, boot_count=1, event_category="Unplanned", event_class="App", event_type="AppCrash",
                description="d", component_id=UUID(int=10), image_id=OLD, count=number, start=NOW, end=NOW,
            )  # fmt: skip
            report_rows.add(connection, number, [told], [], at=NOW + 8)
    seen: dict[str, Any] = {"crashes: none kept": crash_rows.evidence(connection, made)}
    newest = report_rows.newest_number(connection, "error_report")
    found = crash_rows.crashed(connection, made, None, after=0, up_to=newest)
    seen["crashes: devices"] = found
    seen["crashes: of images"] = crash_rows.crashed(connection, made, [NEW], after=0, up_to=newest)
    first = crash_rows.KeptEvidence(newest, crash_rows.document_of((0.5, 1.5), 2, 1))
    counts = {one.number: one.crashes for one in found}
    seen["crashes: kept"] = [crash_rows.keep(connection, made, before, first, counts) for before in (None, None, first)]
    seen["crashes: evidence"] = crash_rows.evidence_from(first.document)
    seen["crashes: counted"] = crash_rows.counted(connection, made, 2)
    seen["crashes: again"] = crash_rows.crashed(connection, made, None, after=0, up_to=newest)
    seen["crashes: before"] = crash_rows.without_release(connection, made, devices=DEVICES)
    seen["crashes: living stay"] = crash_rows.prune(connection)
    return seen


def _ring_of_a_group(connection: Connection) -> dict[str, Any]:
    """A roll-out of two groups, of which a ring names one, that starts three of its devices."""
    path = "contoso/KETTLE/field test"
    beside = RolloutPart(
        group_id=EVAL, product="Kettle", group="Field test", deployment_id=BESIDE, previous_deployment_id=None
    )
    policy = RolloutPolicy(rings=(Ring(name="field", groups=(path,)),))
    rollout_rows.add(connection, rollout(RINGED, policy=policy, further=(beside,)))
    seen: dict[str, Any] = {"named groups": parts.named(connection, [path, "Contoso/Kettle/Nowhere"])}
    made = _of(connection, RINGED)
    seen["started of a group"] = starts.start_ring(connection, made, 0, [EVAL], 3, now=NOW)
    parts.set_previous(connection, RINGED, EVAL, BESIDE)
    made = _of(connection, RINGED)
    seen |= {"of two groups": made, "in reach of both": reach.devices_in_reach(connection, made)}
    seen["of the ring's group"] = rollout_rows.living_of_group(connection, EVAL)
    seen["tried before in both"] = before.taken_back_before(connection, made)
    seen["deployment of a part"] = rollout_rows.names(connection, BESIDE)
    return seen


def _trust(connection: Connection) -> dict[str, Any]:
    """Two trusted key stores, and devices that have the first, have the second, or try it."""
    first = TrustStoreRow(
        kind="keys", number=0, trusted={"os": ("A",), "images": ("B",)}, digest=b"0" * 32, created_at=NOW,
        in_force_at=NOW,
    )  # fmt: skip
    packages = tuple(
        TrustPackage(image_id=UUID(int=70 + number), size=3, sha256=bytes([number]) * 32, signed_by=signer)
        for number, signer in enumerate("AC")
    )
    second = replace(
        first, number=1, trusted={"os": ("A", "C"), "images": ("B",)}, digest=b"1" * 32, in_force_at=None,
        packages=packages,
    )  # fmt: skip
    gone = [trust_stores.add(connection, store) for store in (first, second)]
    for number in range(1, 13):
        reason = "trial" if number == 8 else ""
        digest = (first if number % 2 else second).digest.hex()
        said = replace(ABLE, trusted_keys=digest, trusted_roots=digest, reason=reason)
        mine = schema.device_status.c.device_number == number
        values = {"update_status": device_rows.update_status_text(said)}
        connection.execute(update(schema.device_status).where(mine).values(values))
    values = {
        "device_number": 7, "offer_id": UUID(int=70), "deployment_id": UUID(int=70), "image_id": UUID(int=70),
        "component_id": UUID(int=10), "outcome": "failed", "reason": "full", "at": NOW, "received_at": NOW,
    }  # fmt: skip
    connection.execute(insert(schema.outcome).values(values))
    counts = [trust_stores.having(connection, store, seen_since=NOW + 5) for store in (first, second)]
    trust_stores.put_in_force(connection, "keys", 1, now=NOW)
    kept = trust_stores.every(connection)
    gone.append(trust_stores.add(connection, replace(second, number=2, digest=b"2" * 32, packages=())))
    return {
        "trust: counts": counts,
        "trust: stores": kept,
        "trust: gone": [sorted(one) for one in gone][2],
        "trust: images": sorted(trust_stores.signed_images(connection, "")),
    }


def _moved(number: int, state: str) -> dict[str, object]:
    failure = None if state == "confirmed" else state
    return {"device_number": number, "state": state, "finished_at": NOW + 2, "failure": failure, "reason": "r"}


def _say(connection: Connection) -> None:
    """Check-ins, bad outcomes, a finding, refusals that are counted up, and bridged devices that work."""
    steps = connection.execute(
        insert(schema.appraisal_steps).values(digest=b"d" * 32, document="[]")
    ).inserted_primary_key
    assert steps is not None
    for number in range(1, 16):
        values = {
            "device_number": number, "at": NOW, "verdict": "attested", "steps_id": steps[0], "boot_count": 1,
            "os_version": "26.11", "certificate_serial": "", "certificate_not_after": NOW, "purpose": "client",
            "challenge_id": bytes([number]) * 16, "challenge_expires_at": NOW, "deployment_id": AFTER,
        }  # fmt: skip
        connection.execute(insert(schema.check_in).values(values))
    for number in (4, 7):
        values = {
            "device_number": number, "offer_id": AFTER, "deployment_id": AFTER, "image_id": NEW,
            "component_id": UUID(int=10), "outcome": "reverted", "reason": "it crashed", "at": NOW, "received_at": NOW,
        }  # fmt: skip
        connection.execute(insert(schema.outcome).values(values))
    crash = Finding(
        finding_id=CRASH, fingerprint="f", kind="application-crashed", severity="high", title="t", cause="c",
        device_ids=(device_id(4), device_id(9)), device_count=2, proposed_action="p", status="open", count=2,
        first_seen=NOW, last_seen=NOW, catalog_id=CATALOG, image_id=NEW,
    )  # fmt: skip
    for _ in range(2):
        finding_rows.observe(connection, crash)
    for count in (1, 2):
        report_rows.refused(connection, device_id="d", code="c", message="m", at=NOW, count=count)
    for refusal in report_rows.unread_refusals(connection, limit=10):
        assert report_rows.mark_read(connection, "refusal", {refusal.number: refusal.count - 1})
    admitted = BridgeAdmission(catalog_id=CATALOG, tenant="contoso", target_tokens=True, registers_into=BRIDGE)
    bridge_rows.set_admission(connection, admitted)
    bridge_rows.polled(connection, [(DEVICES + 1, NOW + 7), (DEVICES + 2, NOW + 8)], "unattested")
    for number in (DEVICES + 1, DEVICES + 2):
        action = action_rows.add(connection, number, AFTER, now=NOW)
        status = BridgeStatus(at=NOW, event="proceed", progress="1 of 2", code=200, messages=("a line",))
        action_rows.say(connection, action.number, status)
        if number % 2:
            done = _closed(action)
            action_rows.change(connection, done, final=True)
            action_rows.add_outcome(connection, done, NEW, UUID(int=10), "failed", at=NOW + 3)


def _closed(action: BridgeAction) -> BridgeAction:
    return replace(action, state="error", reason="flash is full", changed_at=NOW + 3)


def _of(connection: Connection, rollout_id: UUID) -> Rollout:
    found = rollout_rows.one(connection, rollout_id)
    assert found is not None
    return found


def _is(rollout_id: UUID) -> Any:
    return schema.rollout_device.c.rollout_id == rollout_id


def looked(connection: Connection, made: Rollout) -> dict[str, Any]:
    """Every question that planner, offers and pages have about a roll-out."""
    numbers, images = range(1, DEVICES + BRIDGED + 1), (NEW, UUID(int=60 + SECOND.int))
    return {
        "itself": made,
        "in reach": reach.devices_in_reach(connection, made),
        "out of place": reach.out_of_place(connection, made),
        "places": list(
            connection.execute(select(reach.place(made.rollout_id)).order_by(schema.device.c.number)).scalars()
        ),
        "reported": _sorted(looks.reported(connection, made, after=2, up_to=12)),
        "bridged": _sorted(looks.bridged(connection, made, since=NOW + DEVICES + 2)),
        "overdue": _sorted(looks.overdue(connection, made, timed_before=NOW, limit=100)),
        "never offered": _sorted(looks.never_offered(connection, made, limit=100)),
        "failures": looks.failures(connection, made, images, numbers),
        "tally": looks.tally(connection, made.rollout_id, NOW),
        "named": looks.named_by(connection, made.rollout_id, [CRASH]),
        "taken back before": before.taken_back_before(connection, made),
        "silent": before.silent_share(connection, made, before=NOW + 9, devices=DEVICES),
        "living": rollout_rows.living(connection),
        "of group": rollout_rows.living_of_group(connection, GROUP),
        "of feed": rollout_rows.living_of_feed(connection, "mt3620", "Retail"),
        "page": rollout_rows.page(connection, catalog_id=CATALOG, state=None, limit=10, before=None),
        "devices": rollout_rows.devices(connection, made.rollout_id, limit=5, after=None, now=NOW),
        "failed": rollout_rows.devices(connection, made.rollout_id, failed=True, limit=5, after=device_id(1), now=NOW),
        "names": rollout_rows.names(connection, AFTER),
        "headlines": finding_rows.headlines(connection, CATALOG),
        "unread": report_rows.unread_refusals(connection, limit=10),
        "schedules": catalog_rows.update_schedules(connection),
        "releases": release_rows.every(connection, drafts=True),
        "floors": release_rows.floors(connection),
        "release images": release_rows.image_ids(connection, SECOND),
        "component": release_rows.has_component(connection, "mt3620", SECOND.bytes * 2),
        "bill": image_rows.bill_of_release(connection, SECOND),
        "without bill": image_rows.without_bill(connection, CATALOG, [OLD, NEW]),
        "artifacts": image_rows.artifacts(connection),
        "of blob": image_rows.of_blob(connection, CATALOG, NEW.bytes * 2),
        "blobs": image_rows.named_blobs(connection),
        "names blobs": [image_rows.names_blob(connection, one) for one in (NEW.bytes * 2, SECOND.bytes * 2, bytes(32))],
        "directives": [device_rows.directive_version(connection, number) for number in numbers],
        "chips": device_rows.chips_of_group(connection, GROUP),
        "controllers": bridge_rows.devices(connection, CATALOG, prefix="dev3", limit=3, after=None),
        "tenant": bridge_rows.admission_of_tenant(connection, "contoso"),
        "actions": [action_rows.open_of(connection, number) for number in numbers],
        "newest action": action_rows.newest_of(connection, DEVICES + 1, AFTER),
        "said": action_rows.said(connection, 1),
    }


def _sorted(members: list[looks.Member]) -> list[looks.Member]:
    return sorted(members, key=lambda one: one.number)
