# SPDX-License-Identifier: Apache-2.0
"""Verified and measured boot and anti-rollback as pure rules.

What it is: given a chip's profile and the bytes of its boot components, decide whether each stage may start the
next, and record what was started; given what booted and was confirmed, decide how far security versions may be raised.
Device and simulator run the same rules.

What it is not: the choice of the slots that boot (``armillary.update.install.starting``), or firmware. Python cannot be
the first stage of real silicon; on a chip these rules are the specification that its boot ROM and loaders must meet,
and the virtual device executes them. It reads no disk, clock or randomness.

Specification: the numbered checks in ``chain`` and the rules in ``counter``; Azure Sphere's image types and revocation
section (``wire.image.section``).
"""
