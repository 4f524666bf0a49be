# SPDX-License-Identifier: Apache-2.0
"""Who is signed in to the console."""

from __future__ import annotations

from typing import Any, Final

from armillary.errors import PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.identity.signed_in import SignedIn

__all__ = ["NOT_FOR_ONE", "Document", "SignedIn", "role_refused"]

Document = dict[str, Any]

# Code of a refusal of what the operator's token is not for.
NOT_FOR_ONE: Final = "console.not-for-one"


def role_refused(operator: Operator) -> PermissionDeniedError:
    """The error for what an operator's role does not allow."""
    return PermissionDeniedError(
        f"the role {operator.role} of {operator.name} does not allow this. Nothing was changed."
    )
