# SPDX-License-Identifier: Apache-2.0
"""One running service for the tests of this folder that talk to a hub."""

from __future__ import annotations

from tests.api.running_service import own_service

service = own_service(scope="session")
