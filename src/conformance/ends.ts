// subscribe: the end of a session is announced. Its expiry is not.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { checkBeside, checkWhere, has, type StoreCheck, type With } from './run.ts'
import { created, DAY, newKey, successor } from './scene.ts'

/** A subscription and the keys that its listener was called with. */
class Heard {
  readonly keys: (string | undefined)[] = []
  readonly stop: () => void
  /** The keys whose record was no longer live when it was read at once, as the core does. */
  readonly #ended = new Set<string>()

  constructor(store: With<'subscribe'>) {
    this.stop = store.subscribe((key) => {
      this.keys.push(key)
      if (key !== undefined) void this.#look(store, key)
    })
    assert.equal(typeof this.stop, 'function', 'subscribe must give a function that ends the subscription')
  }

  async assertHears(key: string, when: string): Promise<void> {
    // Its read may take longer than the announcement may.
    if ((await this.#hears([key], 100)) || (this.keys.includes(key) && (await this.#hears([key], 100)))) return
    assert.ok(!this.keys.includes(key), `${when} must not be announced before it has happened`)
    assert.fail(`${when} must be announced within two seconds`)
  }

  /** A live record may be announced as well: only what is announced after its end counts. */
  async #look(store: With<'subscribe'>, key: string): Promise<void> {
    try {
      const found = await store.read(key, Date.now())
      if (found === undefined || found.payload.length === 0) this.#ended.add(key)
    } catch {
      // The check is over, or the store failed: other checks test read.
    }
  }

  /** Waits until announcements arrive: a subscription may have to reach a server first. */
  async begin(store: With<'subscribe'>): Promise<void> {
    const tried: string[] = []
    while (tried.length < 100) {
      const { key } = await created(store, Date.now())
      tried.push(key)
      await store.delete(key)
      // Any of the keys will do: an announcement may take longer than one try.
      if (await this.#hears(tried, 3)) return
    }
    assert.fail('a delete must be announced')
  }

  /** Whether one of these keys is heard. */
  async #hears(keys: readonly string[], looks: number): Promise<boolean> {
    const isHeard = (): boolean => keys.some((key) => this.#ended.has(key))
    for (let look = 0; look < looks && !isHeard(); look++) await wait(look === 0 ? 0 : 20)
    return isHeard()
  }
}

/** Calls `body` with a subscription that has begun, and ends it afterwards. */
async function hearing(store: With<'subscribe'>, body: (heard: Heard) => Promise<void>): Promise<void> {
  const heard = new Heard(store)
  try {
    await heard.begin(store)
    await body(heard)
  } finally {
    heard.stop()
  }
}

/** A check with a subscription that ends with the check. */
function checkHeard(
  title: string,
  body: (store: With<'subscribe'>, heard: Heard, now: number) => Promise<void>,
): StoreCheck {
  return checkWhere('subscribe', title, (store) => hearing(store, (heard) => body(store, heard, Date.now())))
}

export const endChecks: readonly StoreCheck[] = [
  checkHeard('it announces a delete', async (store, heard, now) => {
    for (const owner of [undefined, newKey()]) {
      const { key } = await created(store, now, { owner })

      assert.equal(await store.delete(key), true)

      await heard.assertHears(key, 'a delete')
    }
  }),

  checkHeard('it announces a replace by an expired record', async (store, heard, now) => {
    const record = await created(store, now - 1, { owner: newKey() })

    assert.equal(await store.replace(successor(record, { expiresAt: now }), 1, now), 'done')

    await heard.assertHears(record.key, 'a replace by an expired record')
  }),

  checkHeard(
    'it announces a replace by an empty record, with and without an owner, of text and of bytes',
    async (store, heard, now) => {
      for (const payload of ['', new Uint8Array(0)])
        for (const owner of [undefined, newKey()]) {
          const record = await created(store, now, { owner })

          assert.equal(await store.replace(successor(record, { payload, owner: undefined }), 1, now), 'done')

          await heard.assertHears(record.key, 'a replace by an empty record')
        }
    },
  ),

  checkHeard(
    'it does not announce a record that merely expires, is swept, or gives way to another',
    async (store, heard, today) => {
      const now = today - 3650 * DAY
      const swept = await created(store, now, { expiresAt: now + 1000 })
      const taken = await created(store, now, { expiresAt: now + 1000 })
      await store.create({ ...taken, expiresAt: now + 5000 }, now + 1000)
      await store.deleteExpired?.(now + 1000, 1000)
      const marker = await created(store, now)
      await store.delete(marker.key)

      await heard.assertHears(marker.key, 'a delete')

      assert.ok(!heard.keys.includes(swept.key), 'a sweep must not be announced')
      assert.ok(!heard.keys.includes(taken.key), 'a create over an expired record must not be announced')
    },
  ),

  checkHeard('a subscription that was ended hears no more, and leaves the others', async (store, heard, now) => {
    const other = new Heard(store)
    await other.begin(store)
    other.stop()
    const { key } = await created(store, now)
    await store.delete(key)

    await heard.assertHears(key, 'a delete')

    assert.ok(!other.keys.includes(key), 'a subscription that was ended must hear no more')
    other.stop()
  }),

  checkBeside('where one has subscribe, it hears of what the other ends', async (store, other, now) => {
    if (!has(store, 'subscribe')) return
    await hearing(store, async (heard) => {
      const [deleted, replaced] = [await created(other, now), await created(other, now, { owner: newKey() })]

      await other.delete(deleted.key)
      await other.replace(successor(replaced, { payload: '', owner: undefined }), 1, now)

      await heard.assertHears(deleted.key, 'a delete by another store')
      await heard.assertHears(replaced.key, 'a replace by an empty record of another store')
    })
  }),
]
