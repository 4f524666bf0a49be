# SPDX-License-Identifier: Apache-2.0
"""A store in its own process, to be killed: ``python store_runner.py FOLDER``; prints each version it was promised."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from armillary.engines.documents.store import DocumentStore, Put


def run(folder: Path) -> None:
    store = DocumentStore(folder, clock=time.time)
    number = store.count("rule") and int(store.get("rule", "left").content["n"])
    while True:
        number += 1
        store.change([Put("rule", "left", {"n": number}), Put("rule", "right", {"n": number})], by="runner")
        print(number, flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
