// Everybody's sessions: to look at, to end, and to give a role that counts at the next click.
import Router from 'koa-router'
import { SessionError, type SessionInfo } from 'koa-fastsession'
import { codeOf } from './code.ts'
import { addressOf, browserOf } from './devices.ts'
import { button, field, seeOther } from './forms.ts'
import { html, type Html } from './html.ts'
import { membersOnly } from './members.ts'
import type { Frame } from './page.ts'
import { ago } from './times.ts'
import { visitor, type Shop, type Visitor } from './visitor.ts'

const MOST_SHOWN = 50
const ROLE = 'editor'
const CODE = codeOf('admin.ts', 'admin')

/** A real site lets admins alone in here; this one all who are signed in, so that two browsers can try it. */
export function adminRoutes(shop: Shop, frame: Frame): Router {
  const { sessions } = shop
  const router = new Router()

  //#region admin
  async function firstSessions(): Promise<SessionInfo<Visitor>[]> {
    const found: SessionInfo<Visitor>[] = []
    // In portions and in constant memory, however many sessions there are; also those of nobody in particular.
    for await (const info of sessions.scan()) if (found.push(info) === MOST_SHOWN) break
    return found
  }

  async function giveRole(publicId: string, role: string | undefined): Promise<void> {
    // Atomic among their own requests, and theirs at the next click: no sign-in, no token that has to run out first.
    await sessions.update(publicId, (data) => {
      if (role === undefined) delete data.role
      else data.role = role
    })
  }
  //#endregion

  router.get('/admin', membersOnly(shop), async (ctx) => {
    frame.show(ctx, { title: 'Admin', body: adminPage(shop, await firstSessions(), visitor().publicId), code: CODE })
  })

  router.post('/admin/end', membersOnly(shop), async (ctx) => {
    const hasEnded = await sessions.destroy(field(ctx, 'session'))
    visitor().flash('notice', hasEnded ? 'That session is over.' : 'That session was over already.')
    seeOther(ctx, '/admin')
  })

  router.post('/admin/role', membersOnly(shop), async (ctx) => {
    const role = field(ctx, 'role') === ROLE ? ROLE : undefined
    try {
      await giveRole(field(ctx, 'session'), role)
      visitor().flash('notice', role === undefined ? 'The role is taken back.' : 'They see it at their next click.')
    } catch (error) {
      if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_GONE') throw error
      visitor().flash('problem', 'That session has ended meanwhile.')
    }
    seeOther(ctx, '/admin')
  })

  return router
}

function adminPage({ users, now }: Shop, list: readonly SessionInfo<Visitor>[], here: string): Html {
  const sorted = [...list].sort(
    (a, b) => Number(b.publicId === here) - Number(a.publicId === here) || b.lastSeenAt - a.lastSeenAt,
  )
  return html` <div class="heading">
      <h1>Everybody’s sessions</h1>
      <p class="state plain-state">${list.length === MOST_SHOWN ? `the first ${MOST_SHOWN}` : `${list.length} live`}</p>
    </div>
    <p class="hint">
      A real site lets admins alone in here. This one lets you, so that you can give a role to your other browser, or
      end its session, and see what it says at its next click.
    </p>
    <ul class="devices">
      ${sorted.map((info) => {
        const { publicId, owner, lastSeenAt, data } = info
        const name = owner === undefined ? 'A visitor' : (users.find(owner)?.name ?? 'Somebody')
        const isHere = publicId === here
        const of = html`<span class="unseen"> ${name}, seen ${ago(lastSeenAt, now())}</span>`
        const items = Object.values(data?.cart ?? {}).reduce((sum, count) => sum + count, 0)
        return html` <li class="${isHere && 'here'}">
          <div>
            <h2>
              ${name}${isHere && html` <span class="badge">this session</span>`}${data?.role !== undefined && html` <span class="badge">${data.role}</span>`}
            </h2>
            <p>
              ${owner === undefined ? 'Not signed in' : html`${browserOf(info)}${addressOf(info)}`}.
              ${isHere ? 'In use now' : html`Seen ${ago(lastSeenAt, now())}`}.
              ${items === 1 ? '1 thing' : `${items} things`} in the cart.
            </p>
            <p class="id">${publicId}</p>
          </div>
          <div class="buttons">
            ${data?.role === undefined ? button('/admin/role', html`Make ${ROLE}${of}`, { session: publicId, role: ROLE }, 'quiet') : button('/admin/role', html`Take the role back${of}`, { session: publicId }, 'quiet')}
            ${!isHere && button('/admin/end', html`End${of}`, { session: publicId })}
          </div>
        </li>`
      })}
    </ul>`
}
