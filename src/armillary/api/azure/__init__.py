# SPDX-License-Identifier: Apache-2.0
"""The management API in Azure Sphere's shape: one module a noun of its REST reference, over the service's operations.

Not here: what an operation does (``armillary.service``). These routes translate paths, bodies, names and errors.
Specification: Microsoft's public REST reference, version 2024-04-01; ``docs/guides/move-from-azure-sphere.md``.
"""
