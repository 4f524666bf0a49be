# SPDX-License-Identifier: Apache-2.0
"""Rows of the hub's database other than values over time: twins, devices, messages, uploads, connects.

Not here: telemetry (``armillary.engines.series``) and what rows mean (``armillary.hub``).
"""
