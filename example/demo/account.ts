// Accounts: signing up, in and out, and changing what matters only with a fresh password.
import Router from 'koa-router'
import type { Context } from 'koa'
import type { Origin } from 'koa-fastsession'
import { codeOf } from './code.ts'
import { button, card, field, input, seeOther } from './forms.ts'
import { html, type Html } from './html.ts'
import { FRESH_CODE, freshOnly, memberOf, membersOnly, placeOf, wishOf } from './members.ts'
import type { Frame } from './page.ts'
import type { User } from './users.ts'
import { visitor, type Shop } from './visitor.ts'

const SHORTEST = 10
const EMAIL = /^[^\s@]+@[^\s@]+$/
const [IN_CODE, OUT_CODE, PASSWORD_CODE] = [
  codeOf('account.ts', 'in'),
  codeOf('account.ts', 'out'),
  codeOf('account.ts', 'password'),
]

export function accountRoutes(shop: Shop, frame: Frame): Router {
  const { users, sessions } = shop
  const router = new Router()
  const form = (ctx: Context, title: string, body: Html, code: Html, status = 200) =>
    frame.show(ctx, { title, body, code }, status)

  router.get('/sign-up', (ctx) => form(ctx, 'Sign up', signUpForm(), IN_CODE))

  router.post('/sign-up', async (ctx) => {
    const [name, email, password] = [field(ctx, 'name').trim(), field(ctx, 'email').trim(), field(ctx, 'password')]
    const problem = name === '' ? 'Give a name.' : (wrongEmail(email) ?? wrongPassword(password))
    if (problem !== undefined) {
      form(ctx, 'Sign up', signUpForm(name, email, problem), IN_CODE, 422)
      return
    }
    const user = await users.signUp(name, email, password)
    if (user === undefined) {
      form(ctx, 'Sign up', signUpForm(name, email, 'There is an account with this e-mail.'), IN_CODE, 422)
      return
    }
    await enter(user, false)
    visitor().flash('notice', `Welcome, ${user.name}. Sign in with a second browser, too, and look at your devices.`)
    seeOther(ctx, '/')
  })

  router.get('/sign-in', (ctx) => {
    const place = placeOf(String(ctx.query['for'] ?? '/'))
    form(ctx, 'Sign in', signInForm(place, WHY[visitor().origin]), IN_CODE)
  })

  router.post('/sign-in', async (ctx) => {
    const [email, place] = [field(ctx, 'email'), placeOf(field(ctx, 'for'))]
    // A real site limits how often somebody may try.
    const user = await users.check(email, field(ctx, 'password'))
    if (user === undefined) {
      form(ctx, 'Sign in', signInForm(place, WRONG, email), IN_CODE, 401)
      return
    }
    await enter(user, field(ctx, 'remember') === 'yes')
    visitor().flash('notice', `Hello, ${user.name}.`)
    seeOther(ctx, place)
  })

  //#region out
  router.post('/sign-out', async (ctx) => {
    await visitor().destroy()
    seeOther(ctx, '/signed-out')
  })
  //#endregion

  router.get('/signed-out', (ctx) => form(ctx, 'Signed out', signedOut(), OUT_CODE))

  // ---- for members

  router.get('/account', membersOnly(shop), (ctx) => form(ctx, 'Account', accountPage(memberOf(shop)), FRESH_CODE))

  router.get('/confirm', membersOnly(shop), (ctx) => {
    form(ctx, 'Your password, please', confirmForm(placeOf(String(ctx.query['for'] ?? ''))), FRESH_CODE)
  })

  router.post('/confirm', membersOnly(shop), async (ctx) => {
    const place = placeOf(field(ctx, 'for'))
    const { id, email } = memberOf(shop)
    const user = await users.check(email, field(ctx, 'password'))
    if (user?.id !== id) {
      form(ctx, 'Your password, please', confirmForm(place, 'That is not your password.'), FRESH_CODE, 401)
      return
    }
    // A new id and authenticatedAt of now; data, cart and remembered lifetime go on.
    await visitor().signIn(id)
    seeOther(ctx, place)
  })

  const guarded = [membersOnly(shop), freshOnly] as const

  router.get('/account/email', ...guarded, (ctx) =>
    form(ctx, 'Change e-mail', emailForm(memberOf(shop).email), FRESH_CODE),
  )

  router.post('/account/email', ...guarded, (ctx) => {
    const email = field(ctx, 'email').trim()
    const problem =
      wrongEmail(email) ??
      (users.changeEmail(memberOf(shop), email) ? undefined : 'There is an account with this e-mail.')
    if (problem !== undefined) {
      form(ctx, 'Change e-mail', emailForm(email, problem), FRESH_CODE, 422)
      return
    }
    visitor().flash('notice', 'Your e-mail is changed.')
    seeOther(ctx, '/account')
  })

  router.get('/account/password', ...guarded, (ctx) => form(ctx, 'Change password', passwordForm(), PASSWORD_CODE))

  router.post('/account/password', ...guarded, async (ctx) => {
    const [user, password] = [memberOf(shop), field(ctx, 'password')]
    const problem = wrongPassword(password)
    if (problem !== undefined) {
      form(ctx, 'Change password', passwordForm(problem), PASSWORD_CODE, 422)
      return
    }
    await users.changePassword(user, password)
    //#region password
    // A thief of the old password may be signed in somewhere. The order matters: what this browser holds gets its new id
    // first, and then is the one that stays.
    await visitor().signIn(user.id)
    const ended = await sessions.destroyAll(user.id, { except: visitor().publicId })
    //#endregion
    visitor().flash('notice', `Your password is changed. Other devices that were signed out: ${ended}.`)
    seeOther(ctx, '/account')
  })

  return router
}

