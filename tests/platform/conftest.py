# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the platform's tests: those of the hub that it runs on."""

from __future__ import annotations

from tests.hub.running_hub import authority, client, running

__all__ = ["authority", "client", "running"]
