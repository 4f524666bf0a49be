# SPDX-License-Identifier: Apache-2.0
"""``armillary release keys``: the keys of the repository, online and offline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from armillary.cli.release.key_folder import KeyAccess
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.cli.terminal.short_ids import short, with_short
from armillary.cli.terminal.times import moment
from armillary.cli.terminal.together import local_command
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.wire.update.clock_correction import clock_correction

if TYPE_CHECKING:
    from armillary.service.repository.offline import Document
    from armillary.service.repository.tuf_format import KeySigner

app = noun("Keys of the repository: who may release.")

MAX_PEM_BYTES = 4096
ROLE_COLUMNS = ("role", "keys", "custody", "version", "expires_at", "targets")
KEY_COLUMNS = ("key_id", "signs_for")
WAITING_COLUMNS = ("role", "version", "missing", "signed_by", "expires_at")
OFFLINE_ROLES = ("root", "targets")

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the keys.", show_default=False)]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help="Folder of offline keys that sign at once.")
]
ThresholdOption = Annotated[
    int, typer.Option("--threshold", min=1, max=16, metavar="N", help="Signatures that metadata of the role needs.")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Exported metadata.", show_default=False)]


@remote_command(app, "show")
def show(remote: RemoteService) -> Shown:
    """Show each role with its keys, and what waits.

    "online" keys are held by the service, which signs by itself; of "offline" ones it knows the public half only.
    """
    return _shown(remote.get("/repository"))


@remote_command(app, "init")
def init(
    remote: RemoteService,
    folder: FolderArgument,
    *,
    count: Annotated[int, typer.Option("--count", min=1, max=16, metavar="M", help="Keys of each role.")] = 1,
    threshold: ThresholdOption = 1,
    access: KeyAccess,
    yes: YesOption = False,
) -> Shown:
    """Take root and targets offline.

    It makes their keys here, hands the roles over, and has the service delete its own. Cut short, it is given once more
    and goes on with the keys in DIR. For keys that shall never be together in one place, make each where it belongs
    (new-key) and use rotate.
    """
    if threshold > count:
        raise InvalidArgumentError(
            f"--threshold: expected at most --count, {count}, got {threshold}",
            remedy="Make more keys.",
        )
    confirm("Hand root and targets of the repository over to new keys here? The service's are deleted.", yes=yes)
    keys = access(folder).open(make=True)
    found = remote.get("/repository")
    changes, signers = [], []
    for role in OFFLINE_ROLES:
        made = [keys.get_or_create(f"{role}-{number}") for number in range(1, count + 1)]
        publics = [str(one.public_key.keyval["public"]) for one in made]
        changes.append({"role": role, "public_keys": publics, "threshold": threshold})
        signers += made
    own = {one.public_key.keyid for one in signers}
    if own & {key["key_id"] for role in found["roles"] for key in role["keys"]}:
        raise ConflictError(
            f"the repository has the keys in {folder} already", remedy="Use another folder for other keys."
        )
    if not own <= {key_id for one in found["waiting"] for key_id in one["may_sign"]}:
        remote.post("/repository/key-changes", {"changes": changes})
    return _sign_and_submit(remote, signers).then(f"Keep {folder} and its passphrase where the service is not.")


@local_command(app, "new-key")
def new_key(
    folder: FolderArgument,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the key: a-z 0-9 -.")],
    access: KeyAccess,
    as_json: JsonOption = False,
) -> None:
    """Make a key for a role, away from the service.

    Its public half goes to rotate --key.
    """
    made = access(folder).open(make=True).create(name)
    found = {"name": name, "key_id": made.public_key.keyid, "public_key": str(folder / f"{name}.pub.pem")}
    record(found).show(as_json=as_json)


@remote_command(app, "rotate")
def rotate(
    remote: RemoteService,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Role, as show prints it.", show_default=False)],
    *,
    key: Annotated[
        list[Path] | None, typer.Option("--key", metavar="FILE", help="Public half of an offline key; repeatable.")
    ] = None,
    online: Annotated[
        int, typer.Option("--online", min=0, max=16, metavar="N", help="Keys that the service makes and holds.")
    ] = 0,
    threshold: ThresholdOption = 1,
    keys: KeysOption = None,
    access: KeyAccess,
) -> Shown:
    """Give a role exactly these keys.

    In force at once where online keys may say so. Else it waits: sign it with --keys, or export it, sign it where the
    keys are, and import it.
    """
    publics = [read_file(path, limit=MAX_PEM_BYTES).decode("ascii", errors="replace") for path in key or []]
    change = {"role": role, "public_keys": publics, "online": online, "threshold": threshold}
    found = remote.post("/repository/key-changes", {"changes": [change]})
    if keys is None or found["published"]:
        return _shown(found)
    return _sign_and_submit(remote, access(keys).open().signers())


@remote_command(app, "recover")
def recover(
    remote: RemoteService,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Role, as show prints it.", show_default=False)],
    *,
    keys: KeysOption = None,
    access: KeyAccess,
) -> Shown:
    """Replace a lost or stolen online key.

    Root and targets have to sign for some roles: with --keys where theirs are offline. For offline keys of root and
    targets that were lost, use rotate with those that are left.
    """
    found = remote.get("/repository")
    held = next((one for one in found["roles"] if one["role"] == role), None)
    if held is not None and held["custody"] != "online":
        raise ConflictError(
            f"the keys of {role} are {held['custody']}",
            remedy="Replace offline keys with those that are left: armillary release keys rotate.",
        )
    change = {"role": role, "online": 1 if held is None else len(held["keys"])}
    if held is not None:
        change["threshold"] = held["threshold"]
    found = remote.post("/repository/key-changes", {"changes": [change]})
    if keys is None or found["published"]:
        return _shown(found)
    return _sign_and_submit(remote, access(keys).open().signers())


@remote_command(app, "correct-clock")
def correct_clock(
    remote: RemoteService,
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The earliest false time: a date and time.")
    ] = None,
    last: Annotated[str | None, typer.Option("--until", metavar="TIME", help="The latest false time.")] = None,
    keys: KeysOption = None,
    access: KeyAccess,
    yes: YesOption = False,
) -> Shown:
    """Have root call times false that devices were told.

    For devices that take no update because the service's clock ran ahead: those that believe a time from --from to
    --until go back to the present. Without these the service's records say which times it told that are not yet. Root
    signs it: at once where its keys are online, else with --keys, or by export, sign and import.
    """
    confirm("Is the service's clock right now? Devices that believe a false time go back to it.", yes=yes)
    times = {"first": first and moment("--from", first), "last": last and moment("--until", last)}
    found = remote.post("/repository/clock-corrections", times)
    if keys is None or found["published"]:
        return _shown(found)
    return _sign_and_submit(remote, access(keys).open().signers())


@remote_command(app, "export")
def export(remote: RemoteService, file: FileArgument) -> None:
    """Write what waits for signatures to a file.

    It is signed where the keys are, and imported.
    """
    from armillary.service.repository.offline import write_documents  # noqa: PLC0415 - the package tuf: slow

    documents = _waiting(remote)
    if not documents:
        raise ConflictError(
            "nothing waits for signatures", remedy="Propose a change first, such as: armillary release keys rotate."
        )
    write_file(file, write_documents(documents))
    note(f"What waits for signatures is in {file}: {', '.join(one.role for one in documents)}")


@local_command(app, "sign")
def sign(
    file: FileArgument,
    *,
    keys: Annotated[Path, typer.Option("--keys", metavar="DIR", help="Folder of the keys that sign.")],
    access: KeyAccess,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sign exported metadata with the keys in DIR, offline.

    It prints what is signed first: read it, it is what the signature is for.
    """
    from armillary.service.repository.offline import (  # noqa: PLC0415 - the package tuf: slow
        MAX_FILE_BYTES,
        read_documents,
        sign_documents,
        write_documents,
    )

    documents = read_documents(read_file(file, limit=MAX_FILE_BYTES))
    for one in documents:
        note(_summary(one))
    confirm(f"Sign {', '.join(one.role for one in documents)}?", yes=yes)
    place = access(keys)
    signed, made = sign_documents(documents, place.open().signers())
    write_file(file, write_documents(signed))
    record({"file": str(file), "signatures": made}).show(as_json=as_json)


