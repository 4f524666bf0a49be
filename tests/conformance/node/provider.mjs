// SPDX-License-Identifier: Apache-2.0
// A certified OpenID Connect provider, as published, with a few people: node provider.mjs CONFIG.json
// It prints its issuer when it listens, and ends with its input.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import Provider from 'oidc-provider'

const config = JSON.parse(readFileSync(process.argv[2]))
const server = createServer({ cert: readFileSync(config.certificate), key: readFileSync(config.key) })
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://localhost:${server.address().port}`
  const provider = new Provider(issuer, {
    clients: config.clients,
    cookies: { keys: ['of-this-test'] },
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: config.inUserInfo,
    features: { rpInitiatedLogout: { enabled: true } },
    pkce: { required: () => true },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, ...config.people[id] }),
    }),
  })
  server.on('request', provider.callback())
  console.log(issuer)
})
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
