# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.cbor_items import items_of
from tests.wire.checkin_samples import IMAGE, OFFER, OUTCOME, REPLY, REPORT, REQUEST

from armillary.errors import WireError
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.device import checkin as ci
from armillary.wire.device.challenge import Challenge, encode_challenge, parse_challenge
from armillary.wire.device.crash_record import MAX_FRAMES, MAX_REGISTERS, CrashRecord, Frame
from armillary.wire.device.offer_timing import OfferTiming
from armillary.wire.device.problem import Problem, encode_problem, parse_problem
from armillary.wire.device.update_status import ABILITIES, UpdateStatus, status_fields, status_from_fields
from armillary.wire.encoding import cbor


def test_request_round_trip():
    data = ci.encode_request(REQUEST)
    for _ in range(2):  # the second time from the cache
        parsed = ci.parse_request(data)
        assert parsed == REQUEST
        assert parsed.report_digest == sha256(ci.encode_report((IMAGE,), (OUTCOME,), (REPORT,))).digest()
    assert cbor.encode(cbor.decode(data, what="t", limit=10_000)) == data


def test_cached_and_long_reports_are_the_same():
    many = dataclasses.replace(REQUEST, error_reports=(dataclasses.replace(REPORT, description="x" * 1024),) * 32)
    assert ci.parse_request(ci.encode_request(many)) == many
    nothing = ci.CheckinRequest(evidence=b"e", endorsement=b"n", event_log=b"l")
    assert ci.parse_request(ci.encode_request(nothing)) == nothing


@pytest.mark.parametrize("offer", [None, OFFER, dataclasses.replace(OFFER, deployment_id=None, images=())])
def test_reply_round_trip(offer: Any):
    reply = dataclasses.replace(REPLY, offer=offer)
    data = ci.encode_reply(reply)
    assert ci.parse_reply(data) == reply
    assert cbor.encode(cbor.decode(data, what="t", limit=10_000)) == data


def test_reply_says_what_a_step_prevents_only_where_it_did_not_pass():
    step = ci.AppraisalStep(1, "connection key", "Somebody else.", "pass", "")
    parsed = ci.parse_reply(ci.encode_reply(dataclasses.replace(REPLY, steps=(step,))))
    assert parsed.steps == (dataclasses.replace(step, prevents=""),)


def test_challenge_round_trip():
    message = Challenge(b"c" * 54, 1_790_000_000)
    assert parse_challenge(encode_challenge(message)) == message


@pytest.mark.parametrize("retry", [None, 30])
def test_problem_round_trip(retry: int | None):
    problem = Problem("device.try-later", "Too many.", "Wait.", retry)
    assert parse_problem(encode_problem(problem)) == problem


REPORT_BYTES = ci.encode_report((), (), ())
STATUS = [["delta", "os"], 7, "window", "opens at night", 1_790_000_000]
STATUS_BYTES = cbor.encode([[], [], [], STATUS])
INSTALLED = [bytes(16), bytes(16), 10, "n", "running"]
ENDED = [bytes(16), bytes(16), bytes(16), "failed", "", 0]
ERROR = [1, 1, "Planned", "OS", "OSUpdate", "", None, None, 1, 5, 5]


def report(*, installed: Any = (), outcomes: Any = (), errors: Any = ()):
    return cbor.encode([list(installed), list(outcomes), list(errors)])


def put(values: Any, at: int, value: Any):
    return [*values[:at], value, *values[at + 1 :]]


