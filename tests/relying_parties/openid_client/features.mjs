// What the npm package openid-client can be told to do, feature by feature, unchanged: one JSON command a line in, one JSON answer a line out.
//   {"do":"keys"}                                                  the public keys that the clients are registered with
//   {"do":"begin","feature":…,"issuer":…,"clientId":…,"secret":…,"callback":…}   where the browser goes
//   {"do":"finish","feature":…,"url":…,"body":…}                   what the client made of where the browser came back

import { webcrypto } from 'node:crypto'
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

globalThis.crypto ??= webcrypto // Node 18 hides it

const { subtle } = globalThis.crypto
const signing = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
const encryption = await subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits'])
const dpopKeys = await client.randomDPoPKeyPair('ES256')
const PLAIN = ['client_secret_basic', (secret) => client.ClientSecretBasic(secret)]
const byKey = () => client.PrivateKeyJwt({ key: signing.privateKey, kid: 'sig' })

// auth: how the client authenticates; configure: what the library is told; authorize: how it asks; ask: further parameters; check: what must hold
const FEATURES = {
  client_secret_basic: {},
  client_secret_post: { auth: client.ClientSecretPost },
  client_secret_jwt: { auth: client.ClientSecretJwt },
  private_key_jwt: { auth: byKey },
  form_post: { ask: { response_mode: 'form_post' } },
  par: { authorize: (config, ask) => client.buildAuthorizationUrlWithPAR(config, ask) },
  jar: { auth: byKey, authorize: (config, ask) => client.buildAuthorizationUrlWithJAR(config, ask, { key: signing.privateKey, kid: 'sig' }) },
  jarm: { configure: client.useJwtResponseMode },
  dpop: { dpop: true, check: ({ tokens }) => tokens.token_type === 'dpop' },
  refresh: { refresh: true, check: ({ refreshed }) => Boolean(refreshed?.access_token) },
  claims: {
    ask: { claims: JSON.stringify({ userinfo: { name: { essential: true }, ial: null }, id_token: { ial: { essential: true } } }) },
    check: ({ idToken, userinfo }) => idToken.ial === 3 && userinfo.ial === 3 && Boolean(userinfo.name),
  },
  resource: {
    ask: { resource: 'https://records.example/api' },
    userinfo: false,
    introspect: true,
    check: ({ introspection }) => introspection.aud === 'https://records.example/api',
  },
  authorization_details: {
    ask: { authorization_details: JSON.stringify([{ type: 'urn:yizheng:mandate', representation: 'optional' }]) },
    check: ({ tokens }) => tokens.authorization_details?.[0]?.capacity === 'none',
  },
  introspection: { introspect: true, check: ({ introspection }) => introspection.active === true },
  revocation: { revoke: true, check: ({ after }) => after === 401 },
  signed_userinfo: { check: ({ userinfo }) => Boolean(userinfo.aud) },
  encrypted: {
    configure: (config) => client.enableDecryptingResponses(config, ['A256GCM'], { key: encryption.privateKey, kid: 'enc' }),
    ask: { claims: JSON.stringify({ id_token: { id_document: null } }) },
    check: ({ idToken }) => Boolean(idToken.id_document?.number),
  },
  fapi2_security_profile: {
    auth: byKey,
    dpop: true,
    configure: client.enableNonRepudiationChecks,
    authorize: (config, ask, options) => client.buildAuthorizationUrlWithPAR(config, ask, options),
    check: ({ tokens }) => tokens.token_type === 'dpop',
  },
  fapi2_message_signing: {
    auth: byKey,
    dpop: true,
    configure: (config) => {
      client.useJwtResponseMode(config)
      client.enableNonRepudiationChecks(config)
    },
    authorize: async (config, ask, options) => {
      const signed = await client.buildAuthorizationUrlWithJAR(config, ask, { key: signing.privateKey, kid: 'sig' })
      return client.buildAuthorizationUrlWithPAR(config, signed.searchParams, options)
    },
    check: ({ tokens }) => tokens.token_type === 'dpop',
  },
  device: {
    auth: byKey,
    start: (config) => client.initiateDeviceAuthorization(config, { scope: 'openid real_name', device_name: '大厅1号机（样例）' }),
    collect: (config, handle, options) => client.pollDeviceAuthorizationGrant(config, handle, undefined, options),
  },
  ciba: {
    start: (config, person) =>
      client.initiateBackchannelAuthentication(config, { scope: 'openid real_name', login_hint: person, binding_message: 'A-17' }),
    collect: (config, handle, options) => client.pollBackchannelAuthenticationGrant(config, handle, undefined, options),
  },
  fapi_ciba: {
    auth: byKey,
    dpop: true,
    start: async (config, person) => {
      const ask = { scope: 'openid real_name', login_hint: person, binding_message: 'B-42' }
      const signed = await client.buildAuthorizationUrlWithJAR(config, ask, { key: signing.privateKey, kid: 'sig' })
      return client.initiateBackchannelAuthentication(config, { request: signed.searchParams.get('request') })
    },
    collect: (config, handle, options) => client.pollBackchannelAuthenticationGrant(config, handle, undefined, options),
    check: ({ tokens }) => tokens.token_type === 'dpop',
  },
  token_exchange: {
    exchange: { resource: 'https://records.example/api', scope: 'real_name' },
    check: ({ exchanged }) => exchanged.issued_token_type === 'urn:ietf:params:oauth:token-type:access_token' && !exchanged.id_token,
  },
}

