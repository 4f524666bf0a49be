# SPDX-License-Identifier: Apache-2.0
"""Proves that no power cut leaves a device without signed software: ``armillary sim power-cut``.

What it is: a model of flash media that keeps every state that a cut can leave (``medium``, ``cut``), a device that runs
the product's own boot and installer rules on it (``machine``), what a service can want of a device (``transactions``),
a witness that judges what runs without believing the device (``witness``), and the search over all of it
(``campaign``).

What it is not: a test double. The rules are those of ``boot``, ``update`` and ``device``; only the medium, the root of
trust and the service's wishes are made up.

Specification: ``docs/guides/power-cut.md``; the media are data, ``content/flash/``.
"""