def test_request_variants_positive_control():
    data = report(installed=[INSTALLED], outcomes=[ENDED], errors=[ERROR])
    assert ci.parse_request(cbor.encode([1, b"", b"", b"", data])).installed[0].name == "n"


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        [1, b"", b"", b""],
        [1, b"", b"", b"", REPORT_BYTES, b""],
        [0, b"", b"", b"", REPORT_BYTES],
        [2, b"", b"", b"", REPORT_BYTES],
        [True, b"", b"", b"", REPORT_BYTES],
        ["1", b"", b"", b"", REPORT_BYTES],
        [1, "", b"", b"", REPORT_BYTES],
        [1, b"", None, b"", REPORT_BYTES],
        [1, b"", b"", 5, REPORT_BYTES],
        [1, b"", b"", b"", [[], [], []]],
        [1, b"", b"", b"", b""],
        [1, b"", b"", b"", REPORT_BYTES + b"\0"],
        *(
            [1, b"", b"", b"", data]
            for data in (
                cbor.encode([[], []]),
                cbor.encode([[], [], [], []]),
                cbor.encode([[], [], [], STATUS, []]),
                cbor.encode([[], [], [], STATUS]),
                cbor.encode([{}, [], []]),
                report(installed=[INSTALLED] * 65),
                report(outcomes=[ENDED] * 33),
                report(errors=[ERROR] * 33),
                report(installed=[INSTALLED[:4]]),
                report(installed=[put(INSTALLED, 0, bytes(15))]),
                report(installed=[put(INSTALLED, 2, -1)]),
                report(installed=[put(INSTALLED, 3, "x" * 65)]),
                report(installed=[put(INSTALLED, 4, "paused")]),
                report(outcomes=[put(ENDED, 3, "ok")]),
                report(outcomes=[put(ENDED, 4, "x" * 513)]),
                report(outcomes=[put(ENDED, 5, -1)]),
                report(outcomes=[put(ENDED, 5, 2**60)]),
                report(errors=[ERROR[:10]]),
                report(errors=[put(ERROR, 2, "Sudden")]),
                report(errors=[put(ERROR, 3, "Kernel")]),
                report(errors=[put(ERROR, 4, "")]),
                report(errors=[put(ERROR, 5, "x" * 1025)]),
                report(errors=[put(ERROR, 6, b"short")]),
                report(errors=[put(ERROR, 8, 0)]),
                report(errors=[put(ERROR, 9, 6)]),
            )
        ),
    ],
)
def test_other_requests_are_refused(value: Any):
    with pytest.raises(WireError):
        ci.parse_request(cbor.encode(value))


@pytest.mark.parametrize("quote", [None, b"q"])
@pytest.mark.parametrize("lineage", [b"", b"l" * ci.MAX_LINEAGE_BYTES])
def test_a_request_that_shows_a_lineage_has_a_version_of_its_own(quote: bytes | None, lineage: bytes):
    request = ci.parse_request(cbor.encode([3, b"e", b"f", b"g", REPORT_BYTES, quote, lineage]))
    assert (request.protocol_version, request.tpm_quote, request.lineage) == (3, quote, lineage)
    assert ci.parse_request(ci.encode_request(request)) == request


@pytest.mark.parametrize("rest", [[], [None], [b"q", None], [b"q", b"l" * 65], [None, "l"], [None, b"l", b""]])
def test_other_lineages_are_refused(rest: list[Any]):
    with pytest.raises(WireError):
        ci.parse_request(cbor.encode([3, b"e", b"f", b"g", REPORT_BYTES, *rest]))


QUOTE, LINEAGE = b"q", b"l" * 54
FIRMWARE = [bytes(8 * 32), b"log"]
OPTIONAL = [[], [QUOTE], [None, LINEAGE], [QUOTE, LINEAGE], [QUOTE, None, FIRMWARE], [QUOTE, LINEAGE, FIRMWARE]]


@pytest.mark.parametrize("rest", OPTIONAL)
def test_a_request_with_an_update_status_has_a_version_of_its_own(rest: list[Any]):
    data = cbor.encode([5, b"e", b"f", b"g", STATUS_BYTES, *rest])
    request = ci.parse_request(data)
    quote, lineage, firmware = (*rest, None, None, None)[:3]
    assert (request.protocol_version, request.tpm_quote, request.lineage) == (5, quote, lineage)
    assert (request.firmware is None) == (firmware is None)
    assert request.update_status == UpdateStatus(
        abilities=("delta", "os"),
        directive_version=7,
        reason="window",
        detail="opens at night",
        until=1_790_000_000,
    )
    assert request.report_digest == sha256(STATUS_BYTES).digest()  # what the evidence signs: the status is in it
    assert ci.encode_request(request) == data


