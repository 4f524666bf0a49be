# SPDX-License-Identifier: Apache-2.0
"""The operator API: every shape that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from armillary.api.azure import shape as azure
from armillary.api.central import shape as central
from armillary.api.disclosure import shape as disclosure
from armillary.api.hawkbit import shape as hawkbit
from armillary.api.http.application import application
from armillary.api.http.shape import Shapes
from armillary.api.iot_hub import shape as iot_hub
from armillary.api.native import shape as native
from armillary.api.prometheus import shape as prometheus

if TYPE_CHECKING:
    from fastapi import FastAPI

    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.settings import Settings

SHAPES: Final = Shapes(
    azure.SHAPE,
    iot_hub.SHAPE,
    central.SHAPE,
    native.SHAPE,
    hawkbit.SHAPE,
    disclosure.SHAPE,
    prometheus.SHAPE,
)


def create_bridge_app(service: SecurityService, hub: Hub, platform: Platform, settings: Settings) -> FastAPI:
    """What the bridge's own port serves: hawkBit's DDI and nothing else, with limits of its own."""
    return application(Shapes(hawkbit.SHAPE), "hawkBit's DDI", service, hub, platform, settings)


def create_app(service: SecurityService, hub: Hub, platform: Platform, settings: Settings) -> FastAPI:
    """The operator API over a service, a hub and its platform."""
    return application(SHAPES, native.DESCRIPTION, service, hub, platform, settings)
