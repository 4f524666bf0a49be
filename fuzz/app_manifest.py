# SPDX-License-Identifier: Apache-2.0
"""App manifests: any bytes are a manifest or a ManifestError; what parses survives encode and parse."""

from __future__ import annotations

from armillary.errors import ManifestError
from armillary.wire.image import app_manifest


def seeds() -> list[bytes]:
    return [
        (
            b'{"SchemaVersion":1,"Name":"a","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c","EntryPoint":"/bin/app",'
            b'"CmdArgs":["-x"],"Capabilities":{"AllowedConnections":["example.com","10.0.0.1"],"Gpio":[8,9],"Uart":["ISU0"],'
            b'"AllowedTcpServerPorts":[80],"MutableStorage":{"SizeKB":8},"PowerControls":["ForceReboot"],"WifiConfig":true,'
            b'"DeviceAuthentication":"00000000-0000-0000-0000-000000000000"},"ApplicationType":"Default","MallocVersion":2,'
            b'"TargetApplicationRuntimeVersion":12}'
        ),
        (
            b'{"SchemaVersion":1,"Name":"a","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c","EntryPoint":"/bin/app",'
            b'"Capabilities":{"Gpio":["$SAMPLE_LED"],"Adc":["$POT"]},"ApplicationType":"RealTimeCapable"}'
        ),
    ]


def fuzz(data: bytes) -> None:
    try:
        manifest = app_manifest.parse(data, resolved=False)
    except ManifestError:
        return
    assert app_manifest.parse(app_manifest.encode(manifest), resolved=False) == manifest
