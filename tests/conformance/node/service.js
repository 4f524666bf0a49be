// SPDX-License-Identifier: Apache-2.0
// azure-iothub as it is published, at port 443 of a connection string without a port: registry, twins, queries, jobs.
'use strict';

const { JobClient, Registry } = require('azure-iothub');
const { check, given, refusal } = require('./checks');

const registry = Registry.fromConnectionString(given.service);
const { name } = given;

async function rows(text, size) {
  const query = registry.createQuery(text, size);
  const found = [];
  let pages = 0;
  do {
    found.push(...(await query.next(query.continuationToken)).result);
    pages += 1;
  } while (query.hasMoreResults);
  return { found, pages };
}

async function main() {
  await check('a device is made, read, changed and deleted', async () => {
    const made = (await registry.create({ deviceId: name })).responseBody;
    const got = (await registry.get(name)).responseBody;
    const again = await refusal(() => registry.create({ deviceId: name }));
    const changed = (await registry.update({ deviceId: name, status: 'disabled', statusReason: 'lost' })).responseBody;
    await registry.delete(name);
    return [
      typeof made.authentication.symmetricKey.primaryKey, got.deviceId, got.authentication.symmetricKey.primaryKey,
      again, changed.status, changed.statusReason, await refusal(() => registry.get(name)),
    ];
  });

  await check('devices are listed, made in bulk, changed in bulk and removed', async () => {
    const many = Array.from({ length: 20 }, (_, n) => ({ deviceId: `${name}-bulk-${n}`, status: 'enabled' }));
    const made = (await registry.addDevices(many)).responseBody;
    const disabled = many.map((each) => ({ ...each, status: 'disabled' }));
    const changed = (await registry.updateDevices(disabled, true)).responseBody;
    const listed = (await registry.list()).responseBody.filter((each) => each.deviceId.startsWith(`${name}-bulk-`));
    const statuses = [...new Set(listed.map((each) => each.status))];
    const removed = (await registry.removeDevices(many, true)).responseBody;
    return [made.isSuccessful, changed.isSuccessful, listed.length, statuses, removed.isSuccessful];
  });

  await check('an edge device is refused by name', async () => {
    try {
      await registry.create({ deviceId: `${name}-edge`, capabilities: { iotEdge: true } });
    } catch (error) {
      return (error.responseBody ?? '').includes('capabilities.iotEdge');
    }
    return false;
  });

  await check('two equal keys are two keys', async () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    const authentication = { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } };
    const made = (await registry.create({ deviceId: `${name}-equal`, authentication })).responseBody;
    return made.authentication.symmetricKey.secondaryKey === key;
  });

  await check('modules', async () => {
    const device = `${name}-equal`;
    await registry.addModule({ deviceId: device, moduleId: 'camera' });
    const listed = (await registry.getModulesOnDevice(device)).responseBody.map((each) => each.moduleId);
    const twin = (await registry.getModuleTwin(device, 'camera')).responseBody;
    await registry.updateModuleTwin(device, 'camera', { properties: { desired: { a: 1 } } }, twin.etag);
    const got = (await registry.getModule(device, 'camera')).responseBody.deviceId;
    await registry.removeModule(device, 'camera');
    return [listed, got === device, (await registry.getModulesOnDevice(device)).responseBody.length];
  });

  await check('twins are merged, guarded and cleared', async () => {
    const device = `${name}-equal`;
    const twin = (await registry.getTwin(device)).responseBody;
    const patch = { tags: { site: 'Oslo', floor: 2 }, properties: { desired: { interval: 5, deep: { a: 1 } } } };
    const changed = (await registry.updateTwin(device, patch, twin.etag)).responseBody;
    const stale = await refusal(() => registry.updateTwin(device, { tags: { x: 1 } }, twin.etag));
    const cleared = (await registry.updateTwin(device, { properties: { desired: null } }, '*')).responseBody;
    const desired = Object.keys(cleared.properties.desired).filter((key) => !key.startsWith('$'));
    const handle = (await registry.getTwin(device)).responseBody;
    await handle.update({ tags: { floor: null } });
    return [changed.properties.desired.deep, stale, desired, cleared.tags, handle.tags];
  });

  await check('queries', async () => {
    const many = Array.from({ length: 7 }, (_, n) => ({ deviceId: `${name}-q${n}` }));
    await registry.addDevices(many);
    for (const [n, each] of many.entries()) {
      await registry.updateTwin(each.deviceId, { tags: { set: name, floor: n % 3, 'a-b': n } }, '*');
    }
    const of = `tags.set = '${name}'`;
    const pages = await rows(`SELECT deviceId FROM devices WHERE ${of}`, 3);
    const count = await rows(`SELECT COUNT() AS n FROM devices WHERE ${of} AND tags.floor IN [0, 1]`);
    const wrong = await refusal(() => rows('SELECT * FROM nowhere'));
    const grouped = await rows(`SELECT d.tags.floor, COUNT() AS n FROM devices d WHERE d.${of} GROUP BY d.tags.floor`);
    const escaped = await rows(`SELECT TOP 2 tags.[[a-b]] AS n FROM devices WHERE ${of} AND tags.[[a-b]] NIN [0, 1]`);
    const modules = await rows(`SELECT moduleId FROM devices.modules WHERE deviceId = '${name}-none'`);
    return [pages.found.length, pages.pages, count.found, wrong, grouped.found, escaped.found, modules.found];
  });

  await check('statistics', async () => {
    const devices = (await registry.getRegistryStatistics()).responseBody;
    return [devices.totalDeviceCount > 7, devices.disabledDeviceCount];
  });

  await check('configurations', async () => {
    const id = `c-${name}`;
    const content = { deviceContent: { 'properties.desired.mode': { a: 1 } } };
    await registry.addConfiguration({ id, content, targetCondition: `tags.set = '${name}'`, priority: 3 });
    const got = (await registry.getConfiguration(id)).responseBody;
    const twin = (await registry.getTwin(`${name}-q1`)).responseBody;
    const all = (await registry.getConfigurations()).responseBody.map((each) => each.id);
    await registry.removeConfiguration(id);
    return [got.priority, twin.properties.desired.mode, all.includes(id)];
  });

  await check('what is not offered is refused with a reason', async () => {
    const jobs = JobClient.fromConnectionString(given.service);
    return [
      await refusal(() => jobs.scheduleTwinUpdate('j1', 'tags.x = 1', { tags: { y: 1 } }, new Date(), 60)),
      await refusal(() => registry.applyConfigurationContentOnDevice(`${name}-q1`, { modulesContent: {} })),
    ];
  });

  await check('a wrong key is let in nowhere', async () => {
    const wrong = given.service.replace(/SharedAccessKey=.*/, `SharedAccessKey=${Buffer.alloc(32).toString('base64')}`);
    return refusal(() => Registry.fromConnectionString(wrong).list());
  });
}

main().then(() => process.exit(0)); // kept connections would keep the process