@pytest.mark.parametrize(
    "rest", [[None], [QUOTE, None], [None, None, FIRMWARE], [None, LINEAGE, FIRMWARE], [QUOTE, LINEAGE, FIRMWARE, b""]]
)
def test_other_requests_with_an_update_status_are_refused(rest: list[Any]):
    with pytest.raises(WireError):
        ci.parse_request(cbor.encode([5, b"e", b"f", b"g", STATUS_BYTES, *rest]))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_an_update_status_is_in_version_5_and_in_no_other(version: int):
    rest = {1: [], 2: [QUOTE], 3: [None, LINEAGE], 4: [QUOTE, None, FIRMWARE], 5: []}[version]
    right, wrong = (REPORT_BYTES, STATUS_BYTES) if version < 5 else (STATUS_BYTES, REPORT_BYTES)
    assert ci.parse_request(cbor.encode([version, b"e", b"f", b"g", right, *rest])).protocol_version == version
    with pytest.raises(WireError, match="update status"):
        ci.parse_request(cbor.encode([version, b"e", b"f", b"g", wrong, *rest]))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, ["os", "delta"]),
        (0, ["os", "os"]),
        (0, ["fly"]),
        (0, "os"),
        (1, -1),
        (1, 2**53 + 1),
        (1, None),
        (2, "r" * 65),
        (2, None),
        (3, "d" * 257),
        (4, -1),
        (4, "soon"),
    ],
)
def test_other_update_statuses_are_refused(at: int, value: Any):
    assert status_from_fields(STATUS).directive_version == 7
    with pytest.raises(WireError):
        status_from_fields(put(STATUS, at, value))


def test_an_update_status_may_say_what_the_device_trusts() -> None:
    trusted = [b"k" * 32, b"r" * 32]
    status = status_from_fields([*STATUS, trusted])
    assert [status.trusted_keys, status.trusted_roots] == trusted
    assert status_fields(status) == [*STATUS, trusted]
    assert status_fields(status_from_fields(STATUS)) == STATUS, "a device that does not say it is as before"


@pytest.mark.parametrize(
    "rest", [[None], [[]], [[b"k" * 32]], [[b"k" * 31, b"r" * 32]], [[b"k" * 32, "r"]], [[b"k" * 32, b"r" * 32], 1]]
)
def test_other_words_on_trust_are_refused(rest: list[Any]) -> None:
    with pytest.raises(WireError):
        status_from_fields([*STATUS, *rest])


def directed(**changes: Any) -> ci.CheckinReply:
    return dataclasses.replace(REPLY, protocol_version=ci.DIRECTIVE_REPLY_VERSION, offer=None, **changes)


@pytest.mark.parametrize("directive", [None, b"signed", bytes(ci.MAX_DIRECTIVE_BYTES)])
def test_a_reply_with_a_directive_round_trip(directive: bytes | None):
    data = ci.encode_reply(directed(directive=directive))
    assert ci.parse_reply(data) == directed(directive=directive)
    assert len(cbor.decode(data, what="t", limit=100_000)) == 13


def test_a_reply_of_version_2_offers_all_of_an_offer_and_one_of_version_1_what_it_always_did():
    whole = dataclasses.replace(OFFER, os_version="26.12", os_abi=3, when=OfferTiming(not_before=5, urgent=True))
    reply = dataclasses.replace(REPLY, offer=whole)
    assert ci.parse_reply(ci.encode_reply(reply)).offer == OFFER
    assert ci.parse_reply(ci.encode_reply(dataclasses.replace(reply, protocol_version=2))).offer == whole


@pytest.mark.parametrize(
    ("at", "value"), [(12, "directive"), (12, bytes(ci.MAX_DIRECTIVE_BYTES + 1)), (0, 1), (6, [bytes(16), None, []])]
)
def test_other_replies_with_a_directive_are_refused(at: int, value: Any):
    fields = cbor.decode(ci.encode_reply(directed(directive=b"d")), what="t", limit=100_000)
    with pytest.raises(WireError):
        ci.parse_reply(cbor.encode(put(fields, at, value)))


@pytest.mark.parametrize("dumps", [ci.NO_DUMPS, ci.SCRUBBED_DUMPS, ci.FULL_DUMPS])
def test_a_reply_that_says_what_dumps_may_hold_round_trip(dumps: int):
    reply = directed(dumps=dumps)
    reply = dataclasses.replace(reply, protocol_version=ci.CONSENT_REPLY_VERSION)
    data = ci.encode_reply(reply)
    assert ci.parse_reply(data) == reply
    assert len(cbor.decode(data, what="t", limit=100_000)) == 14
    for at, value in ((13, 3), (13, -1), (13, True), (0, 2), (0, 4), (0, 5)):
        fields = cbor.decode(data, what="t", limit=100_000)
        with pytest.raises(WireError):
            ci.parse_reply(cbor.encode(put(fields, at, value)))


