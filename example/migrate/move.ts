// All live sessions of one store in another, with a progress bar. It can be interrupted and run again: it moves the rest.
//
//   node --import ./test/support/loader.js example/migrate/move.ts sessions.db other.db
import { SingleBar } from 'cli-progress'
import { moveSessions } from 'koa-fastsession/migrate'
import { SqliteStore } from 'koa-fastsession/sqlite'
import Libsql from 'libsql'

const [source, target] = process.argv.slice(2)
if (source === undefined || target === undefined) throw new Error('which databases? move.ts <from> <to>')

const from = new SqliteStore(new Libsql(source))
// Any other store will do: new RedisStore(client), new PostgresStore(pool).
const to = new SqliteStore(new Libsql(target))

// How many there are is not known before all have been seen: the bar counts, and its end moves along.
const bar = new SingleBar({ format: 'moving sessions {bar} {value} | {duration_formatted}', hideCursor: true })
bar.start(1000, 0)
try {
  const count = await moveSessions(from, to, {
    onProgress(moved) {
      if (moved > bar.getTotal() * 0.9) bar.setTotal(moved * 2)
      bar.update(moved)
    },
  })
  bar.setTotal(Math.max(count, 1))
  bar.update(count)
} finally {
  bar.stop()
}
