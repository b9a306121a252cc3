// Decides how the peer is run: in production mode, with the bench's clients, the same algorithms as ours, and one small form to sign in with.
// Environment: PEER_PORT, PEER_REDIS (URL), PEER_CLIENTS (JSON list of client metadata), PEER_RESOURCES (JSON: resource → algorithm of its JWTs).

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';

import { Redis } from 'ioredis';
import Provider from 'oidc-provider';

import { makeAdapter } from './redis_adapter.js';

const { PEER_PORT, PEER_REDIS, PEER_CLIENTS, PEER_RESOURCES } = process.env;
const issuer = `http://127.0.0.1:${PEER_PORT}`;
const resources = JSON.parse(PEER_RESOURCES);

function makeKey(alg) {
  const { privateKey } = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: alg };
}

const provider = new Provider(issuer, {
  adapter: makeAdapter(new Redis(PEER_REDIS, { enableAutoPipelining: true })),
  clients: JSON.parse(PEER_CLIENTS),
  cookies: { keys: [randomBytes(32).toString('hex')] },
  jwks: { keys: [makeKey('ES256'), makeKey('RS256')] },
  enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (ctx, resource) => ({
        scope: '',
        audience: resource,
        accessTokenTTL: 300,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: resources[resource] } },
      }),
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  // The bench's clients act by statutory duty, as ours do: nobody is asked, the grant is made at the first visit.
  async loadExistingGrant(ctx) {
    const id = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
    if (id) return ctx.oidc.provider.Grant.find(id);
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid');
    await grant.save();
    return grant;
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: 300, AuthorizationCode: 60, ClientCredentials: 300, Grant: 43_200, IdToken: 300, Interaction: 600, RefreshToken: 28_800, Session: 43_200 },
});

// Synthetic people without a password: what is compared begins at a live session.
async function signIn(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<form method="post"><input type="hidden" name="uid" value="${details.uid}"><input name="account"><button>Sign in</button></form>`);
    return;
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  const account = new URLSearchParams(body).get('account');
  await provider.interactionFinished(request, response, { login: { accountId: account } }, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
http
  .createServer((request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response);
    signIn(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(`${error}`);
    });
  })
  .listen(PEER_PORT, '127.0.0.1');
