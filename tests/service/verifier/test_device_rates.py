# SPDX-License-Identifier: Apache-2.0
"""What one device can add to the records in a day is bounded, and honest devices notice nothing of it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.reports import reverted
from tests.service.conftest import Clock
from tests.service.watch.test_watch import report

from armillary.device.settings import RETRY_FIRST_S, RETRY_LIMIT_S
from armillary.device.state.backoff import Backoff
from armillary.engines.records.queries import check_ins as check_in_rows, reports as report_rows
from armillary.engines.records.queries.reports import SUPPRESSED
from armillary.errors import RateLimitedError
from armillary.service import loops
from armillary.service.verifier import device_rates as rates
from armillary.service.verifier.device_rates import Allowance, DeviceRates, Meter
from armillary.service.watch.watch import MAX_FINDINGS_OF_DEVICE
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import MAX_ERROR_REPORTS, MAX_OUTCOMES, UpdateOutcome
from armillary.wire.device.problem import parse_problem

RECORDS = Path(__file__).resolve().parents[3] / "docs" / "reference" / "records.md"
# What one device can open: its share by its own word, one for what is beyond it, what refusals and failed steps make.
FINDINGS = MAX_FINDINGS_OF_DEVICE + 1 + 6 + 20
DAY = range(86_400)


# -- the meter, by a fake clock -----------------------------------------------------------------------------------


def greedy(meter: Meter, seconds: range) -> int:
    """What a device gets that asks at every second for as much as there is."""
    taken = 0
    for now in seconds:
        amount = meter.left(7, now)
        meter.take(7, now, amount)
        taken += amount
    return taken


@pytest.mark.parametrize("allowance", [rates.CHECK_INS, rates.REPORTS, rates.OUTCOMES, Allowance(9, 0.5)])
def test_nobody_gets_more_in_a_day_than_the_allowance_says(allowance: Allowance) -> None:
    assert allowance.a_day - 2 <= greedy(Meter(allowance), DAY) <= allowance.a_day
    meter = Meter(allowance)
    greedy(meter, range(50_000))  # any 24 hours, not those from the start
    assert greedy(meter, range(50_000, 136_400)) <= allowance.a_day


def test_who_waits_as_long_as_it_was_told_is_taken() -> None:
    meter, source, now = Meter(Allowance(5, 7.5)), random.Random(1), 0  # noqa: S311 - repeatable
    for _ in range(2000):
        amount = source.randrange(1, 4)
        if wait := meter.wait_s(1, now, amount):
            assert meter.left(1, now) < amount
            assert meter.wait_s(1, now + wait - 1, amount) > 0, "not a second too long"
            now += wait
        assert meter.wait_s(1, now, amount) == 0
        meter.take(1, now, amount)
        now += source.randrange(3)


def test_who_is_forgotten_first_is_who_took_longest_ago() -> None:
    meter = Meter(Allowance(2, 1e6), limit=rates.SWEEP_AT)
    for number in (*range(rates.SWEEP_AT - 1), 0, 9998, 9999):  # with the last one there is one too many
        meter.take(number, 0)
    assert [meter.left(number, 0) for number in (0, 1, 2, 9999)] == [0, 2, 1, 1]


def test_a_clock_that_is_set_back_refuses_nobody() -> None:
    meter = Meter(rates.CHECK_INS)
    greedy(meter, range(1_000_000, 1_000_010))
    assert meter.wait_s(7, 1_000_010) > 0
    assert meter.wait_s(7, 10) == 0
    assert meter.left(7, 10) == rates.CHECK_INS.burst


def test_the_memory_is_bounded_and_forgets_who_is_whole() -> None:
    meter = Meter(Allowance(2, 10.0), limit=2000)
    for number in range(50_000):
        meter.take(number, number)
    assert len(meter) <= rates.SWEEP_AT
    for number in range(5000):
        meter.take(number, 60_000)
    assert len(meter) <= 2000
    assert meter.left(4999, 60_000) == 1


# -- honest devices -----------------------------------------------------------------------------------------------


def refusals(times: list[int], *, interval_s: int = 3600, attested: bool = True, tries: int = 1) -> int:
    """How many of these check-ins of one device would be refused; of each, the last try is one that is accepted."""
    made, refused = DeviceRates(interval_s), 0
    for now in times:
        try:
            for _ in range(tries):
                made.charge_check_in(1, now)
        except RateLimitedError:
            refused += 1
            continue
        made.took(1, now, attested=attested, reports=0, outcomes=0)
    return refused


@pytest.mark.parametrize(
    ("times", "interval_s"),
    [
        pytest.param(list(range(0, 90 * 86_400, 3300)), 3600, id="hourly for ninety days"),
        pytest.param(list(range(0, 86_400, 20)), 20, id="every interval of twenty seconds"),
        pytest.param(
            [second for hour in DAY[::3600] for second in (hour, hour + 2, hour + 9, hour + 70)], 3600, id="updates"
        ),
        pytest.param(list(range(0, 7100, 30)), 3600, id="a boot loop of two hours"),
        pytest.param([0] * 5 + list(range(600, 660, 2)), 3600, id="a storm of reconnects after an outage"),
    ],
)
def test_honest_devices_are_never_refused(times: list[int], interval_s: int) -> None:
    assert refusals(times, interval_s=interval_s) == 0


@pytest.mark.parametrize(
    ("times", "interval_s", "tries"),
    [
        pytest.param(list(range(0, 90 * 86_400, 3300)), 3600, 2, id="each challenge is too old, hourly"),
        pytest.param(list(range(0, 86_400, 20)), 20, 2, id="each challenge is too old, every twenty seconds"),
        pytest.param(list(range(0, 1200, 60)), 3600, 5, id="twenty boots with a later version of the protocol"),
    ],
)
def test_nor_are_those_that_were_refused_and_prove_again_at_once(times: list[int], interval_s: int, tries: int) -> None:
    assert refusals(times, interval_s=interval_s, tries=tries) == 0


@pytest.mark.parametrize("seed", range(5))
def test_who_is_refused_for_days_and_waits_as_devices_do_is_heard_each_time(seed: int) -> None:
    """A service whose records were lost, or whose clock is wrong: each try is two, with the challenge and a new one."""
    backoff, made, now = Backoff(RETRY_FIRST_S, RETRY_LIMIT_S, random.Random(seed).random), DeviceRates(3600), 0.0  # noqa: S311 - repeatable
    while now < 7 * 86_400:
        for _ in range(2):
            made.charge_check_in(1, int(now))
        now += backoff.failed()


def test_a_boot_loop_without_end_still_gets_its_certificates() -> None:
    times = list(range(0, 86_400, 15))
    assert len(times) - refusals(times) >= 1440, "one a minute"
    assert len(times) - refusals(times, attested=False) >= 300


# -- at the endpoint ----------------------------------------------------------------------------------------------


def numbers(host: ServiceHost, table: str) -> int:
    return host.service.context.records.read(lambda c: int(c.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()))  # noqa: S608 - fixed names


def small(monkeypatch: pytest.MonkeyPatch, **allowances: Allowance) -> None:
    for name, allowance in allowances.items():
        monkeypatch.setattr(rates, name, allowance)


def answer(device: WireDevice, **told: Any) -> Any:
    return device.exchange("POST", "/v1/check-in", device.request_body(device.fetch_challenge(), **told))


def outcome(number: int) -> UpdateOutcome:
    return reverted(outcome="failed", reason="r" * 512, at=number)


def test_a_device_that_comes_too_often_waits_and_others_do_not(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check-ins and outcomes: refused with a time, nothing of it recorded, taken when the time has come."""
    small(monkeypatch, CHECK_INS=Allowance(6, 60.0), OUTCOMES=Allowance(MAX_OUTCOMES, 300.0))
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0) as host:
        host.catalog()
        with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
            assert [answer(device).status for _ in range(6)] == [200] * 6
            late = answer(device)
            problem = parse_problem(late.body)
            assert (late.status, problem.code, problem.retry_after_s) == (429, "device.try-later", 60)
            assert late.headers["retry-after"] == "60"
            assert other.check_in().verdict == "attested"
            clock.now += 60
            assert [answer(device).status for _ in range(2)] == [200, 429]
            assert numbers(host, "check_in") == 8
            clock.now += 3600
            assert answer(device, outcomes=tuple(outcome(n) for n in range(MAX_OUTCOMES))).status == 200
            late = answer(device, outcomes=(outcome(99),))
            assert (late.status, parse_problem(late.body).retry_after_s) == (429, 300)
            assert answer(device).status == 200, "a check-in without outcomes goes on"
            clock.now += 300
            assert answer(device, outcomes=(outcome(99),)).status == 200
            assert numbers(host, "outcome") == MAX_OUTCOMES + 1
            assert host.service.health()["device_endpoint"]["counts"]["refused 429"] == 3  # type: ignore[index]