@remote_command(app, "import")
def import_(remote: RemoteService, file: FileArgument) -> Shown:
    """Bring signed metadata back.

    It is published once all of it has enough signatures.
    """
    from armillary.service.repository.offline import MAX_FILE_BYTES, read_documents  # noqa: PLC0415 - see export

    documents = read_documents(read_file(file, limit=MAX_FILE_BYTES))
    known = {one.role: one for one in _waiting(remote)}
    return _submit(remote, [one for one in documents if _is_news(one, known.get(one.role))] or documents)


@remote_command(app, "cancel")
def cancel(remote: RemoteService, yes: YesOption = False) -> Shown:
    """Take back what waits for signatures."""
    confirm("Take back what waits for signatures?", yes=yes)
    return _shown(remote.delete("/repository/waiting"))


def _sign_and_submit(remote: RemoteService, signers: Sequence[KeySigner]) -> Shown:
    from armillary.service.repository.offline import sign_documents  # noqa: PLC0415 - the package tuf: slow

    before = _waiting(remote)
    signed, _ = sign_documents(before, signers)
    known = {one.role: one for one in before}
    return _submit(remote, [one for one in signed if _is_news(one, known[one.role])])


def _submit(remote: RemoteService, documents: Sequence[Document]) -> Shown:
    body = {"documents": [{"role": one.role, "metadata": one.metadata} for one in documents]}
    found = remote.post("/repository/signatures", body)
    return _shown(found).then("Published." if found["published"] else "Not published yet: signatures are missing.")


