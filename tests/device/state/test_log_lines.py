# SPDX-License-Identifier: Apache-2.0
"""What a device sends of its log: the newest lines that fit, one line each, and no secret that its form tells."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from armillary.device.state.log_lines import HIDDEN, newest_lines, plain_line
from armillary.wire.device.device_log import MAX_LINE_BYTES, MAX_LINES, MAX_LOG_BYTES, DeviceLog, encode_log

AT = 1_790_000_000
KEY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2"


def output(text: str, name: str = "app", stream: str = "stdout") -> dict[str, object]:
    return {"at": AT, "event": "output", "name": name, "stream": stream, "text": text}


def sent(*entries: dict[str, Any]) -> str:
    return "\n".join(newest_lines(entries)[0])


def test_an_entry_is_one_line_with_its_time_event_and_fields() -> None:
    entry = {
        "at": AT,
        "event": "check-in",
        "verdict": "attested",
        "failed_steps": ["(2) x"],
        "components": ["left out"],
    }
    assert plain_line(entry) == '2026-09-21 14:13:20  check-in  verdict=attested  failed_steps=["(2) x"]'


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2 next", "hunter2"),
        ('{"Password": "hunter2", "a": 1}', "hunter2"),
        ("PASSPHRASE: hunter2", "hunter2"),
        ("api_key=abcdef", "abcdef"),
        ("HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0", "c2VjcmV0"),
        ("SharedAccessSignature sr=h&sig=abc%2Bdef&se=1", "abc%2Bdef"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln", "eyJzdWIi"),
        ("authorization: Basic dXNlcjpwdw==", "dXNlcjpwdw"),
        ("connecting to https://user:hunter2@example.com/x", "hunter2"),
        ("mqtt://token@broker", "//token@"),
        ("client_secret = 'hunter2'", "hunter2"),
        (f"loaded {KEY}", KEY),
    ],
)
def test_a_secret_that_its_form_tells_is_hidden(text: str, secret: str) -> None:
    found = sent(output(text))
    assert secret in text
    assert secret not in found
    assert HIDDEN in found


@pytest.mark.parametrize(
    "text",
    [
        "temperature=30.5 pump=on",
        "image 5c1a8dbe-52a2-4e4e-8a33-90d5f4d2ad01 started",
        "sha256 " + "0123456789abcdef" * 4,
        "/usr/lib/python3/dist-packages/coffee/machine/brewing/pressure.py",
        "https://example.com/a?b=c",
        "the secretary spoke",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert sent(output(text)).endswith(f"text={text}")


def test_a_private_key_over_several_lines_is_hidden_whatever_is_printed_between() -> None:
    found = sent(
        output("-----BEGIN EC PRIVATE KEY-----"),
        output("MHcCAQEEI"),
        output("other", name="another"),
        output("short"),
        output("-----END EC PRIVATE KEY-----"),
        output("after"),
    )
    shown = [line.rpartition("text=")[2] for line in found.splitlines()]
    assert shown == [HIDDEN, HIDDEN, "other", HIDDEN, HIDDEN, "after"]


def test_secrets_in_other_fields_are_hidden_and_digests_of_the_device_stay() -> None:
    digest = "AbCdEf0123456789" * 4  # a log head is no word of an application
    found = sent({"at": AT, "event": "x", "reason": ["token=abc", {"u": "https://a:b@c"}], "log_head": digest})
    assert "abc" not in found
    assert "a:b@" not in found
    assert digest in found


def test_a_line_is_one_line_and_has_a_length() -> None:
    (line,), left_out = newest_lines([output("a\nb\r\u2028c" + "ü" * 3000)])
    assert len(line.encode()) <= MAX_LINE_BYTES
    assert len(line.splitlines()) == 1
    assert left_out == 0


def test_the_newest_lines_that_fit_are_sent_and_the_others_are_counted() -> None:
    entries = [output(f"{number} " + "x" * 900) for number in range(500)]
    lines, left_out = newest_lines(entries)
    assert len(lines) + left_out == 500
    assert "text=499 " in lines[-1]
    data = encode_log(DeviceLog(request_id=UUID(int=1), at=AT, left_out=left_out, lines=lines))
    assert MAX_LOG_BYTES - 1100 < len(data) <= MAX_LOG_BYTES


def test_many_short_lines_are_as_many_as_a_message_takes() -> None:
    lines, left_out = newest_lines([{"at": AT, "event": "e"}] * (MAX_LINES + 5))
    assert (len(lines), left_out) == (MAX_LINES, 5)
    encode_log(DeviceLog(request_id=UUID(int=1), at=AT, left_out=left_out, lines=lines))


def test_nothing_is_sent_of_an_empty_log() -> None:
    assert newest_lines([]) == ((), 0)
