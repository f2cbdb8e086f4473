// From its second release on, the contents of one release after another are put into one place.
import { readFileSync } from 'node:fs'
import test from 'ava'
import { rawStores } from '../support/raw-stores.ts'

const { stores } = JSON.parse(readFileSync(new URL('fixtures/0.1.0.json', import.meta.url), 'utf8')) as {
  stores: Readonly<Record<string, unknown>>
}

for (const [name, make] of Object.entries(rawStores))
  test.serial(`${name}: the contents of a release take the place of those of another`, async (t) => {
    const raw = await make()
    if (raw === undefined) return t.pass()
    t.teardown(() => raw.close())
    // Each store knows what it gave.
    await raw.put(stores[name] as never)
    const contents = await raw.take()
    await raw.put(stores[name] as never)

    t.deepEqual(await raw.take(), contents)
  })
