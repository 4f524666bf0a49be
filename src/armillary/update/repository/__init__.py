# SPDX-License-Identifier: Apache-2.0
"""The TUF client: which metadata of an update repository a device trusts, and which artifacts they name.

What it is: the client workflow of The Update Framework over two ports, one that fetches files and one that keeps
trusted metadata. ``metadata`` reads files and verifies signatures, ``steps`` are the checks of the workflow one by one,
``client`` is their order, ``targets`` is what comes out: verified artifacts and the keys of the director. Time is an
argument.
What it is not: sockets, mirrors, flash (``armillary.device.repository``), or the making of metadata
(``armillary.service.repository``). The classes of the ``tuf`` package read the format; its client is not used.
Specification: The Update Framework 1.0.34, section 5 (https://theupdateframework.github.io/specification/v1.0.34/);
Uptane Standard 2.1.0 for the director. Proven with the external suite: ``tests/conformance/test_tuf.py``.
"""
