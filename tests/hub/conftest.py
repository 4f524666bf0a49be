# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the hub's tests."""

from __future__ import annotations

from tests.hub.running_hub import authority, client, running

__all__ = ["authority", "client", "running"]
