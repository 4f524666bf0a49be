# SPDX-License-Identifier: Apache-2.0
"""Functions of modules that are imported when they are first asked for: a service that nobody asks keeps them out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class Module:
    """Stands for a module of this package.

    Args:
        name: Of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Later:
        return Later(self._name, name)


class Later:
    """Stands for a function of such a module.

    Args:
        module: Name of the module.
        name: Name of the function.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def load(self) -> Callable[..., Any]:
        """The function; imports its module, which may take a moment."""
        found: Callable[..., Any] = getattr(importlib.import_module(f"{__package__}.{self._module}"), self._name)
        return found


def loaded(endpoint: Callable[..., Any] | Later) -> Callable[..., Any]:
    """What an endpoint stands for."""
    return endpoint.load() if isinstance(endpoint, Later) else endpoint
