# SPDX-License-Identifier: Apache-2.0
"""The same documents in IoT Central's form, both ways.

Pure. Not here: routes (``armillary.api.central.route``).
Specification: IoT Central's public REST reference, version 2022-07-31.
"""