def test_a_reply_of_before_consents_to_nothing():
    assert ci.parse_reply(ci.encode_reply(directed(dumps=ci.FULL_DUMPS))).dumps == ci.NO_DUMPS


@pytest.mark.parametrize("asked", [None, UUID(int=7)])
def test_a_reply_that_says_which_request_for_the_log_waits_round_trip(asked: UUID | None):
    reply = dataclasses.replace(
        directed(dumps=ci.SCRUBBED_DUMPS, log_request=asked), protocol_version=ci.LOG_REPLY_VERSION
    )
    data = ci.encode_reply(reply)
    assert ci.parse_reply(data) == reply
    assert len(cbor.decode(data, what="t", limit=100_000)) == 15
    for at, value in ((14, b"short"), (14, "text"), (14, 0), (0, 3), (0, 5)):
        fields = cbor.decode(data, what="t", limit=100_000)
        with pytest.raises(WireError):
            ci.parse_reply(cbor.encode(put(fields, at, value)))


def test_a_reply_of_before_asks_for_no_log():
    reply = dataclasses.replace(directed(log_request=UUID(int=7)), protocol_version=ci.CONSENT_REPLY_VERSION)
    assert ci.parse_reply(ci.encode_reply(reply)).log_request is None


@pytest.mark.parametrize("rest", OPTIONAL)
def test_a_request_of_version_8_is_of_a_device_that_sends_its_log(rest: list[Any]):
    report = cbor.encode([[], [], [], put(STATUS, 0, ["delta", "log", "os"])])
    data = cbor.encode([8, b"e", b"f", b"g", report, *rest])
    request = ci.parse_request(data)
    assert request.update_status is not None
    assert (request.protocol_version, request.update_status.abilities) == (8, ("delta", "log", "os"))
    assert ci.encode_request(request) == data


@pytest.mark.parametrize(
    ("version", "abilities"), [(8, ["delta", "os"]), (7, ["delta", "log", "os"]), (5, ["log"]), (8, [])]
)
def test_the_ability_to_send_the_log_and_its_version_go_together(version: int, abilities: list[str]):
    report = cbor.encode([[], [], [], put(STATUS, 0, abilities)])
    with pytest.raises(WireError, match="ability log"):
        ci.parse_request(cbor.encode([version, b"e", b"f", b"g", report]))


def test_each_request_has_the_reply_that_its_version_says():
    versions = {version: ci.reply_version(version) for version in range(1, ci.LOG_VERSION + 1)}
    assert versions == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2, 7: 3, 8: 4}


def test_a_reply_with_a_directive_and_an_offer_is_refused():
    both = dataclasses.replace(REPLY, protocol_version=2, directive=b"d")
    with pytest.raises(WireError, match="got both"):
        ci.parse_reply(ci.encode_reply(both))


def test_a_lineage_cannot_be_left_out_or_exchanged():
    digests = {ci.signed_digest(b"d" * 32, lineage) for lineage in (None, b"", b"l", b"m" * 54)}
    assert len(digests) == 4


def test_protocol_version_has_its_own_code():
    with pytest.raises(WireError) as caught:
        ci.parse_request(cbor.encode([9, b"", b"", b"", REPORT_BYTES]))
    assert caught.value.code == "wire.protocol-version"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),  # has one item more
        (0, 3),
        (1, "trusted"),
        (2, [[1]]),
        (2, [[1, "n", "p", "pass", ""]]),
        (2, [[1, "n", "p", "maybe", "d"]]),
        (2, [[1, "n"]] * 33),
        (3, [b""] * 5),
        (3, ["pem"]),
        (3, [bytes(8193)]),
        (4, "server"),
        (5, bytes(15)),
        (6, []),
        (6, [bytes(16), bytes(3), []]),
        (6, [bytes(16), None, [[bytes(16), bytes(16), 10, "n", 1, bytes(31)]]]),
        (6, [bytes(16), None, [[bytes(16), bytes(16), 10, "n", -1, bytes(32)]]]),
        (7, -1),
        (7, 2**40),
        (8, bytes(65)),
        (9, -1),
        (10, "h" * 254),
        (11, 65536),
    ],
)
def test_other_replies_are_refused(at: int, value: Any):
    fields = cbor.decode(ci.encode_reply(REPLY), what="t", limit=10_000)
    assert ci.parse_reply(cbor.encode(fields)) == REPLY
    with pytest.raises(WireError):
        ci.parse_reply(cbor.encode(put(fields, at, value)))


