# SPDX-License-Identifier: Apache-2.0
"""How dumps end: those that are kept no longer are deleted, and keys that ended lose their files.

A key ends in the records first. Its file is deleted after that commit, its row after the file: wherever this is cut
off, the next run goes on. A key begins as a file: one whose row was never written is deleted by the next start.
"""

from __future__ import annotations

from armillary.engines.records.crashes import dumps as dump_rows
from armillary.engines.records.store import Records
from armillary.service.authority.key_store import DUMP_KEYS, KeyStore
from armillary.service.context.context import Context
from armillary.service.crash_dumps import sealing


def end_dumps(context: Context, keys: KeyStore) -> int:
    """Delete what is kept no longer, and the keys of groups that are gone; returns how many dumps went."""
    now = context.now()
    removed = context.records.write(lambda c: dump_rows.remove_expired(c, now))
    context.records.write(dump_rows.end_keys_of_nobody)
    delete_ended_keys(context.records, keys)
    return removed


def delete_unknown_keys(records: Records, keys: KeyStore) -> None:
    """Delete key files that no row knows. Only while nothing makes keys: before devices are served."""
    known = {f"{DUMP_KEYS}{key_id}" for key_id in records.read(dump_rows.every_key)}
    for name in keys.names(DUMP_KEYS):
        if name not in known:
            keys.remove(name)


def delete_ended_keys(records: Records, keys: KeyStore) -> None:
    """Delete the files of keys that ended, then their rows."""
    ended = records.read(dump_rows.ended_keys)
    for key_id in ended:
        sealing.delete_key(keys, key_id)
    if ended:
        records.write(lambda c: dump_rows.forget_keys(c, ended))
