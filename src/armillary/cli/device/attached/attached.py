# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: the verbs that ask a running device, joined; each is loaded alone where it is called."""

from __future__ import annotations

from armillary.cli.device.attached import application, cellular, certificate, image, listing, network, restart, wifi
from armillary.cli.terminal.output import adopt, noun

app = noun("Devices: on this host and in the service.")

adopt(
    app,
    listing.app,
    application.app,
    image.app,
    restart.app,
    certificate.app,
    network.app,
    wifi.app,
    cellular.app,
)
