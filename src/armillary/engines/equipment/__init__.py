# SPDX-License-Identifier: Apache-2.0
"""How bytes reach equipment, and where a guardian keeps what it has not sent: links, queue, the equipment's network.

Links speak Modbus TCP and RTU, framed serial, OPC UA and BACnet/IP, send permits only, and check that each reply
belongs to its request. Whatever goes wrong outside, whatever a library raises, becomes a ``LinkError``
(``armillary.wire.equipment.faults``). What needs a library beyond the standard one is imported by the link that uses
it.

Not here: what is allowed and what a reply means (``armillary.guard``).

Specifications: Modbus Messaging on TCP/IP 1.0b; Modbus over Serial Line 1.02; OPC UA parts 4 and 6; ASHRAE 135 Annex J.
"""
