# SPDX-License-Identifier: Apache-2.0
"""Applications on a device: installed, admitted by their manifest, launched, kept running.

Not here: how a process is confined (``armillary.engines.sandbox``).
Specification: ``docs/guides/first-device.md``, ``docs/concepts/sandbox.md``.
"""
