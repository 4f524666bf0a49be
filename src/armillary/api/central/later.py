# SPDX-License-Identifier: Apache-2.0
"""Lazy references to functions: their module is imported at the first call, which saves memory until then."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class Module:
    """A lazy reference to a module of this package; its attributes are lazy references to functions.

    Args:
        name: Of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Later:
        return Later(self._name, name)


class Later:
    """A lazy reference to a function.

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
    """The function behind an endpoint, imported if it is a lazy reference."""
    return endpoint.load() if isinstance(endpoint, Later) else endpoint