def test_each_check_in_is_charged_once_whatever_comes_of_it(host: ServiceHost, clock: Clock) -> None:
    server = host.service.serving.server
    assert server is not None
    left = server.verifier._rates._check_ins.left
    with host.claimed(b"a" * 32) as device:
        number = server.states.admitted(device.device_id).number

        def cost(body: bytes, status: int) -> int:
            before = left(number, int(clock.now))
            assert device.exchange("POST", "/v1/check-in", body).status == status
            return before - left(number, int(clock.now))

        good = device.request_body(device.fetch_challenge())
        assert cost(good, 200) == 1
        assert cost(good, 401) == 1, "spent"
        assert cost(device.request_body(bytes(54)), 401) == 1, "of nobody"
        assert cost(b"", 400) == 1
        device.prover.components = (replace(device.prover.components[0], content=b"!"),)
        device.prover.boot()
        assert cost(device.request_body(device.fetch_challenge()), 200) == rates.UPDATE_ONLY_COST
        before = left(number, int(clock.now))
        assert device.exchange("GET", "/v1/challenge").status == 200
        assert left(number, int(clock.now)) == before, "a challenge costs nothing"


def test_a_check_in_that_is_not_attested_counts_as_four(host: ServiceHost) -> None:
    """It adds to the records what failed, in words of its own."""
    with host.claimed(b"a" * 32) as device:
        good = device.prover.components
        device.prover.components = (*good[:-1], replace(good[-1], content=good[-1].content + b"!"))
        device.prover.boot()
        told = [answer(device).status for _ in range(2 + rates.CHECK_INS.burst // rates.UPDATE_ONLY_COST)]
    assert told == [200] * (rates.CHECK_INS.burst // rates.UPDATE_ONLY_COST) + [429, 429]


def test_reports_beyond_the_share_are_counted_exactly_and_the_check_in_goes_on(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, REPORTS=Allowance(10, 600.0))
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0) as host:
        host.catalog()
        with host.claimed(b"a" * 32) as device:
            sent = [report(device, n, "AppCrash", f"crash {n}") for n in range(1, 26)]
            for _ in range(2):  # the reply was lost: told again, all of it
                assert device.check_in(error_reports=tuple(sent)).verdict == "attested"
                host.service.watch.run_once()  # what is counted up after it has looked is not lost
            more = (*sent[20:], report(device, 30, "AppCrash", "crash 30"))  # five of them again, and a new one
            assert device.check_in(error_reports=more).verdict == "attested"
            stored = host.service.registry.history.error_reports(device_id=device.device_id).items
            counted = [row for row in stored if row.event_type == SUPPRESSED]
            assert sorted(row.sequence for row in stored if row not in counted) == list(range(1, 11))
            assert [row.count for row in counted] == [16], "11 to 25 and 30, once each"
            clock.now += 3600  # six more are kept
            later = tuple(report(device, n, "AppCrash", "later") for n in range(40, 50))
            device.check_in(error_reports=later)
            stored = host.service.registry.history.error_reports(
                device_id=device.device_id, event_type=SUPPRESSED
            ).items
            assert [row.count for row in stored] == [4, 16]
            host.service.watch.run_once()
            (finding,) = host.service.watch.list(kind="reports-suppressed").items
            assert (finding.count, finding.device_ids) == (20, (device.device_id,))
            fake = report(device, 60, SUPPRESSED, "made up")
            clock.now += 3600
            device.check_in(error_reports=(fake,))
            host.service.watch.run_once()
            assert host.service.watch.get(finding.finding_id).count == 20, "no device writes the service's own row"


def test_refusals_of_a_day_are_folded_and_counted(host: ServiceHost) -> None:
    write, most = host.service.context.records.write, report_rows.MAX_REFUSALS_A_DAY

    def flood(connection: Any) -> None:
        for minute in range(most + 200):
            for _ in range(2):
                report_rows.refused(
                    connection, device_id="d", code="wire.malformed", message="m", at=90_000 + minute * 60
                )
        report_rows.refused(connection, device_id="other", code="wire.malformed", message="m", at=90_000 + most * 60)

    write(flood)
    assert numbers(host, "refusal") == most + 1 + 1
    found = host.service.context.records.read(
        lambda c: c.exec_driver_sql("SELECT sum(count) FROM refusal WHERE device_id = 'd'").scalar()
    )
    assert found == 2 * (most + 200)


def test_what_is_kept_of_one_device_is_bounded_by_age_and_by_number(host: ServiceHost, clock: Clock) -> None:
    records = host.service.context.records
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        for place in range(6):
            device.check_in(
                error_reports=(report(device, place + 1, "AppCrash", "x"),), outcomes=(outcome(place), outcome(place))
            )
        other.check_in(error_reports=(report(other, 1, "AppCrash", "x"),))
        now = int(clock.now)
        records.write(lambda c: report_rows.prune(c, before=0, most=4))
        assert (numbers(host, "error_report"), numbers(host, "outcome")) == (4 + 1, 4)
        rows = host.service.registry.history.error_reports(device_id=device.device_id).items
        assert sorted(row.sequence for row in rows) == [3, 4, 5, 6], "the newest stay"
        records.write(lambda c: check_in_rows.prune(c, before=0, now=now, most=2))
        assert numbers(host, "check_in") == 7, "a challenge that lives is refused a second time by its row"
        later = now + 90 * 86_400
        records.write(lambda c: check_in_rows.prune(c, before=0, now=later, most=2))
        assert numbers(host, "check_in") == 2 + 1
        records.write(lambda c: report_rows.prune(c, before=later, most=4))
        assert (numbers(host, "error_report"), numbers(host, "outcome")) == (0, 0)


def test_the_daily_clean_up_keeps_to_both(host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that wires it: by number, then by age."""
    running = host.service._loops
    assert running is not None
    monkeypatch.setattr(loops, "KEEP_REPORTS", 2)
    with host.claimed(b"a" * 32) as device:
        for place in range(4):
            device.check_in(error_reports=(report(device, place + 1, "AppCrash", "x"),), outcomes=(outcome(place),))
        running._clean_up()
        assert (numbers(host, "error_report"), numbers(host, "outcome"), numbers(host, "check_in")) == (2, 2, 4)
        monkeypatch.setattr(loops, "KEEP_S", 0)
        clock.now += 1
        running._clean_up()
        assert (numbers(host, "error_report"), numbers(host, "outcome")) == (0, 0)


# -- the bound ----------------------------------------------------------------------------------------------------


def grown(host: ServiceHost) -> int:
    """Bytes of the records' pages in use."""
    read = host.service.context.records.read
    pages, free, size = (
        read(lambda c, name=name: int(c.exec_driver_sql(f"PRAGMA {name}").scalar()))  # type: ignore[misc]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def test_a_flood_of_the_largest_of_everything_takes_no_more_than_the_constants_say(
    host: ServiceHost, clock: Clock
) -> None:
    """As much as one device gets through in the burst: counted in rows, and measured in the file."""
    with host.claimed(b"a" * 32) as device:
        device.check_in()
        word = "\u00fc" * 508
        before, rows_before = grown(host), {name: numbers(host, name) for name in ("check_in", "appraisal_steps")}
        sequence, statuses = 0, []
        for place in range(150):
            many = MAX_ERROR_REPORTS if place < 24 or place % 8 == 0 else 0  # the burst of reports is over after eight
            reports = tuple(report(device, sequence + n, "AppCrash", f"{place:04}{n:04}{word}") for n in range(many))
            sequence += len(reports)
            outcomes = tuple(outcome(place * 100 + n) for n in range(16)) if place < 16 else ()
            # every third time a boot that has its own words of what is wrong
            device.prover.os_version = f"{place:04}{'u' * 28}" if place % 3 == 0 else "26.11"
            device.prover.boot()
            statuses.append(answer(device, error_reports=reports, outcomes=outcomes).status)
            clock.now += 1
        host.service.watch.run_once()
        counts = {name: numbers(host, name) for name in ("error_report", "outcome", "finding")}
        made = numbers(host, "check_in") - rows_before["check_in"]
        steps = numbers(host, "appraisal_steps") - rows_before["appraisal_steps"]
        assert 50 < made <= rates.CHECK_INS.burst + 4
        assert steps > 20
        assert counts["error_report"] <= rates.REPORTS.burst + 4
        assert counts["outcome"] <= rates.OUTCOMES.burst + MAX_OUTCOMES
        assert counts["finding"] <= FINDINGS
        assert statuses.count(429) >= 25, "the flood was refused"
        used = grown(host) - before
        allowed = (
            made * rates.CHECK_IN_BYTES
            + steps * rates.STEPS_BYTES
            + counts["error_report"] * rates.REPORT_BYTES
            + counts["outcome"] * rates.OUTCOME_BYTES
            + counts["finding"] * rates.FINDING_BYTES
            + 64 * 1024  # half-filled pages of some twenty tables and indexes
        )
        assert used <= allowed, (used, allowed, made, steps, counts)


def test_the_daily_bound_is_written_down() -> None:
    bound = rates.daily_bound(findings=FINDINGS)
    told = RECORDS.read_text("utf-8")
    for name, count in bound._asdict().items():
        assert f"| {name.replace('_', ' ')} | {count:,} |" in told, (name, count)
    assert f"{bound.rows:,} rows and {bound.size / 1e6:.0f} MB" in told, (bound.rows, bound.size)
    four = rates.daily_bound(findings=FINDINGS, workers=4)
    assert bound.size < four.size < 4 * bound.size
