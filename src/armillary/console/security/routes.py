# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages of threat monitoring and evidence; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.security import change, channels, read, read_advisories, read_crashes

_CRASH: Final = "/crashes/{catalog}/{crash_group}"
_TAKE_BACK: Final = "/advisory-statements/{advisory_statement}/take-back"
_CHANNEL: Final = "/notification-channels/{channel_id}"
_KIND: Final = "/finding-kinds/{finding_kind}/acknowledge"

READ: Final[tuple[tuple[str, Reader], ...]] = (
    ("/findings", read.findings),
    ("/findings/{finding_id}", read.finding),
    ("/advisories", read_advisories.advisories),
    ("/advisories/{advisory_id}", read_advisories.advisory),
    ("/advisories/{advisory_id}/devices", read_advisories.advisory_devices),
    ("/advisories/{advisory_id}/curve.json", read_advisories.advisory_curve),
    ("/advisories/{advisory_id}/trace.json", read_advisories.advisory_document),
    ("/advisory-coverage", read_advisories.coverage),
    ("/crashes", read_crashes.crashes),
    (_CRASH, read_crashes.crash),
    (f"{_CRASH}/curve.json", read_crashes.crash_curve),
    ("/notification-channels", channels.channels),
    (_CHANNEL, channels.channel),
    ("/assessment", read.assessment),
    ("/devices/{device_id}/assessment", read.device),
)
EDIT: Final[tuple[tuple[str, Reader, Change], ...]] = (
    (_KIND, asks(change.kind_question), "watch.acknowledge_kind"),
    ("/new-notification-channel", channels.new_channel, "make_channel"),
    (f"{_CHANNEL}/{{verb}}", asks(channels.question), "drop_channel"),
    (_TAKE_BACK, asks(change.take_back_question), "take_back_statement"),
)
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    ("/findings/{finding_id}", change.move_finding, "watch.move"),
    (_KIND, change.acknowledge_kind, "watch.acknowledge_kind"),
    ("/advisories/{advisory_id}/statements", change.make_statement, "make_statement"),
    (_TAKE_BACK, change.take_back, "take_back_statement"),
    ("/new-notification-channel", channels.make, "make_channel"),
    (f"{_CHANNEL}/{{verb}}", channels.change, channels.of_verb),
)
