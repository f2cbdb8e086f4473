// Browsers with several tabs, and one who works from outside: what they do is random, what became of it is written down.
import { REGISTERS, type Kind, type Operation, type Outcome } from './history.ts'

export interface Reply {
  readonly status: number
  readonly setCookie: readonly string[]
  /** JSON. */
  readonly body: string
}

/** How the clients reach the app, and where their time and chance come from. */
export interface Surroundings {
  readonly processes: number
  readonly random: () => number
  readonly clock: () => number
  readonly sleep: (milliseconds: number) => Promise<void>
  /** `undefined` where no answer came: what became of the request is not known. */
  readonly ask: (process: number, path: string, cookie: string | undefined) => Promise<Reply | undefined>
  readonly record: (one: Operation) => void
  readonly isOver: () => boolean
}

interface Cookie {
  readonly value: string
  readonly id: string | undefined
}

const OWNERS = ['ada', 'bob']

type Weighted = readonly (readonly [Kind, number])[]

const INSIDE: Weighted = [
  ['read', 30],
  ['set', 20],
  ['delete', 6],
  ['append', 20],
  ['clear', 2],
  ['regenerate', 4],
  ['sign in', 4],
  ['renew', 1],
  ['end', 2],
  ['expire', 1],
]

const OUTSIDE: Weighted = [
  ['append outside', 40],
  ['end elsewhere', 4],
  ['list', 10],
  ['scan', 6],
  ['end all', 2],
]

/** How long a session lives that is given a lifetime of its own, in milliseconds: the least that the package takes, and more. */
const LIFETIMES = [1000, 2500]

const MOST_KNOWN = 12
const MOST_OLD = 4

