# SPDX-License-Identifier: Apache-2.0
"""What deleting a document does, and what running a job does, before it is done: whom it touches, what uses it. Pure.

What uses a document is found by the platform's operations, which also refuse to delete a group or job that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from armillary.console.authored.pages_authored import WORD, action_words
from armillary.console.frame.confirmation import Confirmation, Uses, seen_of, used_by
from armillary.console.frame.sheet import place
from armillary.console.frame.words import counted, grouped, joined, sentence

# What is typed to delete what something uses.
USED_WORD: Final = "delete"
HISTORY: Final = "Create it again under the same id: its versions stay in the application's history for a while."


def group_deletion(document: Mapping[str, Any], uses: Uses, size: str) -> Confirmation:
    """The question about deleting a segment; ``size`` is how many are in it now, in words."""
    undo = HISTORY if not uses else f"{HISTORY} What names it works again then."
    return _deletion(
        "group",
        document,
        uses,
        does="The saved query. What names it finds no device any more.",
        more=(("Left alone", f"Devices: {size} now, their values and twins."), ("Undo", undo)),
    )


def job_deletion(document: Mapping[str, Any], uses: Uses) -> Confirmation:
    """The question about deleting a job."""
    run = document["run"]
    runs = "It has never run." if run is None else f"Run {grouped(run['number'])} and what is kept of those before."
    return _deletion(
        "job",
        document,
        uses,
        does=f"The job, which {action_words(document['body']['action'])}. {runs}",
        more=(
            ("Left alone", f"The segment {document['body']['group']}, and what its runs did to devices."),
            ("Undo", f"{HISTORY} Results of its runs do not come back."),
        ),
    )


def export_deletion(document: Mapping[str, Any], letters: str) -> Confirmation:
    """The question about deleting a data export; ``letters`` is how many dead letters it has, in words."""
    behind = int(document["status"]["behind"])
    waiting = f"{counted(behind, 'record')} that {'waits' if behind == 1 else 'wait'} to be delivered"
    return _deletion(
        "export",
        document,
        (),
        does=f"The export of {document['body']['source']} to {document['body']['destination']['kind']}.",
        more=(
            ("Not delivered", f"{waiting if behind else 'No record waits'}; {letters}."),
            ("Left alone", "What was delivered, files that it wrote, and the values themselves."),
            ("Undo", f"{HISTORY} Its secret has to be given again, and dead letters do not come back."),
        ),
    )


def rule_deletion(document: Mapping[str, Any], open_alerts: str) -> Confirmation:
    """The question about deleting a rule; ``open_alerts`` is how many there are, in words."""
    body = document["body"]
    actions = [f"{each['kind']} {each.get('name', '')}".strip() for each in body.get("actions", ())]
    does = f"creates an alert and does: {joined(actions)}" if actions else "creates an alert only"
    word = " and " if body.get("match", "all") == "all" else " or "
    return _deletion(
        "rule",
        document,
        (),
        does=f"The rule. When {word.join(document['conditions']) or 'its conditions are met'}, it {does}.",
        more=(
            ("Alerts", f"{open_alerts}. All its alerts stay; no new one is created."),
            ("Left alone", "Devices and their values. Switch it off instead to keep it."),
            ("Undo", f"{HISTORY} Secrets of its webhooks have to be given again."),
        ),
    )


def run(document: Mapping[str, Any], group_name: str, size: str, *, only_failed: bool) -> Confirmation:
    """The question about a job's run; ``size`` is how many devices it acts on, in words."""
    body, job_id = document["body"], document["id"]
    batch = body.get("batch") or {}
    share = (
        f"{batch['percent']} %"
        if batch.get("percent")
        else counted(int(batch["size"]), "device")
        if batch.get("size")
        else ""
    )
    whom = (
        f"{size} that failed in run {document['run']['number']}"
        if only_failed
        else f"{size} in the segment {group_name} now"
    )
    batches = f"in batches of {share}" if share else "all in one batch"
    return Confirmation(
        title=f"Run {body['name']} on {size}?",
        touches=(
            ("Acts on", sentence(whom)),
            ("Does", f"{sentence(action_words(body['action'])).rstrip('.')}, {batches}."),
            ("Stop", "Cancel run: no other device begins; those that run still get their result."),
            ("Undo", "Cannot be undone: what a device was told stays told."),
        ),
        label="Run now",
        post=place("job", job_id, "run"),
        back=place("job", job_id),
        hidden=(("seen", seen_of(document, ())), *((("only", "failed"),) if only_failed else ())),
    )  # fmt: skip


def _deletion(
    kind: str, document: Mapping[str, Any], uses: Uses, *, does: str, more: tuple[tuple[str, str], ...]
) -> Confirmation:
    word = WORD.get(kind, kind)
    return Confirmation(
        title=f"Delete the {word} {document['body'].get('name') or document['id']}?",
        touches=(("Deletes", does), *used_by(uses, asks=kind in ("group", "job")), *more),
        label=f"Delete {word}",
        danger=True,
        word=USED_WORD if uses else "",
        wide="It is in use.",
        post=place(kind, document["id"], "delete"),
        back=place(kind, document["id"]),
        hidden=(("etag", document["etag"]), ("seen", seen_of(document, uses))),
    )
