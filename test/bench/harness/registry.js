// Every file in adapters/ is a candidate; its name is the file's name.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import path from 'node:path'

const dir = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'adapters')

export const names = readdirSync(dir)
  .filter((f) => f.endsWith('.js') && !f.startsWith('_'))
  .map((f) => f.slice(0, -3))
  .sort()

export const load = (name) => import(path.join(dir, name + '.js'))

export const KEYS = ['first bench secret, thirty-two characters', 'second bench secret, thirty-two characters']
export const TTL = 86400000

console.warn = () => {} // 'MemoryStore is not for production', once a build

/** Builds an app. `store` is one of the adapter's `stores`. */
export async function build(name, store, extra = {}) {
  const adapter = await load(name)
  const chosen = store ?? adapter.stores?.[0]
  return adapter.build({ store: chosen, keys: KEYS, ttl: TTL, ...extra })
}
