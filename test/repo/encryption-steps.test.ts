// Encryption is switched on and off in a running system by the steps of docs/production.md.
import test from 'ava'
import { MemoryStore, type SessionOptions } from '../../src/index.ts'
import { mounted, type Handler } from '../support/mounted.ts'
import { section } from '../support/readme.ts'

const KEY = 'the newest encryption secret'

const handlers: Readonly<Record<string, Handler>> = { '/n': ({ data }) => (data.n = (data.n ?? 0) + 1) }

/** The steps of a table of docs/production.md, each as the options that it says; none where encryption is off. */
function stepsOf(column: 1 | 2): SessionOptions['encryptionKeys'][] {
  const rows = [...section('docs/production.md', '## Rotate an encryption key').matchAll(/^\| \d \|(.*)\|(.*)\|$/gm)]
  return rows.map((row) => {
    const [, options = ''] = /`(\{ keys, .*? \}|keys|encryptionKeys)`/.exec(row[column] ?? '') ?? []
    if (options === 'encryptionKeys') return undefined
    const [, name = '', value = ''] = /(\w+): (\w+)/.exec(options) ?? []
    return { keys: [KEY], ...(name !== '' && { [name]: value === 'true' }) }
  })
}

for (const [direction, column] of [
  ['on', 1],
  ['off', 2],
] as const) {
  test(`encryption is switched ${direction} by the steps of the docs: servers of two steps read what either wrote`, async (t) => {
    const steps = stepsOf(column)
    const before = direction === 'on' ? undefined : [KEY]
    t.is(steps.length, 3)
    t.deepEqual(steps.at(-1), direction === 'on' ? { keys: [KEY] } : undefined)
    const store = new MemoryStore()
    let older = await mounted(t, { store, encryptionKeys: before }, handlers)
    const browser = older.browser()
    await browser.get('/n')
    const cookie = await browser.cookie()
    let n = 1
    for (const encryptionKeys of steps) {
      const newer = await mounted(t, { store, encryptionKeys }, handlers)
      for (const server of [newer, older, newer]) t.is((await server.browser().send('/n', cookie)).body, String(++n))
      older = newer
    }
  })
}
