# SPDX-License-Identifier: Apache-2.0
"""Bodies of native routes that forms of the console are checked against, too: one rule for both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from armillary.api.native.parameters import StrictBody
from armillary.errors import InvalidArgumentError
from armillary.service.hub_access.enrolment_form import EnrolmentForm
from armillary.service.hub_access.identities import IdentityForm
from armillary.wire.text.device_name import MAX_TEXT_CHARACTERS

Pem = Annotated[str, Field(max_length=16_384)]


class FileBody(StrictBody):
    """One file of a model.

    Attributes:
        name: For messages.
        content: Its text: DTDL, or a device template in IoT Central's form.
    """

    name: Annotated[str, Field(min_length=1, max_length=256)]
    content: Annotated[str, Field(max_length=1 << 20)]


class ImportBody(StrictBody):
    """Files that become a template's model.

    Attributes:
        documents: The files.
        root: Identifier of the root interface; found where only one is no part of another.
        display_name: For people; the root interface's by default.
    """

    documents: Annotated[list[FileBody], Field(min_length=1, max_length=100)]
    root: Annotated[str, Field(max_length=128)] | None = None
    display_name: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    def files(self) -> list[tuple[str, bytes]]:
        """Name and content of each file."""
        return [(each.name, each.content.encode()) for each in self.documents]


class HubDeviceBody(StrictBody):
    """A hub device to make.

    Attributes:
        device_id: Its id.
        name: What people call it; empty for its id.
        authentication: A symmetric key (`sas`), or a certificate of its own (`selfSigned`).
        certificate: PEM, for `selfSigned`.
        secondary_certificate: A second one, for a change of certificates.
    """

    device_id: Annotated[str, Field(max_length=128)]
    name: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] = ""
    authentication: Literal["sas", "selfSigned"] = "selfSigned"
    certificate: Pem = ""
    secondary_certificate: Pem = ""

    def form(self) -> IdentityForm:
        """How its identity shall be."""
        certificates = (self.certificate, self.secondary_certificate)
        return IdentityForm(authentication=self.authentication, certificates=certificates)


class HubEnrolmentBody(StrictBody):
    """An enrolment to make.

    Attributes:
        name: The registration id of one device, or the name of a group.
        group: Whether it is for many devices.
        attestation: Certificates, or symmetric keys.
        certificate: PEM: the device's own, or for a group the authority that signs its devices' certificates.
        device_id: What its one device will be called; its registration id when missing.
        initial_twin: `{"tags": .., "desired": ..}` of new devices.
        returned_payload: JSON that devices get with their registration.
    """

    name: Annotated[str, Field(min_length=1, max_length=128)]
    group: bool = False
    attestation: Literal["x509", "symmetricKey"] = "x509"
    certificate: Pem = ""
    device_id: Annotated[str, Field(max_length=128)] = ""
    initial_twin: dict[str, Any] | None = None
    returned_payload: Any = None

    def form(self) -> EnrolmentForm:
        """How it shall be. Raises InvalidArgumentError for one by certificates that names none."""
        if self.attestation == "x509" and not self.certificate:
            raise InvalidArgumentError(
                "certificate: expected one in PEM", remedy="Give the device's, or the group's signer."
            )
        return EnrolmentForm(
            name=self.name,
            is_group=self.group,
            attestation=self.attestation,
            certificate=self.certificate,
            device_id=self.device_id,
            initial_twin=self.initial_twin,
            returned_payload=self.returned_payload,
        )


class ModuleBody(StrictBody):
    """A module to make; with `device` it shows what its device shows."""

    module_id: Annotated[str, Field(max_length=64)]
    authentication: Literal["sas", "selfSigned", "device"] = "device"
    certificate: Pem = ""

    def form(self) -> IdentityForm:
        """How its identity shall be."""
        return IdentityForm(authentication=self.authentication, certificates=(self.certificate, ""))


class HubServiceKeyBody(StrictBody):
    """A key to make: a name, and what it allows.

    Attributes:
        reveals_keys: Whether its bearer sees the symmetric keys of devices; not with the role Reader.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: Literal["Administrator", "Contributor", "Reader"]
    reveals_keys: bool = False
