# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages of threat monitoring and evidence; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.security import actions, change, channels, dumps, read, read_advisories, read_crashes

_CRASH: Final = "/crashes/{catalog}/{crash_group}"
_DUMP, _DUMPS_OF = "/crash-dumps/{dump_id}", "/crash-dump-groups/{catalog}/{product}/{group}"
_ACTION: Final = "/actions/{action_id}"
_PLAYBOOK: Final = "/playbooks/{playbook}/{verb}"
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
    ("/crash-dumps", dumps.dumps),
    (_DUMPS_OF, dumps.group),
    ("/actions", actions.actions),
    (_ACTION, actions.action),
    ("/notification-channels", channels.channels),
    (_CHANNEL, channels.channel),
    ("/assessment", read.assessment),
    ("/devices/{device_id}/assessment", read.device),
)
EDIT: Final[tuple[tuple[str, Reader, Change], ...]] = (
    (_KIND, asks(change.kind_question), "watch.acknowledge_kind"),
    (_DUMP, dumps.dump, "show_crash_dump"),
    (f"{_DUMP}/content.cbor", dumps.dump_content, "crash_dump_content"),
    (f"{_DUMP}/delete", asks(dumps.delete_question), "drop_crash_dump"),
    (f"{_DUMPS_OF}/erase", asks(dumps.erase_question), "erase_collection"),
    ("/new-action", actions.new_action, "run_action"),
    (f"{_ACTION}/{{verb}}", asks(actions.question), actions.of_verb),
    (_PLAYBOOK, asks(actions.playbook_question), "switch_playbook"),
    ("/new-notification-channel", channels.new_channel, "make_channel"),
    (f"{_CHANNEL}/{{verb}}", asks(channels.question), "drop_channel"),
    (_TAKE_BACK, asks(change.take_back_question), "take_back_statement"),
)
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    ("/findings/{finding_id}", change.move_finding, "watch.move"),
    (_KIND, change.acknowledge_kind, "watch.acknowledge_kind"),
    ("/advisories/{advisory_id}/statements", change.make_statement, "make_statement"),
    (_TAKE_BACK, change.take_back, "take_back_statement"),
    (f"{_DUMP}/delete", dumps.delete, "drop_crash_dump"),
    (_DUMPS_OF, dumps.collect, "put_collection"),
    (f"{_DUMPS_OF}/erase", dumps.erase, "erase_collection"),
    ("/new-action", actions.preview, "preview_action"),
    ("/actions", actions.run, "run_action"),
    (f"{_ACTION}/{{verb}}", actions.change, actions.of_verb),
    (_PLAYBOOK, actions.switch, "switch_playbook"),
    ("/new-notification-channel", channels.make, "make_channel"),
    (f"{_CHANNEL}/{{verb}}", channels.change, channels.of_verb),
)
