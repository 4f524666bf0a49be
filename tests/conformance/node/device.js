// SPDX-License-Identifier: Apache-2.0
// azure-iot-device over MQTT and MQTT over WebSocket, and azure-iot-provisioning-device-mqtt, as they are published.
'use strict';

const { readFileSync } = require('fs');
const { Readable } = require('stream');
const { Client, Message } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const provisioning = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');
const { Client: ServiceClient, Registry } = require('azure-iothub');
const { check, given, operator, promised } = require('./checks');

const service = ServiceClient.fromConnectionString(given.service);
const registry = Registry.fromConnectionString(given.service);
const WAYS = { mqtt: Mqtt, websocket: MqttWs };

async function call(device, methodName, payload) {
  const wanted = { methodName, payload, responseTimeoutInSeconds: 15, connectTimeoutInSeconds: 15 };
  const { result } = await service.invokeDeviceMethod(device, wanted);
  return [result.status, result.payload];
}

// Every call of one connected device.
async function walk(way, device, client) {
  await check(`${way}: opens`, () => client.open().then(() => true));

  await check(`${way}: telemetry`, async () => {
    for (const n of [1, 2, 3]) {
      const message = new Message(JSON.stringify({ n }));
      message.contentType = 'application/json';
      message.contentEncoding = 'utf-8';
      message.properties.add('kind', 'test');
      await client.sendEvent(message);
    }
    const { items } = await operator('GET', `/api/v1/devices/${device}/telemetry`);
    return items.filter((each) => each.metric === 'n').map((each) => each.value);
  });

  await check(`${way}: methods, with a payload, without, and with null`, async () => {
    client.onDeviceMethod('echo', (request, response) => response.send(200, { got: request.payload }));
    client.onDeviceMethod('fail', (_, response) => response.send(417, null));
    return [
      await call(device, 'echo', { a: [1, null] }), await call(device, 'echo', null),
      await call(device, 'echo', undefined), await call(device, 'echo', 'text'), await call(device, 'fail', {}),
    ];
  });

  await check(`${way}: twin`, async () => {
    const twin = await client.getTwin();
    const desired = promised();
    twin.on('properties.desired.interval', (value) => value === 7 && desired.resolve(value));
    await new Promise((resolve, reject) => {
      twin.properties.reported.update({ battery: 41, way }, (error) => (error ? reject(error) : resolve()));
    });
    await registry.updateTwin(device, { properties: { desired: { interval: 7 } } }, '*');
    const seen = (await registry.getTwin(device)).responseBody;
    return [await desired.value, seen.properties.reported.battery, seen.properties.reported.way, seen.connectionState];
  });

  await check(`${way}: cloud-to-device`, async () => {
    const got = promised();
    client.on('message', (message) => {
      client.complete(message, (error) => (error ? got.reject(error) : got.resolve(message.data.toString())));
    });
    await operator('POST', `/api/v1/devices/${device}/messages`, { text: 'hello' });
    return got.value;
  });

  await check(`${way}: file upload`, async () => {
    // Blocks of 4 MiB, up to 20 of them at once: as many as the hub takes of one device.
    const content = Buffer.alloc(way === 'mqtt' ? 80 << 20 : 5000, 'x');
    await client.uploadToBlob(`log-${way}.txt`, Readable.from([content]), content.length);
    const { items } = await operator('GET', `/api/v1/devices/${device}/files`);
    return items.filter((each) => each.name === `log-${way}.txt`).map((each) => [each.state, each.size]);
  });

  await check(`${way}: closes`, () => client.close().then(() => true));
}

function register(security, Transport) {
  const client = ProvisioningDeviceClient.create(given.host, given.scope, new Transport(), security);
  return new Promise((resolve, reject) => {
    client.register((error, result) => (error ? reject(error) : resolve([result.assignedHub, result.deviceId])));
  });
}

// Every way of one registration.
function registrations(way, Transport) {
  const { symmetric, x509, group } = given.enrolments[way];
  const own = readFileSync(x509.file, 'ascii');
  const wrong = new SymmetricKeySecurityClient(`${group.id}-too`, Buffer.alloc(32).toString('base64'));
  return [
    check(`${way}: registers with a symmetric key`, () =>
      register(new SymmetricKeySecurityClient(symmetric.id, symmetric.key), Transport)),
    check(`${way}: registers with a key of a group`, () =>
      register(new SymmetricKeySecurityClient(group.id, group.key), Transport)),
    check(`${way}: registers with a certificate`, () =>
      register(new X509Security(x509.id, { cert: own, key: own }), Transport)),
    check(`${way}: a wrong key registers nobody`, () =>
      register(wrong, Transport).then(() => 'registered', () => 'refused')),
  ];
}

async function main() {
  const pem = readFileSync(given.x509.file, 'ascii');
  const provisioned = { mqtt: provisioning.Mqtt, websocket: provisioning.MqttWs };
  // All at once: most of the time is waiting for answers.
  await Promise.all([
    ...Object.entries(WAYS).map(([way, Transport]) => {
      const { device, connection } = given.sas[way];
      return walk(way, device, Client.fromConnectionString(connection, Transport));
    }),
    ...Object.entries(provisioned).flatMap(([way, Transport]) => registrations(way, Transport)),
    check('a certificate of its own', async () => {
      const client = Client.fromConnectionString(`HostName=${given.host};DeviceId=${given.x509.device};x509=true`, Mqtt);
      await client.setOptions({ cert: pem, key: pem });
      await client.open();
      await client.sendEvent(new Message('{"t": 1}'));
      await client.close();
      return true;
    }),
  ]);
}

main().then(() => process.exit(0)); // kept connections would keep the process
