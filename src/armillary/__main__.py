# SPDX-License-Identifier: Apache-2.0
"""``python -m armillary`` is the ``armillary`` command."""

from __future__ import annotations

from armillary.cli.main import run

run()
