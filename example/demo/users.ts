// The accounts of the shop: in memory, or in the SQLite file that holds the sessions. Passwords are kept as scrypt makes them.
import { randomBytes, randomUUID, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'
import type { SqliteDatabase } from 'koa-fastsession/sqlite'

export interface User {
  readonly id: string
  readonly name: string
  readonly email: string
}

interface Account extends User {
  readonly password: string
}

/** Where accounts are kept. */
export interface Shelf {
  byId(id: string): Account | undefined
  byEmail(email: string): Account | undefined
  /** `false` when another account has that e-mail. */
  put(account: Account): boolean
}

/** What scrypt has to do for one password. Kept with each hash, so that it can be raised later. */
export interface Cost {
  readonly N: number
  readonly r: number
  readonly p: number
}

// One of the equal choices of OWASP's Password Storage Cheat Sheet: 32 MB and a quarter of a second.
const COST: Cost = { N: 2 ** 15, r: 8, p: 3 }

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

export class Users {
  readonly #shelf: Shelf
  readonly #cost: Cost
  /** A password is checked for an unknown e-mail too: the time of the answer must not tell who has an account. */
  readonly #nobody: Promise<string>

  constructor(shelf: Shelf, cost = COST) {
    this.#shelf = shelf
    this.#cost = cost
    this.#nobody = hashed(randomUUID(), cost)
  }

  find(id: string): User | undefined {
    return this.#shelf.byId(id)
  }

  /** `undefined` when the e-mail has an account already. */
  async signUp(name: string, email: string, password: string): Promise<User | undefined> {
    const account = { id: randomUUID(), name, email: canonical(email), password: await hashed(password, this.#cost) }
    return this.#shelf.put(account) ? account : undefined
  }

  /** The user of that e-mail, if this is the password. */
  async check(email: string, password: string): Promise<User | undefined> {
    const account = this.#shelf.byEmail(canonical(email))
    const isRight = await matches(password, account?.password ?? (await this.#nobody))
    return isRight ? account : undefined
  }

  async changePassword({ id }: User, password: string): Promise<void> {
    const hash = await hashed(password, this.#cost)
    const account = this.#shelf.byId(id)
    if (account !== undefined) this.#shelf.put({ ...account, password: hash })
  }

  /** `false` when another account has that e-mail. */
  changeEmail({ id }: User, email: string): boolean {
    const account = this.#shelf.byId(id)
    return account !== undefined && this.#shelf.put({ ...account, email: canonical(email) })
  }
}

function canonical(email: string): string {
  return email.trim().toLowerCase()
}

async function hashed(password: string, cost: Cost, salt = randomBytes(16)): Promise<string> {
  const hash = await derive(password.normalize(), salt, 32, { ...cost, maxmem: 256 * cost.N * cost.r })
  return [cost.N, cost.r, cost.p, salt.toString('base64url'), hash.toString('base64url')].join(':')
}

async function matches(password: string, expected: string): Promise<boolean> {
  const [N, r, p, salt = ''] = expected.split(':')
  const given = await hashed(password, { N: Number(N), r: Number(r), p: Number(p) }, Buffer.from(salt, 'base64url'))
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}

export class MemoryShelf implements Shelf {
  readonly #accounts = new Map<string, Account>()

  byId(id: string): Account | undefined {
    return this.#accounts.get(id)
  }

  byEmail(email: string): Account | undefined {
    return [...this.#accounts.values()].find((account) => account.email === email)
  }

  put(account: Account): boolean {
    const other = this.byEmail(account.email)
    if (other !== undefined && other.id !== account.id) return false
    this.#accounts.set(account.id, account)
    return true
  }
}

export class SqliteShelf implements Shelf {
  readonly #database: SqliteDatabase

  constructor(database: SqliteDatabase) {
    this.#database = database
    database.exec(
      'CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL)',
    )
  }

  byId(id: string): Account | undefined {
    // The columns are those of the table above.
    return this.#database.prepare('SELECT id, name, email, password FROM users WHERE id = ?').get(id) as
      Account | undefined
  }

  byEmail(email: string): Account | undefined {
    return this.#database.prepare('SELECT id, name, email, password FROM users WHERE email = ?').get(email) as
      Account | undefined
  }

  put({ id, name, email, password }: Account): boolean {
    const other = this.byEmail(email)
    if (other !== undefined && other.id !== id) return false
    this.#database
      .prepare(
        `
        INSERT INTO users (id, name, email, password) VALUES (?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, password = excluded.password`,
      )
      .run(id, name, email, password)
    return true
  }
}
