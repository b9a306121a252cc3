// A department's system with the npm package passport-openidconnect, which knows neither PKCE nor discovery nor the keys:
// register it as a confidential client with --legacy-no-pkce.
//   ISSUER=… CLIENT_ID=… CLIENT_SECRET=… PORT=… node app.mjs

import { randomBytes } from 'node:crypto'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import OpenIDConnectStrategy from 'passport-openidconnect'
import { writePage, writeRefusal } from '../page.mjs'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env
const home = `http://127.0.0.1:${PORT}`

const strategy = new OpenIDConnectStrategy(
  {
    issuer: ISSUER,
    authorizationURL: `${ISSUER}/authorize`,
    tokenURL: `${ISSUER}/token`,
    userInfoURL: `${ISSUER}/userinfo`,
    clientID: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    callbackURL: `${home}/callback`,
    scope: ['profile', 'real_name'], // it adds openid itself
    nonce: true, // without this line it sends none
    skipUserProfile: false, // reads UserInfo; needed with this form of the function below
  },
  // Nine parameters: UserInfo and ID Token apart. `_json` is UserInfo as it came.
  (issuer, userinfo, profile, context, idToken, accessToken, refreshToken, parameters, done) =>
    done(null, { userinfo: userinfo._json, idToken: readClaims(idToken), rawIdToken: idToken }),
)

function readClaims(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
}

passport.use(strategy)
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))

const app = express()
app.use(session({ name: 'passport', secret: randomBytes(32).toString('hex'), resave: false, saveUninitialized: false }))
app.use(passport.session())

app.get('/', (request, response) => response.send(writePage(request.user)))
app.get('/sign-in', passport.authenticate('openidconnect'))
app.get('/silent', passport.authenticate('openidconnect', { prompt: 'none' }))
// A person who declines is a failed sign-in for the package; every other error goes to the handler at the end.
app.get('/callback', passport.authenticate('openidconnect', { successRedirect: '/', failureRedirect: '/refused' }))
app.get('/refused', (request, response) => response.status(403).send(writeRefusal('没有登录')))

// The package has no logout: end one's own session, then send the browser to the provider's address with the ID Token.
app.get('/sign-out', (request, response, next) => {
  const address = new URL(`${ISSUER}/sign-out`)
  address.searchParams.set('post_logout_redirect_uri', `${home}/`)
  if (request.user) address.searchParams.set('id_token_hint', request.user.rawIdToken)
  request.logout((error) => (error ? next(error) : response.redirect(address.href)))
})

app.use((error, request, response, _next) => response.status(403).send(writeRefusal(error.code ?? error.message)))

app.listen(Number(PORT), '127.0.0.1')
