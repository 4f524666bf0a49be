# SPDX-License-Identifier: Apache-2.0
"""What deleting a document does, and what running a job does, before it is done: whom it touches, what uses it. Pure.

What uses a document is found by the platform's operations, which also refuse to delete a group or job that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from armillary.console.authored.pages_authored import action_words
from armillary.console.frame.confirmation import Confirmation, Uses, seen_of, used_by
from armillary.console.frame.sheet import place
from armillary.console.frame.words import counted, grouped, joined, sentence
from armillary.console.language.say import apart, say, say_count

# What is typed to delete what something uses.
USED_WORD: Final = "delete"
_DELETE: Final = {
    "group": say("Delete segment"),
    "job": say("Delete job"),
    "export": say("Delete data export"),
    "rule": say("Delete rule"),
}
HISTORY: Final = say("Create it again under the same id: its versions stay in the application's history for a while.")


def group_deletion(document: Mapping[str, Any], uses: Uses, size: str) -> Confirmation:
    """The question about deleting a segment; ``size`` is how many are in it now, in words."""
    undo = HISTORY if not uses else say("{history} What names it works again then.", history=HISTORY)
    return _deletion(
        "group",
        document,
        uses,
        does=say("The saved query. What names it finds no device any more."),
        more=((say("Left alone"), say("Devices: {size} now, their values and twins.", size=size)), (say("Undo"), undo)),
    )


def job_deletion(document: Mapping[str, Any], uses: Uses) -> Confirmation:
    """The question about deleting a job."""
    run = document["run"]
    runs = (
        say("It has never run.")
        if run is None
        else say("Run {number} and what is kept of those before.", number=grouped(run["number"]))
    )
    return _deletion(
        "job",
        document,
        uses,
        does=say("The job, which {does}. {runs}", does=action_words(document["body"]["action"]), runs=runs),
        more=(
            (
                say("Left alone"),
                say("The segment {group}, and what its runs did to devices.", group=document["body"]["group"]),
            ),
            (say("Undo"), say("{history} Results of its runs do not come back.", history=HISTORY)),
        ),
    )


def export_deletion(document: Mapping[str, Any], letters: str) -> Confirmation:
    """The question about deleting a data export; ``letters`` is how many dead letters it has, in words."""
    behind = int(document["status"]["behind"])
    waiting = (
        say_count(
            behind,
            "{count} record that waits to be delivered",
            "{count} records that wait to be delivered",
            count=grouped(behind),
        )
        if behind
        else say("No record waits")
    )
    return _deletion(
        "export",
        document,
        (),
        does=say(
            "The export of {source} to {kind}.",
            source=document["body"]["source"],
            kind=document["body"]["destination"]["kind"],
        ),
        more=(
            (say("Not delivered"), say("{waiting}; {letters}.", waiting=waiting, letters=letters)),
            (say("Left alone"), say("What was delivered, files that it wrote, and the values themselves.")),
            (
                say("Undo"),
                say("{history} Its secret has to be given again, and dead letters do not come back.", history=HISTORY),
            ),
        ),
    )


def rule_deletion(document: Mapping[str, Any], open_alerts: str) -> Confirmation:
    """The question about deleting a rule; ``open_alerts`` is how many there are, in words."""
    body = document["body"]
    actions = [f"{each['kind']} {each.get('name', '')}".strip() for each in body.get("actions", ())]
    does = (
        say("creates an alert and does: {actions}", actions=joined(actions))
        if actions
        else say("creates an alert only")
    )
    met = apart(document["conditions"], " and " if body.get("match", "all") == "all" else " or ")
    return _deletion(
        "rule",
        document,
        (),
        does=say(
            "The rule. When {conditions}, it {does}.",
            conditions=met or say("its conditions are met"),
            does=does,
        ),
        more=(
            (say("Alerts"), say("{open_alerts}. All its alerts stay; no new one is created.", open_alerts=open_alerts)),
            (say("Left alone"), say("Devices and their values. Switch it off instead to keep it.")),
            (say("Undo"), say("{history} Secrets of its webhooks have to be given again.", history=HISTORY)),
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
        say("{size} that failed in run {number}", size=size, number=document["run"]["number"])
        if only_failed
        else say("{size} in the segment {group_name} now", size=size, group_name=group_name)
    )
    batches = say("in batches of {share}", share=share) if share else say("all in one batch")
    return Confirmation(
        title=say("Run {name} on {size}?", name=body["name"], size=size),
        touches=(
            (say("Acts on"), sentence(whom)),
            (say("Does"), sentence(say("{action}, {batches}", action=action_words(body["action"]), batches=batches))),
            (say("Stop"), say("Cancel run: no other device begins; those that run still get their result.")),
            (say("Undo"), say("Cannot be undone: what a device was told stays told.")),
        ),
        label=say("Run now"),
        post=place("job", job_id, "run"),
        back=place("job", job_id),
        hidden=(("seen", seen_of(document, ())), *((("only", "failed"),) if only_failed else ())),
    )


def _deletion(
    kind: str, document: Mapping[str, Any], uses: Uses, *, does: str, more: tuple[tuple[str, str], ...]
) -> Confirmation:
    name = document["body"].get("name") or document["id"]
    return Confirmation(
        title=_title(kind, name),
        touches=((say("Deletes"), does), *used_by(uses, asks=kind in ("group", "job")), *more),
        label=_DELETE[kind],
        danger=True,
        word=USED_WORD if uses else "",
        wide=say("It is in use."),
        post=place(kind, document["id"], "delete"),
        back=place(kind, document["id"]),
        hidden=(("etag", document["etag"]), ("seen", seen_of(document, uses))),
    )


def _title(kind: str, name: str) -> str:
    match kind:
        case "group":
            return say("Delete the segment {name}?", name=name)
        case "job":
            return say("Delete the job {name}?", name=name)
        case "export":
            return say("Delete the data export {name}?", name=name)
        case _:
            return say("Delete the rule {name}?", name=name)
