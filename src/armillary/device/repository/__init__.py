# SPDX-License-Identifier: Apache-2.0
"""A device's side of the update repository: trusted metadata in flash, sources on the network, artifacts.

What it is: I/O around the TUF client of ``armillary.update.repository``. ``source`` reads files from one address,
``sources`` asks several in turn, ``artifacts`` fetches what signed metadata names and goes on after an interruption
where it stopped (``partial``). Metadata is kept in flash by ``armillary.device.state.metadata_store``.
What it is not: the rules of what is trusted (``armillary.update.repository``), or the installation
(``armillary.device.applications``).
Specification: docs/reference/update-repository.md.
"""