def _waiting(remote: RemoteService) -> list[Document]:
    from armillary.service.repository.offline import Document  # noqa: PLC0415 - the package tuf: slow

    found = remote.get("/repository/waiting")["items"]
    return [Document(one["role"], tuple(one["may_sign"]), one["metadata"]) for one in found]


def _is_news(one: Document, known: Document | None) -> bool:
    """Whether a document has a signature that the service does not have."""
    return known is None or not one.signed_by <= known.signed_by


def _summary(one: Document) -> str:
    signed: dict[str, Any] = dict(one.metadata["signed"])
    lines = [f"{one.role} version {signed.get('version')}, ends {signed.get('expires')}"]
    given = signed.get("roles") or {each["name"]: each for each in (signed.get("delegations") or {}).get("roles", [])}
    for role, terms in sorted(given.items()):
        lines.append(f"  {role}: {terms['threshold']} of {_shortened(terms['keyids'])}")
    if (correction := clock_correction(signed)) is not None:
        false = " to ".join(datetime.fromtimestamp(at, UTC).isoformat() for at in (correction.first, correction.last))
        lines.append(f"  sets back devices that believe a time from {false}")
    if signed.get("targets"):
        lines.append(f"  {len(signed['targets'])} targets")
    return "\n".join(lines)


def _shown(found: dict[str, Any]) -> Shown:
    waiting = table(found["waiting"], WAITING_COLUMNS, row=_waiting_row, empty="Nothing waits for signatures.")
    shown = table(found["roles"], ROLE_COLUMNS, row=_role_row, empty="")
    fault = f"The last publication failed: {found['fault']}" if found["fault"] else None
    stores = [
        f"Trust store {one['number']} ({one['kind']}) waits for the signature of os. "
        "Until it has it, devices get what they can check without that store."
        for one in found["trust_stores"]
    ]
    keys = table(_keys(found), KEY_COLUMNS, row=lambda row: with_short(row, "key_id"), empty="")
    return Shown(found, shown.print_text).then("", keys, "", waiting, *stores, fault)


def _keys(found: dict[str, Any]) -> list[dict[str, str]]:
    """Each key once, with the roles that it signs for."""
    roles: dict[str, list[str]] = {}
    for role in found["roles"]:
        for key in role["keys"]:
            roles.setdefault(key["key_id"], []).append(role["role"])
    return [{"key_id": key_id, "signs_for": ", ".join(names)} for key_id, names in roles.items()]


def _role_row(one: dict[str, Any]) -> dict[str, Any]:
    return {**readable(one), "keys": f"{one['threshold']} of {len(one['keys'])}"}


def _waiting_row(one: dict[str, Any]) -> dict[str, Any]:
    lacks = [f"{lack['missing']} of {_shortened(lack['key_ids'])}" for lack in one["lacks"]]
    return {**readable(one), "missing": "; ".join(lacks), "signed_by": _shortened(one["signed_by"]) or "nobody"}


def _shortened(key_ids: Sequence[str]) -> str:
    return ", ".join(map(short, key_ids))