@pytest.mark.parametrize(
    "value", [{}, [1, b"c"], [2, b"c", 1], [1, "c", 1], [1, bytes(65), 1], [1, b"c", -1], [1, b"c", 1.0 * 0 == 0]]
)
def test_other_challenges_are_refused(value: Any):
    with pytest.raises(WireError):
        parse_challenge(cbor.encode(value))


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"code": "c", "message": "m"},
        {"code": "c", "message": "m", "remedy": "r", "extra": 1},
        {"code": 1, "message": "m", "remedy": "r"},
        {"code": "c", "message": "m", "remedy": "r", "retry_after_s": -1},
    ],
)
def test_other_problems_are_refused(value: Any):
    with pytest.raises(WireError):
        parse_problem(cbor.encode(value))


def test_size_limits():
    for parse in (ci.parse_request, ci.parse_reply, parse_challenge, parse_problem):
        with pytest.raises(WireError, match="at most"):
            parse(bytes(1024 * 1024))
    with pytest.raises(WireError, match="at most"):
        ci.encode_request(dataclasses.replace(REQUEST, evidence=bytes(ci.MAX_REQUEST_BYTES)))
    with pytest.raises(WireError, match="at most"):
        ci.encode_reply(dataclasses.replace(REPLY, certificate_chain=(bytes(ci.MAX_REPLY_BYTES),)))


def test_a_report_with_everything_at_its_limits_has_no_more_items_than_are_taken():
    frames = (Frame("m", b"b", 1, "f"),) * MAX_FRAMES
    registers = tuple((f"r{number}", 1) for number in range(MAX_REGISTERS))
    crashed = CrashRecord(signal=None, exit_code=1, cause="c", build_id=b"b", frames=frames, registers=registers)
    full = dataclasses.replace(
        REQUEST,
        installed=(IMAGE,) * ci.MAX_INSTALLED,
        outcomes=(dataclasses.replace(OUTCOME, reason=""),) * ci.MAX_OUTCOMES,
        error_reports=(dataclasses.replace(REPORT, crash=crashed),) * ci.MAX_ERROR_REPORTS,
        update_status=UpdateStatus(abilities=tuple(sorted(ABILITIES)), trusted_keys=b"k" * 32, trusted_roots=b"r" * 32),
        protocol_version=ci.LOG_VERSION,
        tpm_quote=b"quote",
        lineage=b"lineage",
        firmware=FirmwareLog(bytes(256), b"log"),
    )
    data = ci.encode_request(full)
    assert ci.parse_request(data) == full
    items = cbor.decode(data, what="t", limit=len(data))
    assert items_of(items) == 11 <= ci.MAX_REQUEST_ITEMS
    assert items_of(cbor.decode(items[4], what="t", limit=len(data))) == 7633 <= ci.MAX_REPORT_ITEMS


def test_more_items_than_any_request_has_are_refused_before_they_are_made():
    with pytest.raises(WireError, match="check-in request: expected at most 64 items"):
        ci.parse_request(cbor.encode([[]] * 65_000))
    with pytest.raises(WireError, match="check-in report: expected at most 8192 items"):
        ci.parse_request(cbor.encode([1, b"e", b"n", b"l", cbor.encode([[]] * 65_000)]))


def test_a_full_request_fits():
    full = dataclasses.replace(
        REQUEST,
        evidence=bytes(4096),
        endorsement=bytes(512),
        event_log=bytes(8192),
        installed=(dataclasses.replace(IMAGE, name="n" * 64),) * ci.MAX_INSTALLED,
        error_reports=(dataclasses.replace(REPORT, description="x" * 1024),) * ci.MAX_ERROR_REPORTS,
    )
    assert len(ci.encode_request(full)) < ci.MAX_REQUEST_BYTES
