// SPDX-License-Identifier: Apache-2.0
// Many checks in one process, because a process is slow to start: each prints one line of JSON.
'use strict';

const CHECK_TIMEOUT_MS = 20_000;

// What the Python side says of the hub.
const given = JSON.parse(process.env.GIVEN);

// Runs a check; what it returns is compared by the Python side.
async function check(name, run) {
  const started = Date.now();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  let line;
  try {
    line = { check: name, value: (await Promise.race([run(), late])) ?? null };
  } catch (error) {
    line = { check: name, error: `${error.name}: ${error.message} ${error.responseBody ?? ''}`.slice(0, 600) };
  }
  clearTimeout(timer);
  process.stdout.write(`${JSON.stringify({ ...line, ms: Date.now() - started })}\n`);
}

// A promise and what settles it.
function promised() {
  const made = {};
  made.value = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

// The status of a call that must fail; 0 when it does not.
async function refusal(call) {
  try {
    await call();
    return 0;
  } catch (error) {
    return error.response?.statusCode ?? error.statusCode ?? `${error.name}: ${error.message}`;
  }
}

// One request to the operator's API.
async function operator(method, path, body) {
  const headers = { authorization: `Bearer ${given.token}`, 'content-type': 'application/json' };
  const answer = await fetch(given.api + path, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

module.exports = { check, given, operator, promised, refusal };
