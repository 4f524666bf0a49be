# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's service API: registry, twins, methods, configurations and bulk import, for back ends written for it.

Not here: what devices say (``armillary.hub``). Specification: IoT Hub's public REST reference, version 2021-04-12.
"""
