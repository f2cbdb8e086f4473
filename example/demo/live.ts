// The live view: a page that shows the cart and the sessions as they are, over a WebSocket that ends with its session.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import Router from 'koa-router'
import type { SessionInfo } from 'koa-fastsession'
import { WebSocketServer, type WebSocket } from 'ws'
import { linesOf } from './cart.ts'
import { codeOf } from './code.ts'
import { browserOf, inOrder } from './devices.ts'
import { isOwnOrigin } from './guard.ts'
import { html, type Html } from './html.ts'
import { memberOf, membersOnly } from './members.ts'
import type { Frame } from './page.ts'
import { clock } from './times.ts'
import { visitor, type Shop, type Visitor } from './visitor.ts'

const PATH = '/live/socket'
const HEARTBEAT = 30_000
/** What happens in this process that a view shows. */
const CHANNELS = ['create', 'commit', 'regenerate', 'destroy'].map((name) => `koa-fastsession:${name}`)
const CODE = codeOf('live.ts', 'signal')

/** Why a socket is closed, for the page: its session has ended; or it is to dial again, with the cookie of by then. */
const ENDED = 4001
const DIAL_AGAIN = 4002

interface Viewer {
  readonly socket: WebSocket
  readonly publicId: string
  readonly owner: string
  isAlive: boolean
}

/** The sockets of one server. */
export class LiveView {
  readonly #shop: Shop
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 })
  readonly #viewers = new Set<Viewer>()
  readonly #heartbeat = setInterval(() => this.#beat(), HEARTBEAT).unref()
  readonly #hear = (): void => this.#refresh()
  #isRefreshing = false
  #isDue = false

  constructor(shop: Shop, server: Server) {
    this.#shop = shop
    for (const channel of CHANNELS) subscribe(channel, this.#hear)
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy())
      if (new URL(request.url ?? '', 'http://localhost').pathname !== PATH) refuse(socket, '404 Not Found')
      else if (!isOwnOrigin(request)) refuse(socket, '403 Forbidden')
      else this.#accept(request, socket, head).catch(() => refuse(socket, '503 Service Unavailable'))
    })
  }

  close(): void {
    clearInterval(this.#heartbeat)
    for (const channel of CHANNELS) unsubscribe(channel, this.#hear)
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#sockets.close()
  }

  async #accept(request: IncomingMessage, raw: Duplex, head: Buffer): Promise<void> {
    await this.#shop.sessions.run(request, (session) => {
      this.#sockets.handleUpgrade(request, raw, head, (socket) => {
        socket.on('error', () => socket.terminate())
        const { owner, publicId } = session
        // A page cannot see with which status an upgrade was refused: it learns the reason from a close.
        if (owner === undefined) {
          socket.close(ENDED, 'not signed in')
          return
        }
        //#region signal
        // Signed out here or elsewhere, in this process or another, over the limit, expired: the socket hears of it.
        const { signal } = session
        const hangUp = () => socket.close(ENDED, 'the session has ended')
        if (signal.aborted) hangUp()
        else signal.addEventListener('abort', hangUp)
        //#endregion
        const viewer = { socket, publicId, owner, isAlive: true }
        this.#viewers.add(viewer)
        socket.on('close', () => this.#viewers.delete(viewer))
        socket.on('pong', () => (viewer.isAlive = true))
        this.#refresh()
      })
    })
  }

  #beat(): void {
    for (const viewer of this.#viewers) {
      if (!viewer.isAlive) viewer.socket.terminate()
      viewer.isAlive = false
      viewer.socket.ping()
    }
    this.#refresh()
  }

  /** Shows everybody what there is now: one round at a time, and one more if something happened meanwhile. */
  #refresh(): void {
    this.#isDue = true
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    void this.#rounds().finally(() => (this.#isRefreshing = false))
  }

  async #rounds(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false
      await Promise.all([...this.#viewers].map((viewer) => this.#show(viewer)))
    }
  }

  /** Looks with `list`, which is no use of the session: a view left open does not keep it alive. */
  async #show({ socket, owner, publicId }: Viewer): Promise<void> {
    try {
      const list = await this.#shop.sessions.list(owner)
      const mine = list.find((info) => info.publicId === publicId)
      if (mine === undefined) socket.close(DIAL_AGAIN, 'the session has a new id')
      else
        socket.send(JSON.stringify({ cart: cartNow(mine.data ?? {}).text, devices: devicesNow(list, publicId).text }))
    } catch {
      // The store is out of order, which ends no session: the next round shows what there is.
    }
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
}

export function liveRoutes(shop: Shop, frame: Frame): Router {
  const router = new Router()
  router.get('/live', membersOnly(shop), async (ctx) => {
    const list = await shop.sessions.list(memberOf(shop).id)
    frame.show(ctx, {
      title: 'Live',
      isLive: true,
      body: livePage(visitor().data, list, visitor().publicId),
      code: CODE,
    })
  })
  return router
}

function livePage(data: Visitor, list: readonly SessionInfo<Visitor>[], here: string): Html {
  return html` <div class="heading">
      <h1>Live</h1>
      <p id="live-state" class="state" role="status">not connected</p>
    </div>
    <p id="live-ended" class="notice problem" role="alert" hidden></p>
    <noscript
      ><p class="notice">
        This page alone needs JavaScript to follow what happens. What you see is how it was when the page was made.
      </p></noscript
    >
    <div class="columns" id="live">
      <section class="card" aria-labelledby="live-cart-title">
        <h2 id="live-cart-title">The cart of this browser</h2>
        <div id="live-cart">${cartNow(data)}</div>
      </section>
      <section class="card" aria-labelledby="live-devices-title">
        <h2 id="live-devices-title">Your sessions</h2>
        <div id="live-devices">${devicesNow(list, here)}</div>
      </section>
    </div>
    <p class="hint">
      Fill the cart in another tab, or sign in and out elsewhere. When this session is ended from another device, the
      server closes the connection and this page says so.
    </p>`
}

function cartNow(data: Visitor): Html {
  const lines = linesOf(data)
  if (lines.length === 0) return html`<p class="empty">The cart is empty.</p>`
  return html`<ul class="plain">
    ${lines.map(({ article, count }) => html`<li><span>${article.name}</span> <span class="quantity">× ${count}</span></li>`)}
  </ul>`
}

function devicesNow(list: readonly SessionInfo<Visitor>[], here: string): Html {
  return html`<ul class="plain">
    ${inOrder(list, here).map(
      ({ publicId, createdAt, device }) =>
        html`<li>
          <span>${browserOf({ device })}${publicId === here && html` <span class="badge">this browser</span>`}</span>
          <span>since ${clock(createdAt)}</span>
        </li>`,
    )}
  </ul>`
}
