# SPDX-License-Identifier: Apache-2.0
"""Jobs at work: when they run, on which devices, with what result.

An update here is a job: it moves devices that attest to another device group's deployment, and sets the desired
property ``update`` of all others.

Not here: the language of a job (``armillary.twin.author``); deployments (``armillary.service.updates``).
"""
