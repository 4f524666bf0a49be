# SPDX-License-Identifier: Apache-2.0
"""Converts templates, groups, jobs, properties and queries to and from the form of IoT Central's REST API.

Pure functions. Not here: routes (``armillary.api.central.route``).
Specification: IoT Central's public REST reference, version 2022-07-31.
"""
