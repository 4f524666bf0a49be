// SPDX-License-Identifier: Apache-2.0
// The package mqtt as it is published, MQTT 3.1.1 and 5, TLS and WebSocket, with a device's topics and with the broker.
'use strict';

const { readFileSync } = require('fs');
const mqtt = require('mqtt');
const { check, given, promised } = require('./checks');

const pem = readFileSync(given.attested.file, 'ascii');
const { device } = given.attested;

function connect(port, way, options) {
  const address = way === 'wss' ? `wss://${given.host}:${port}/$iothub/websocket` : `mqtts://${given.host}:${port}`;
  const certificate = { cert: pem, key: pem };
  return mqtt.connectAsync(address, {
    ...certificate, wsOptions: certificate, reconnectPeriod: 0, connectTimeout: 15_000, ...options,
  });
}

async function main() {
  for (const protocolVersion of [4, 5]) {
    for (const way of ['mqtts', 'wss']) {
      await check(`hub: ${protocolVersion} ${way}`, async () => {
        const username = `${given.host}/${device}/?api-version=2021-04-12`;
        const client = await connect(given.hubPort, way, { protocolVersion, clientId: device, username });
        const twin = promised();
        client.on('message', (topic, payload) => twin.resolve([topic, Object.keys(JSON.parse(payload)).sort()]));
        await client.subscribeAsync('$iothub/twin/res/#', { qos: 0 });
        await client.publishAsync(`devices/${device}/messages/events/`, '{"t": 5}', { qos: 1 });
        await client.publishAsync('$iothub/twin/GET/?$rid=9', '');
        const found = await twin.value;
        await client.endAsync();
        return found;
      });

      await check(`broker: ${protocolVersion} ${way}`, async () => {
        const topic = `room/${protocolVersion}/${way}`;
        const one = await connect(given.brokerPort, way, { protocolVersion, clientId: 'one' });
        const two = await connect(given.brokerPort, way, { protocolVersion, clientId: 'two' });
        const found = [];
        const all = promised();
        two.on('message', (_, payload, packet) => {
          found.push([payload.toString(), packet.qos, packet.retain, packet.properties?.userProperties?.unit ?? null]);
          if (found.length === 4) all.resolve(found);
        });
        const properties = protocolVersion === 5 ? { userProperties: { unit: 'C' } } : undefined;
        await one.publishAsync(topic, 'kept', { qos: 1, retain: true, properties });
        await two.subscribeAsync('room/#', { qos: 2 });
        for (const qos of [0, 1, 2]) await one.publishAsync(topic, `live ${qos}`, { qos, properties });
        await all.value;
        await two.endAsync();
        await one.publishAsync(topic, '', { qos: 1, retain: true }); // kept for nobody any more
        await one.endAsync();
        return found;
      });
    }
  }

  await check('a client that shows nothing is refused', () =>
    connect(given.hubPort, 'mqtts', { cert: undefined, key: undefined, clientId: 'nobody', username: 'nobody' })
      .then(() => 'connected', () => 'refused'));
}

main().then(() => process.exit(0)); // kept connections would keep the process
