// A sweep of a SqliteStore that has time left goes on to what has expired, however many sessions that still live are due before it.
import test from 'ava'
import { session } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { keyed, NOW } from '../support/records.ts'
import { libsql } from '../support/sqlite.ts'
import { stopClock } from '../support/stopped-clock.ts'

test.serial('deleteExpired finds an expired session behind 22,000 that were touched', async (t) => {
  const database = libsql.open(':memory:')
  const store = new SqliteStore(database)
  await store.create(keyed('ended', { expiresAt: NOW + 1001 }), NOW)
  database.exec(`
    WITH RECURSIVE live (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM live WHERE n < 22000)
    INSERT INTO sessions SELECT 'live' || n, 1, NULL, 0, 0, ${NOW + 9000}, ${NOW + 1000}, NULL, '{}' FROM live
  `)
  const sessions = session({ keys: ['a secret of a test'], store, now: () => NOW + 2000 })
  // The whole sweep takes some 100 ms: its own limit, a second, does not end it.
  stopClock(t)

  t.is(await sessions.deleteExpired(), 1)
})
