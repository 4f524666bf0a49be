# SPDX-License-Identifier: Apache-2.0
"""A device twin: sections, patches, versions, and IoT Hub's query language over it.

Pure. Not here: where twins are kept (``armillary.engines.hub``).
Specification: IoT Hub's public documentation of device twins and of its query language.
"""