export class Clients {
  readonly #around: Surroundings
  readonly #known: string[] = []
  readonly #browsers: Browser[] = []
  #operations = 0

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** All of them until it is over. */
  async run(browsers: number, tabs: number, outside: number): Promise<void> {
    for (let at = 0; at < browsers; at++) this.#browsers.push(new Browser(`browser ${at}`))
    const work = this.#browsers.flatMap((browser) => Array.from({ length: tabs }, () => this.#tab(browser)))
    for (let at = 0; at < outside; at++) work.push(this.#outside(`outside ${at}`))
    await Promise.all(work)
  }

  /** Reads every session that a browser still has a cookie of, when all is mended. @returns how many could not be read. */
  async readAll(tries: number): Promise<number> {
    const cookies = this.#browsers.flatMap(({ cookie, old }) => (cookie === undefined ? old : [cookie, ...old]))
    let failed = 0
    for (const { value, id } of cookies) {
      let left = tries
      for (; left > 0; left--) {
        const about: Partial<Operation> = { client: 'at the end', sent: id }
        const reply = await this.#ask('/', ++this.#operations, 'read', about, {}, value)
        if (reply?.isAcknowledged === true) break
        await this.#around.sleep(200)
      }
      if (left === 0) failed++
    }
    return failed
  }

  async #tab(browser: Browser): Promise<void> {
    const { isOver } = this.#around
    while (!isOver()) {
      await this.#rest()
      const kind = this.#draw(INSIDE)
      // Now and then a tab comes late, with a cookie that was replaced.
      const old = browser.old.length > 0 && this.#chance(0.06) ? this.#one(browser.old) : undefined
      const cookie = old ?? browser.cookie
      const n = ++this.#operations
      const about: Partial<Operation> = { client: browser.name, sent: cookie?.id, ...this.#details(kind, n) }
      const pause = this.#chance(0.5) ? { pause: Math.floor(this.#around.random() * 20) } : {}
      const reply = await this.#ask('/', n, kind, about, pause, cookie?.value)
      if (reply === undefined) continue
      const { id } = reply
      for (const line of reply.setCookie) browser.take(line, id)
      if (id !== undefined && (reply.sawLive || reply.setCookie.length > 0)) this.#meet(id)
      // A session is left now and then, so that none grows without an end.
      if (this.#chance(0.004)) browser.forget()
    }
  }

  async #outside(client: string): Promise<void> {
    while (!this.#around.isOver()) {
      await this.#rest()
      const kind = this.#draw(OUTSIDE)
      const isOfOne = kind === 'append outside' || kind === 'end elsewhere'
      if (isOfOne && this.#known.length === 0) continue
      const n = ++this.#operations
      const target = isOfOne ? this.#one(this.#known) : undefined
      await this.#ask('/outside', n, kind, { client, sent: target, ...this.#details(kind, n) }, { target }, undefined)
    }
  }

  #details(kind: Kind, n: number): Partial<Operation> {
    if (kind === 'set') return { key: this.#one(REGISTERS), value: `v${n}` }
    if (kind === 'delete') return { key: this.#one(REGISTERS) }
    if (kind === 'sign in' || kind === 'list' || kind === 'end all') return { owner: this.#one(OWNERS) }
    if (kind === 'expire') return { lifetime: this.#one(LIFETIMES) }
    return {}
  }

  async #ask(
    path: string,
    n: number,
    kind: Kind,
    about: Partial<Operation>,
    more: Readonly<Record<string, string | number | undefined>>,
    cookie: string | undefined,
  ): Promise<
    { setCookie: readonly string[]; id: string | undefined; sawLive: boolean; isAcknowledged: boolean } | undefined
  > {
    const { clock, ask, record, random, processes } = this.#around
    const { key, value, owner, lifetime } = about
    const query = new URLSearchParams()
    for (const [name, one] of Object.entries({ n, kind, key, value, owner, lifetime, ...more })) {
      if (one !== undefined) query.set(name, String(one))
    }
    const process = Math.floor(random() * processes)
    const begin = clock()
    const reply = await ask(process, `${path}?${query.toString()}`, cookie)
    const told = told_(reply)
    const { client = '', sent } = about
    record({ ...about, client, sent, n, kind, process, begin, end: clock(), ...told, outcome: outcomeOf(reply) })
    if (reply === undefined) return undefined
    return {
      setCookie: reply.setCookie,
      id: told.left?.id,
      sawLive: told.saw != null,
      isAcknowledged: reply.status === 200,
    }
  }

  #meet(id: string): void {
    if (this.#known.includes(id)) return
    this.#known.push(id)
    if (this.#known.length > MOST_KNOWN) this.#known.shift()
  }

  async #rest(): Promise<void> {
    await this.#around.sleep(this.#chance(0.3) ? 0 : this.#around.random() * 30)
  }

  #chance(probability: number): boolean {
    return this.#around.random() < probability
  }

  #one<T>(list: readonly T[]): T {
    // An index below the length, of a list that is not empty.
    return list[Math.floor(this.#around.random() * list.length)] as T
  }

  #draw(weighted: Weighted): Kind {
    let left = this.#around.random() * weighted.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [kind, weight] of weighted) {
      left -= weight
      if (left < 0) return kind
    }
    return 'read'
  }
}

/** The jar of a browser, which its tabs share. */
class Browser {
  readonly name: string
  cookie: Cookie | undefined
  readonly old: Cookie[] = []

  constructor(name: string) {
    this.name = name
  }

  take(line: string, id: string | undefined): void {
    const [pair = ''] = line.split(';')
    const value = pair.slice(pair.indexOf('=') + 1)
    this.forget()
    if (value !== '' && !/max-age=0(;|$)/i.test(line)) this.cookie = { value: pair, id }
  }

  forget(): void {
    if (this.cookie !== undefined) this.old.push(this.cookie)
    if (this.old.length > MOST_OLD) this.old.shift()
    this.cookie = undefined
  }
}

function told_(reply: Reply | undefined): Partial<Operation> {
  if (reply === undefined) return {}
  try {
    // What app.ts answers.
    return { status: reply.status, ...(JSON.parse(reply.body) as Partial<Operation>) }
  } catch {
    return { status: reply.status }
  }
}

/** A failure of the store leaves it open whether the change was made. */
function outcomeOf(reply: Reply | undefined): Outcome {
  if (reply?.status === 200) return 'acknowledged'
  return reply?.status === 409 ? 'refused' : 'unknown'
}
