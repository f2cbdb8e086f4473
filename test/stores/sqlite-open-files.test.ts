// The look for a second SQLite library goes through every open file of the process, and a busy server has thousands.
import { promises } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers } from '../support/sqlite.ts'

const testOnLinux = process.platform === 'linux' ? test.serial : test.serial.skip

for (const driver of drivers) {
  testOnLinux(`${driver.name}: a sweep of many portions looks at the open files once`, async (t) => {
    const { readdir } = promises
    let looks = 0
    Object.assign(promises, { readdir: (path: string) => (looks++, readdir(path)) })
    syncBuiltinESMExports()
    t.teardown(() => {
      Object.assign(promises, { readdir })
      syncBuiltinESMExports()
    })
    // A look begins by finding where the file is, and nobody waits for it.
    const looked = async (): Promise<number> => {
      await sleep(100)
      return looks
    }
    const database = driver.open(join(temporaryFolder(), 'sessions.db'))
    const store = new SqliteStore(database)
    await store.create(newRecord(), NOW)
    database.exec('BEGIN')
    for (let made = 0; made < 100; made++) await store.create(newRecord({ expiresAt: NOW + 1 }), NOW)
    database.exec('COMMIT')
    const before = await looked()

    const removed: number[] = []
    do removed.push(await store.deleteExpired(NOW + 1, 20))
    while (removed.at(-1) !== 0)

    t.deepEqual(removed, [20, 20, 20, 20, 20, 0])
    t.is((await looked()) - before, 1)
    store.close()
    database.close()
  })
}
