import type { ExecutionContext } from 'ava'
import test from 'ava'
import grant, { type GrantConfig } from 'grant'
import type { Context, Middleware } from 'koa'
import koaPassport from 'koa-passport'
import OAuth2Strategy from 'passport-oauth2'
import { answering, bagOf, ecosystem, type Ecosystem } from '../support/ecosystem.ts'
import { oauthProvider, type Provider } from '../support/oauth-provider.ts'

const userOf = (ctx: Context): string => (ctx.state as unknown as { user?: { id: string } }).user?.id ?? 'nobody'

interface Site extends Ecosystem {
  readonly provider: Provider
}

async function passportSite(t: ExecutionContext): Promise<Site> {
  const provider = await oauthProvider(t)
  const made = new koaPassport.KoaPassport()
  made.serializeUser((user, done) => done(null, user.id))
  made.deserializeUser((id, done) => done(null, { id }))
  const settings = {
    authorizationURL: `${provider.url}/authorize`,
    tokenURL: `${provider.url}/token`,
    clientID: 'app',
    clientSecret: 'secret',
    state: true,
  }
  // Where the app is reached is known only once it listens.
  const start: Middleware = (ctx, next): unknown => {
    made.use(
      'provider',
      new OAuth2Strategy(
        { ...settings, callbackURL: `${ctx.protocol}://${ctx.host}/callback` },
        (_access, _refresh, _profile, done) => done(null, { id: 'ada' }),
      ),
    )
    return made.authenticate('provider', { successRedirect: '/me', failWithError: true })(ctx, next)
  }
  const routes: Middleware = (ctx, next): unknown =>
    ctx.path === '/start' || ctx.path === '/callback' ? start(ctx, next) : next()
  const show = answering({ '/me': userOf, '/show': (ctx) => JSON.stringify({ ...bagOf(ctx) }) })
  const app = await ecosystem(t, {}, made.initialize(), made.session(), routes, show)
  return { ...app, provider }
}

test('passport-oauth2 with state: true signs in what the same browser began', async (t) => {
  const { provider, ...app } = await passportSite(t)
  const browser = app.browser()

  const answer = await provider.visit(browser, await browser.get('/start'))

  t.is(answer.headers.get('location'), '/me')
  t.is((await browser.get('/me')).body, 'ada')
})

test('passport-oauth2: the state is stored before the redirect leaves, and taken out when it was used', async (t) => {
  const { provider, ...app } = await passportSite(t)
  const browser = app.browser()

  const leaving = await browser.get('/start')
  t.regex((await browser.get('/show')).body, /"oauth2:127\.0\.0\.1":\{"state":"/)
  await provider.visit(browser, leaving)
  t.is((await browser.get('/show')).body, '{"passport":{"user":"ada"}}')
})

test('passport-oauth2: the id changes when the user comes back, and the one from before is dead', async (t) => {
  const { provider, ...app } = await passportSite(t)
  const browser = app.browser()
  const leaving = await browser.get('/start')
  const before = await browser.cookie()
  await provider.visit(browser, leaving)

  t.not(await browser.cookie(), before)
  t.is((await browser.send('/me', before)).body, 'nobody')
})

test('passport-oauth2: another browser cannot use the state', async (t) => {
  const { provider, ...app } = await passportSite(t)
  const attacker = app.browser()
  const victim = app.browser()
  const back = await provider.consent(await attacker.get('/start'))
  await victim.get('/start')

  t.is((await victim.get(back)).status, 403)
  t.is((await victim.get('/me')).body, 'nobody')
  t.is((await app.browser().get(back)).status, 403)
})

// grant's own types have no place for the constructor that its README shows.
const grantFor = (config: GrantConfig): Middleware =>
  (grant as unknown as { koa(): (config: GrantConfig) => Middleware }).koa()(config)

async function grantSite(t: ExecutionContext, tokenSize: number): Promise<Site> {
  const provider = await oauthProvider(t, tokenSize)
  let middleware: Middleware | undefined
  const grants: Middleware = (ctx, next): unknown => {
    middleware ??= grantFor({
      defaults: {
        origin: `${ctx.protocol}://${ctx.host}`,
        transport: 'session',
        state: true,
        response: ['tokens', 'profile'],
      },
      provider: {
        authorize_url: `${provider.url}/authorize`,
        access_url: `${provider.url}/token`,
        profile_url: `${provider.url}/profile`,
        oauth: 2,
        key: 'app',
        secret: 'secret',
        callback: '/done',
      },
    })
    return middleware(ctx, next)
  }
  const done = answering({ '/done': (ctx) => JSON.stringify(bagOf(ctx)['grant']) })
  const app = await ecosystem(t, {}, grants, done)
  return { ...app, provider }
}

/** Follows redirects inside the app. */
async function arrive({ provider, ...app }: Site): Promise<string> {
  const visitor = app.browser()
  const back = await provider.visit(visitor, await visitor.get('/connect/provider'))
  return (await visitor.get(back.headers.get('location') ?? '')).body
}

for (const tokenSize of [20, 10_000]) {
  test(`grant keeps its state and an answer with a token of ${tokenSize} characters in the session`, async (t) => {
    const body = JSON.parse(await arrive(await grantSite(t, tokenSize))) as {
      provider?: string
      response?: { access_token?: string; profile?: object }
    }

    t.is(body.provider, 'provider')
    t.is(body.response?.access_token?.length, tokenSize)
    t.deepEqual(body.response?.profile, { login: 'ada' })
  })
}

test('grant refuses an answer that another browser began', async (t) => {
  const { provider, ...app } = await grantSite(t, 20)
  const back = await provider.consent(await app.browser().get('/connect/provider'))
  const victim = app.browser()
  await victim.get('/connect/provider')
  const answer = await victim.get(back)

  t.regex((await victim.get(answer.headers.get('location') ?? '')).body, /state mismatch/)
})

test('grant without koaSession says that it has no session', async (t) => {
  const { warnings, ...app } = await ecosystem(
    t,
    { koaSession: false },
    grantFor({ defaults: { origin: 'http://127.0.0.1' } }),
  )

  const answer = await app.browser().get('/connect/provider')

  t.is(answer.status, 400)
  t.regex(answer.body, /session/)
  t.is(warnings.length, 1)
})
