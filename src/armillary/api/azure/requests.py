# SPDX-License-Identifier: Apache-2.0
"""Bodies that the management API takes. Unknown and read-only fields are ignored, as the public service does."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from armillary.wire.image.naming import VERSION_LENGTH

# Identifiers of one claim: the public service takes 1,000.
MAX_CLAIM = 1000
# Images of one deployment; a device has room for far fewer.
MAX_DEPLOYED = 64

Text = Annotated[str, Field(max_length=1024)]
# The public service has Retail and RetailEval; operators of this one make further feeds.
Feed = Annotated[str, Field(max_length=16)]
Policy = Literal["UpdateAll", "No3rdPartyAppUpdates"]
Dumps = Literal["Enabled", "Disabled"]
Boundary = Literal["None", "EU"]
Capability = Literal["ApplicationDevelopment", "FieldServicing"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


P = TypeVar("P", bound=_Body)


class Resource(_Body, Generic[P]):
    """PUT and PATCH of a resource: the properties that the caller may write."""

    properties: P | None = None


class CatalogBody(_Body):
    """PUT and PATCH of a catalog."""

    location: Text | None = None
    tags: dict[str, str] | None = None


class ProductProperties(_Body):
    """Writable properties of a product."""

    description: Text | None = None


class DeviceGroupProperties(_Body):
    """Writable properties of a device group."""

    description: Text | None = None
    osFeedType: Feed | None = None  # noqa: N815 - names of the management API
    updatePolicy: Policy | None = None  # noqa: N815
    allowCrashDumpsCollection: Dumps | None = None  # noqa: N815
    regionalDataBoundary: Boundary | None = None  # noqa: N815


class ListDeviceGroupsBody(_Body):
    """POST listDeviceGroups."""

    deviceGroupName: Text | None = None  # noqa: N815


class ClaimBody(_Body):
    """POST claimDevices."""

    deviceIdentifiers: Annotated[list[str], Field(min_length=1, max_length=MAX_CLAIM)]  # noqa: N815


class DeviceProperties(_Body):
    """Writable properties of a device."""

    deviceId: Text | None = None  # noqa: N815
    deviceGroupId: Text | None = None  # noqa: N815


class ImageProperties(_Body):
    """Writable properties of an image; ``image`` is the package in base64."""

    image: str | None = None
    imageId: Text | None = None  # noqa: N815
    regionalDataBoundary: Boundary | None = None  # noqa: N815
    version: Annotated[str, Field(max_length=VERSION_LENGTH)] | None = None  # ours: the public service has none


class DeployedImage(_Body):
    """An image in a deployment: by its name, its resource id or its image id."""

    id: Text | None = None
    name: Text | None = None
    properties: ImageProperties | None = None


class DeploymentProperties(_Body):
    """Writable properties of a deployment."""

    deploymentId: Text | None = None  # noqa: N815
    deployedImages: Annotated[list[DeployedImage], Field(max_length=MAX_DEPLOYED)] | None = None  # noqa: N815


class CapabilityBody(_Body):
    """POST generateCapabilityImage."""

    capabilities: Annotated[
        list[Literal["ApplicationDevelopment", "FieldServicing", "RfTestMode"]], Field(min_length=1, max_length=3)
    ]


class NonceBody(_Body):
    """POST retrieveProofOfPossessionNonce."""

    proofOfPossessionNonce: Annotated[str, Field(min_length=1, max_length=64)]  # noqa: N815


ProductBody = Resource[ProductProperties]
DeviceGroupBody = Resource[DeviceGroupProperties]
DeviceBody = Resource[DeviceProperties]
ImageBody = Resource[ImageProperties]
DeploymentBody = Resource[DeploymentProperties]
