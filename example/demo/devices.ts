// "Your devices": all sessions of an owner, and how to end them.
import Router from 'koa-router'
import type { SessionInfo } from 'koa-fastsession'
import { codeOf } from './code.ts'
import { button, field, seeOther } from './forms.ts'
import { html, type Html } from './html.ts'
import { memberOf, membersOnly } from './members.ts'
import type { Frame } from './page.ts'
import { ago, clock, span } from './times.ts'
import { MOST_DEVICES, visitor, type Shop, type Visitor } from './visitor.ts'

const BROWSERS = [
  ['Edg', 'Edge'],
  ['OPR', 'Opera'],
  ['Firefox', 'Firefox'],
  ['FxiOS', 'Firefox'],
  ['HeadlessChrome', 'Chromium'],
  ['Chrome', 'Chrome'],
  ['CriOS', 'Chrome'],
  ['Safari', 'Safari'],
] as const

const SYSTEMS = [
  ['Android', 'Android'],
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Windows', 'Windows'],
  ['CrOS', 'ChromeOS'],
  ['Mac OS X', 'macOS'],
  ['Linux', 'Linux'],
] as const

const CODE = codeOf('devices.ts', 'devices')

/** A name that the owner of a device will know it by. A browser says what it wants: nothing may depend on it. */
export function deviceOf(userAgent: string): string {
  const browser = BROWSERS.find(([mark]) => userAgent.includes(`${mark}/`))?.[1] ?? 'A browser'
  const system = SYSTEMS.find(([mark]) => userAgent.includes(mark))?.[1]
  return system === undefined ? browser : `${browser} on ${system}`
}

/** The browser that signed in, as the facts of `device: true` name it. */
export function browserOf({ device }: Pick<SessionInfo, 'device'>): string {
  const userAgent = device?.['userAgent']
  return deviceOf(typeof userAgent === 'string' ? userAgent : '')
}

/** Where from, to follow a name. */
export function addressOf({ device }: Pick<SessionInfo, 'device'>): Html {
  const address = device?.['address']
  return typeof address === 'string' ? html`, from <span class="address">${address}</span>` : html``
}

export function deviceRoutes(shop: Shop, frame: Frame): Router {
  const { sessions, now } = shop
  const router = new Router()

  router.get('/devices', membersOnly(shop), async (ctx) => {
    const list = await sessions.list(memberOf(shop).id)
    frame.show(ctx, { title: 'Devices', body: devicesPage(list, visitor().publicId, now()), code: CODE })
  })

  //#region devices
  // session({ device: true, maxPerOwner: 5, … }) keeps where each owner signed in, and ends what is too many.

  router.post('/devices/end', membersOnly(shop), async (ctx) => {
    // With an owner, only a session of theirs is ended, whatever public id the form holds.
    const hasEnded = await sessions.destroy(field(ctx, 'device'), { owner: memberOf(shop).id })
    visitor().flash('notice', hasEnded ? 'That device is signed out.' : 'That device was signed out already.')
    seeOther(ctx, '/devices')
  })

  router.post('/devices/end-others', membersOnly(shop), async (ctx) => {
    const ended = await sessions.destroyAll(memberOf(shop).id, { except: visitor().publicId })
    visitor().flash('notice', `Signed out everywhere but here. Devices that were: ${ended}.`)
    seeOther(ctx, '/devices')
  })

  router.post('/devices/end-all', membersOnly(shop), async (ctx) => {
    const { owner = '', publicId } = visitor()
    await sessions.destroyAll(owner, { except: publicId })
    await visitor().destroy() // its own request ends this one, so that the cookie goes as well
    seeOther(ctx, '/signed-out')
  })
  //#endregion

  return router
}

/** This one first, then those seen last. */
export function inOrder(list: readonly SessionInfo<Visitor>[], here: string): SessionInfo<Visitor>[] {
  return [...list].sort(
    (a, b) =>
      Number(b.publicId === here) - Number(a.publicId === here) ||
      b.lastSeenAt - a.lastSeenAt ||
      b.createdAt - a.createdAt,
  )
}

function devicesPage(list: readonly SessionInfo<Visitor>[], here: string, now: number): Html {
  return html` <div class="heading">
      <h1>Your devices</h1>
      <div class="buttons">
        ${list.length > 1 && button('/devices/end-others', 'Sign out everywhere but here', {}, 'quiet')}
        ${button('/devices/end-all', 'Sign out everywhere', {}, 'quiet')}
      </div>
    </div>
    <ul class="devices">
      ${inOrder(list, here).map((info) => {
        const { publicId, createdAt, lastSeenAt, expiresAt, isBound } = info
        const isHere = publicId === here
        const name = browserOf(info)
        return html` <li class="${isHere && 'here'}">
          <div>
            <h2>
              ${name}${isHere && html` <span class="badge">this browser</span>`}${isBound && html` <span class="badge bound">${isHere ? 'bound to this browser' : 'bound to its browser'}</span>`}
            </h2>
            <p>
              ${isHere ? 'In use now' : html`Seen ${ago(lastSeenAt, now)}`}, since
              ${clock(createdAt)}${addressOf(info)}. Ends in ${span(expiresAt - now)} if not used.
            </p>
            <p class="id">${publicId}</p>
          </div>
          ${isHere ? button('/sign-out', 'Sign out', {}, 'quiet') : button('/devices/end', html`End<span class="unseen"> ${name}, seen ${ago(lastSeenAt, now)}</span>`, { device: publicId })}
        </li>`
      })}
    </ul>
    <p class="hint">
      ${MOST_DEVICES} devices at most: who signs in on another one signs out the one used longest ago. When a device was
      last seen is written at most every twelve minutes, or every hour where you are remembered, so the real time may be
      later.
    </p>
    <p class="hint">What would a copied cookie open? <a href="/thief">Play the thief</a>.</p>`
}
