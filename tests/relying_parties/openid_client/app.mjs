// A department's system with the npm package openid-client: discovery, PKCE, state, nonce, UserInfo, RP-initiated logout.
//   ISSUER=… CLIENT_ID=… CLIENT_SECRET=… PORT=… node app.mjs

import { randomBytes, webcrypto } from 'node:crypto'
import express from 'express'
import session from 'express-session'
import * as client from 'openid-client'
import { writePage, writeRefusal } from '../page.mjs'

globalThis.crypto ??= webcrypto // Node 18 hides it

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env
const home = `http://127.0.0.1:${PORT}`
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, client.ClientSecretBasic(CLIENT_SECRET), {
  execute: [client.allowInsecureRequests], // loopback speaks plain HTTP; leave this line out on a real address
})

const app = express()
app.use(session({ name: 'openid-client', secret: randomBytes(32).toString('hex'), resave: false, saveUninitialized: false }))

app.get('/', (request, response) => response.send(writePage(request.session.signedIn)))

async function begin(request, response, further) {
  const verifier = client.randomPKCECodeVerifier()
  const began = { verifier, state: client.randomState(), nonce: client.randomNonce() }
  request.session.began = began
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri: `${home}/callback`,
    scope: 'openid profile real_name',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: began.state,
    nonce: began.nonce,
    ...further,
  })
  response.redirect(address.href)
}

app.get('/sign-in', (request, response) => begin(request, response, {}))
app.get('/silent', (request, response) => begin(request, response, { prompt: 'none' }))

app.get('/callback', async (request, response) => {
  const { verifier, state, nonce } = request.session.began ?? {}
  try {
    const tokens = await client.authorizationCodeGrant(config, new URL(request.originalUrl, home), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
    })
    const idToken = tokens.claims()
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, idToken.sub)
    // A new session identifier: what was before the sign-in does not become the signed-in session.
    request.session.regenerate(() => {
      request.session.signedIn = { idToken, userinfo, rawIdToken: tokens.id_token }
      request.session.save(() => response.redirect('/'))
    })
  } catch (error) {
    response.status(403).send(writeRefusal(error.error ?? error.code ?? error.message))
  }
})

app.get('/sign-out', (request, response) => {
  const hint = request.session.signedIn?.rawIdToken
  const address = client.buildEndSessionUrl(config, { post_logout_redirect_uri: `${home}/`, ...(hint && { id_token_hint: hint }) })
  request.session.destroy(() => response.redirect(address.href))
})

app.listen(Number(PORT), '127.0.0.1')
