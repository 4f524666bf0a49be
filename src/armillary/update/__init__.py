# SPDX-License-Identifier: Apache-2.0
"""Updates as a device takes them: pure rules for what may be fetched, and for installing it so that no cut bricks it.

What it is: decisions without I/O. ``install`` is the transaction on flash: record, plan, start, trial.
What it is not: code that downloads, writes flash or starts programs (``armillary.device``); which device is offered
which images (``armillary.service.updates``); the pace of that (``armillary.rollout``).
Specification: docs/reference/device-update.md.
"""
