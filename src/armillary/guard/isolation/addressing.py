# SPDX-License-Identifier: Apache-2.0
"""The configuration of dnsmasq for the equipment's side: fixed addresses for known machines and nothing else.

No name service, no router, no address for anybody who is not listed. Pure text; dnsmasq(8), RFC 2131, RFC 2132.
"""

from __future__ import annotations

from armillary.guard.isolation.plan import Isolation

# Short: equipment that was moved to another guardian asks anew within this time. RFC 2131 renews after half of it.
LEASE_S = 3600


def dhcp_configuration(plan: Isolation) -> str:
    """A file for ``dnsmasq --conf-file``; the plan has leases."""
    network = plan.address.network
    hosts = "\n".join(f"dhcp-host={mac},{address},{LEASE_S}" for mac, address in sorted(plan.leases.items()))
    return f"""# Made by armillary guardian isolate; changes are lost.
keep-in-foreground
log-facility=-
pid-file=
user=nobody
# One interface and its address alone.
interface={plan.equipment}
except-interface=lo
bind-interfaces
# No names: no port, no files, no servers.
port=0
no-resolv
no-hosts
no-poll
# Fixed addresses, for those that are listed; all are known from this file, so none is written down.
dhcp-range={network.network_address},static,{network.netmask},{LEASE_S}
dhcp-ignore=tag:!known
leasefile-ro
dhcp-authoritative
no-ping
# No router (3) and no names (6): there is no way on from here. The time (42) is the guardian's.
dhcp-option=3
dhcp-option=6
dhcp-option=42,{plan.address.ip}
{hosts}
"""
