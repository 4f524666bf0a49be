# SPDX-License-Identifier: Apache-2.0
"""The shape of Azure Sphere's management API. Its paths are matched without regard to case."""

from __future__ import annotations

from typing import Final

from armillary.api.azure import names, provider
from armillary.api.azure.problems import azure_problem
from armillary.api.http.routes import unknown
from armillary.api.http.shape import Shape

ROOTS: Final = ("/subscriptions/", "/providers/")


def is_azure(path: str) -> bool:
    """Whether a path is one of this shape."""
    return path.lower().startswith(ROOTS)


def canonical(path: str, _query: str) -> str:
    """A path with its fixed words in the case of the rows."""
    return names.canonical_path(path) if is_azure(path) else path


SHAPE: Final = Shape(
    routes=provider.ROUTES,
    has=is_azure,
    form=azure_problem,
    canonical=canonical,
    unknown=tuple(map(unknown, ROOTS)),
)
