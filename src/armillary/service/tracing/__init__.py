# SPDX-License-Identifier: Apache-2.0
"""Traces: all that is known of one device, key or product, as one answer, with the audit lines that prove it.

``device_trace`` tells a device's life in the order of time, from the factory run to now; ``key_trace`` says where a
certificate and its key were used, by whom, until when; ``product_trace`` what a product is made of and what is known
against it. All only read what the other rooms have recorded.

Not here: who is affected by an advisory (``service/advisories``). Specification: ``docs/reference/api.md``.
"""
