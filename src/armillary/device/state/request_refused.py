# SPDX-License-Identifier: Apache-2.0
"""What a person or an application asked of the device and does not get, with Azure Sphere's number of the reason."""

from __future__ import annotations

from armillary.errors import InvalidArgumentError


class RequestRefusedError(InvalidArgumentError):
    """A request that is refused; ``number`` is one of ``wire/device/azure_error.py``."""

    def __init__(self, number: int, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.number = number
