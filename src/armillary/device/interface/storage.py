# SPDX-License-Identifier: Apache-2.0
"""Method of storage: how much of its mutable storage an application has used."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from armillary.device.interface.method import Call, Method
from armillary.engines.sandbox.storage.use import storage_use


class Storage:
    """Says how much is used; ``folder`` is where the mutable storage of a component is on the host."""

    def __init__(self, folder: Callable[[UUID], Path]) -> None:
        self._folder = folder

    @property
    def methods(self) -> tuple[Method, ...]:
        """The row."""
        return (Method("storage.usage", "MutableStorage", self._usage),)

    async def _usage(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        folder = self._folder(call.session.grant.component_id)
        if not folder.is_dir():
            raise OSError(errno.ENOENT, "the folder of the storage is not there")
        found = await call.session.work.do(storage_use, folder)
        quota = call.session.grant.mutable_storage_kb * 1024
        return {"quota_bytes": quota, "used_bytes": found.used_bytes, "files": found.files}