const begun = {}

async function begin({ feature, issuer, clientId, secret, callback, metadata, person }) {
  const wanted = FEATURES[feature]
  const auth = (wanted.auth ?? PLAIN[1])(secret)
  const config = await client.discovery(new URL(issuer), clientId, { ...metadata, client_secret: secret }, auth, {
    execute: [client.allowInsecureRequests], // loopback speaks plain HTTP; leave this line out on a real address
  })
  wanted.configure?.(config)
  const DPoP = wanted.dpop ? client.getDPoPHandle(config, dpopKeys) : undefined
  if (wanted.start) {
    const handle = await wanted.start(config, person)
    begun[feature] = { config, DPoP, handle }
    return { userCode: handle.user_code ?? null }
  }
  const verifier = client.randomPKCECodeVerifier()
  const flow = { config, DPoP, verifier, state: client.randomState(), nonce: client.randomNonce() }
  begun[feature] = flow
  const ask = {
    redirect_uri: callback,
    scope: 'openid profile real_name',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: flow.state,
    nonce: flow.nonce,
    ...wanted.ask,
  }
  const authorize = wanted.authorize ?? ((known, parameters) => client.buildAuthorizationUrl(known, parameters))
  return { url: (await authorize(config, ask, { DPoP })).href }
}

async function redeem({ feature, url, body }) {
  const wanted = FEATURES[feature]
  const { config, DPoP, verifier, state, nonce } = begun[feature]
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const came = body ? new Request(url, { method: 'POST', body, headers }) : new URL(url)
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce }
  return client.authorizationCodeGrant(config, came, checks, wanted.ask?.resource && { resource: wanted.ask.resource }, { DPoP })
}

async function finish({ feature, url, body }) {
  const wanted = FEATURES[feature]
  const { config, DPoP, handle } = begun[feature]
  const tokens = handle ? await wanted.collect(config, handle, { DPoP }) : await redeem({ feature, url, body })
  const found = { tokens, idToken: tokens.claims() }
  if (wanted.userinfo !== false) found.userinfo = await client.fetchUserInfo(config, tokens.access_token, found.idToken.sub, { DPoP })
  if (wanted.refresh) found.refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  if (wanted.introspect) found.introspection = await client.tokenIntrospection(config, tokens.access_token)
  if (wanted.exchange) {
    const type = 'urn:ietf:params:oauth:token-type:access_token'
    const subject = { subject_token: tokens.access_token, subject_token_type: type }
    found.exchanged = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', { ...subject, ...wanted.exchange })
  }
  if (wanted.revoke) {
    await client.tokenRevocation(config, tokens.access_token)
    const answer = await fetch(config.serverMetadata().userinfo_endpoint, { headers: { authorization: `Bearer ${tokens.access_token}` } })
    found.after = answer.status
  }
  return { ok: wanted.check ? wanted.check(found) : true, sub: found.idToken.sub, claims: Object.keys(found.idToken), userinfo: found.userinfo }
}

async function keys() {
  const sig = { ...(await subtle.exportKey('jwk', signing.publicKey)), kid: 'sig', use: 'sig', alg: 'ES256' }
  const enc = { ...(await subtle.exportKey('jwk', encryption.publicKey)), kid: 'enc', use: 'enc', alg: 'ECDH-ES' }
  for (const key of [sig, enc]) {
    delete key.ext
    delete key.key_ops
  }
  return { keys: [sig, enc] }
}

function explain(error) {
  const causes = []
  for (let one = error; one; one = one.cause) causes.push([one.code, one.error, one.error_description, one.message].filter(Boolean).join(' '))
  return causes.join(' < ')
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  try {
    const answer = await { keys, begin, finish }[command.do](command)
    console.log(JSON.stringify(answer))
  } catch (error) {
    console.log(JSON.stringify({ failed: explain(error) }))
  }
}