//#region in
/** The session gets a new id and an owner. A visitor's cart stays; another member's does not. */
async function enter(user: User, isRemembered: boolean): Promise<void> {
  const session = visitor()
  await session.signIn(user.id)
  session.maxAge = isRemembered ? '30d' : 0
}
//#endregion

/** Why somebody who had a session stands before the sign-in form. */
const WHY: Readonly<Partial<Record<Origin, string>>> = {
  expired: 'This browser was signed out: its session was ended from elsewhere, or ran out.',
  unbound: 'This session is bound to another device, or this browser did not prove that it is the one.',
}
const WRONG = 'There is no account with this e-mail and this password.'

function wrongEmail(email: string): string | undefined {
  return EMAIL.test(email) ? undefined : 'Give an e-mail address, such as ada@example.org.'
}

function wrongPassword(password: string): string | undefined {
  return password.length >= SHORTEST ? undefined : `Give a password of at least ${SHORTEST} characters.`
}

const emailInput = (value: string) =>
  input({ label: 'E-mail', name: 'email', type: 'email', autocomplete: 'username', value })
const passwordInput = input({ label: 'Password', name: 'password', type: 'password', autocomplete: 'current-password' })
const newPasswordInput = input({
  label: 'New password',
  name: 'password',
  type: 'password',
  autocomplete: 'new-password',
  minlength: SHORTEST,
  hint: `At least ${SHORTEST} characters. It is kept as scrypt makes it, never as it is.`,
})

function signUpForm(name = '', email = '', problem?: string): Html {
  return card(
    'Sign up',
    '/sign-up',
    problem,
    html` ${input({ label: 'Name', name: 'name', type: 'text', autocomplete: 'name', maxlength: 60, value: name })}
      ${emailInput(email)} ${newPasswordInput}
      <button>Sign up</button>
      <p class="hint">No mail is sent: any address will do. Have an account? <a href="/sign-in">Sign in</a></p>`,
  )
}

function signInForm(place: string, problem?: string, email = ''): Html {
  const wish = wishOf(place)
  return card(
    'Sign in',
    '/sign-in',
    problem,
    html` ${wish !== undefined && html`<p>Sign in to ${wish}.</p>`}
      <input type="hidden" name="for" value="${place}" />
      ${emailInput(email)} ${passwordInput}
      <div class="tick">
        <input id="remember" name="remember" type="checkbox" value="yes" aria-describedby="remember-hint" />
        <label for="remember">Remember me</label>
        <p class="hint" id="remember-hint">For 30 days. Without it the cookie ends with the browser.</p>
      </div>
      <button>Sign in</button>
      <p class="hint">No account yet? <a href="/sign-up">Sign up</a></p>`,
  )
}

function confirmForm(place: string, problem?: string): Html {
  return card(
    'Your password, please',
    '/confirm',
    problem,
    html` <p>
        What comes next could lock you out of your account: it wants a password that was given within the last five
        minutes.
      </p>
      <input type="hidden" name="for" value="${place}" />
      ${passwordInput}
      <button>Go on</button>`,
  )
}

function emailForm(email: string, problem?: string): Html {
  return card('Change e-mail', '/account/email', problem, html`${emailInput(email)}<button>Change it</button>`)
}

function passwordForm(problem?: string): Html {
  return card(
    'Change password',
    '/account/password',
    problem,
    html` ${newPasswordInput}
      <button>Change it</button>
      <p class="hint">All your other devices are signed out.</p>`,
  )
}

function accountPage({ name, email }: User): Html {
  const { maxAge } = visitor()
  return html` <section class="card">
    <h1>${name}</h1>
    <dl class="account">
      <div>
        <dt>E-mail</dt>
        <dd>${email}</dd>
        <dd>
          <a href="/account/email">Change<span class="unseen"> e-mail</span></a>
        </dd>
      </div>
      <div>
        <dt>Password</dt>
        <dd>kept as scrypt makes it</dd>
        <dd>
          <a href="/account/password">Change<span class="unseen"> password</span></a>
        </dd>
      </div>
      <div>
        <dt>Remembered</dt>
        <dd>${maxAge > 0 ? 'yes, for 30 days' : 'no, until the browser closes'}</dd>
        <dd></dd>
      </div>
    </dl>
    <p class="hint">Changes ask for the password again if you last gave it more than five minutes ago.</p>
    ${button('/sign-out', 'Sign out', {}, 'quiet')}
  </section>`
}

function signedOut(): Html {
  return html` <section class="card">
    <h1>Signed out</h1>
    <p>The server has forgotten the session, the cart in it too, and told the browser to drop the cookie.</p>
    <p><a href="/">To the shop</a></p>
  </section>`
}
