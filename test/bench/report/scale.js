// SCALE.md, from the results alone: what traffic and sessions of a size would take. It multiplies figures that were
// measured; it measures nothing.
import { table, wrapped } from './markdown.js'
import { cell, newest } from './results.js'

/** Requests by kind; the rest have no session cookie. */
const MIX = { read: 0.5, change: 0.1, create: 0.01 }
/** Of the reads, those that have to move the expiry: twenty requests of a session in a tenth of its idle timeout. */
const TOUCHES = 0.05
const VISITORS = 1 - MIX.read - MIX.change - MIX.create
/** How full a core may be. */
const FULL = 0.6
/** Ethernet, IP and TCP headers, and the acknowledgement, of a command that travels alone. */
const PACKETS = 120
const RATES = [1e3, 1e5, 1e6]
const SESSIONS = [1e7, 1e8, 1e9]
const NODE_GB = 24
const TABLE_GB = 500

export function scale({ http, redis, footprint, memory, stores, parallel }) {
  const [plain, withRedis] = [newest(http), newest(redis)]
  const [rows, fills, verbs, bursts] = [
    newest(footprint).rows,
    newest(memory)?.fills,
    newest(stores)?.rows,
    newest(parallel)?.rows,
  ]
  const kept = (name) => rows.find(({ store }) => store === name)
  const us = {
    koa: cell(plain, 'koa', 'W1').us,
    visitor: cell(plain, 'koa-fastsession', 'W1').us,
    read: cell(withRedis, 'koa-fastsession:redis', 'W2').us,
    change: cell(withRedis, 'koa-fastsession:redis', 'W7').us,
    create: cell(withRedis, 'koa-fastsession:redis', 'W4').us,
  }
  const [inRedis, ownedInRedis, inPostgres, ownedInPostgres, inSqlite] = [
    'redis',
    'redis, owned',
    'postgres',
    'postgres, owned',
    'sqlite',
  ].map(kept)
  const { cookies } = newest(footprint)
  const million = fills?.find(({ candidate, size }) => candidate === 'koa-fastsession' && size === 1_000_000)

  /** A measured cost of each verb, for one request of the mix. A changed session was read first. */
  const perRequest = (store, what) =>
    (MIX.read + MIX.change) * store.verbs.read[what] +
    MIX.read * TOUCHES * store.verbs.touch[what] +
    MIX.change * store.verbs.change[what] +
    MIX.create * store.verbs.create[what]
  const trips = MIX.read * (1 + TOUCHES) + MIX.change * 2 + MIX.create
  const app = VISITORS * us.visitor + MIX.read * us.read + MIX.change * us.change + MIX.create * us.create
  const wire = perRequest(inRedis, 'toServer') + perRequest(inRedis, 'fromServer') + trips * PACKETS
  const wirePostgres = perRequest(inPostgres, 'toServer') + perRequest(inPostgres, 'fromServer') + trips * PACKETS

  const cores = (micros, rate) => (micros * rate) / 1e6 / FULL
  const traffic = RATES.map((rate) => [
    whole(rate),
    short(cores(app, rate)),
    short(cores(app - us.koa, rate)),
    short(rate * trips),
    short((rate * wire * 8) / 1e6),
    short(cores(perRequest(inRedis, 'cpu'), rate)),
    short((rate * wirePostgres * 8) / 1e6),
    short(cores(perRequest(inPostgres, 'cpu'), rate)),
    short((rate * perRequest(inPostgres, 'log')) / 1e6),
  ])
  const atRest = SESSIONS.map((sessions) => {
    const gb = (bytes) => (sessions * bytes) / 1e9
    return [
      whole(sessions),
      short(gb(inRedis.bytes)),
      short(gb(ownedInRedis.bytes)),
      Math.max(1, Math.ceil(gb(ownedInRedis.bytes) / NODE_GB)),
      short(gb(inPostgres.bytesAfterChanges)),
      short(gb(ownedInPostgres.bytesAfterChanges)),
      Math.max(1, Math.ceil(gb(ownedInPostgres.bytesAfterChanges) / TABLE_GB)),
    ]
  })
  const primaries = (rate) => Math.max(1, Math.ceil(cores(perRequest(inRedis, 'cpu'), rate)))
  const botSessions = 1000 * 7200
  const servers = (rate) =>
    primaries(rate) === 1 ? 'one server is enough' : `a Cluster of ${primaries(rate)} primaries`
  const inServers = (sessions) => `${Math.ceil((sessions * ownedInRedis.bytes) / 1e9 / NODE_GB)} of ${NODE_GB} GB`
  const writes = MIX.change + MIX.create + MIX.read * TOUCHES
  const told = (way, size) => {
    const row = bursts.find((one) => one.store === 'redis' && one.way === way && one.size === size)
    return row
      ? `${whole(size)} \`${way}()\`s of it at once over Redis took ${short(row.ms)} ms, with ${short(row.replaces)} ${short(row.replaces) === '1' ? 'try' : 'tries'} each and ${row.refused} refused (Parallel requests).`
      : ''
  }
  const sqliteChanges = verbs?.find(({ store, verb }) => store === 'sqlite' && verb === 'change')?.ours

  return wrapped(`# Scale, on paper

What a traffic would take, from figures that were measured: [RESULTS.md](RESULTS.md) has all of them, and
\`npm run bench -- report\` reckons anew. Microseconds are
those of one shared core of the machine named there, with the application itself left out: its own work comes on top. These are
orders of magnitude, to see what gives first.

## What is put in

| | measured figure |
| --- | --- |
| \`koa\` | ${us.koa} us: server CPU of a bare Koa request (HTTP, \`koa\` W1) |
| \`visitor\` | ${us.visitor} us: the same with this library and no cookie (HTTP, W1) |
| \`read\`, \`change\`, \`create\` | ${us.read}, ${us.change}, ${us.create} us: requests with Redis behind them (Redis, W2, W7, W4) |
| \`verb.cpu\` | Redis: ${verbsOf(inRedis, 'cpu')} us; PostgreSQL: ${verbsOf(inPostgres, 'cpu')} us of the server's CPU (footprint) |
| \`verb.wire\` | Redis: ${wireOf(inRedis)} bytes; PostgreSQL: ${wireOf(inPostgres)} bytes to and from the server (footprint) |
| \`cookie\` | ${cookies.request} bytes of every request that has a session, ${cookies.response} of the one response that sets it, in clear (footprint) |
| \`verb.log\` | PostgreSQL: ${verbsOf(inPostgres, 'log')} bytes of write-ahead log (footprint) |
| \`bytes\` | a small session (75 bytes of JSON) at rest: Redis ${inRedis.bytes}, with an owner ${ownedInRedis.bytes}; PostgreSQL ${inPostgres.bytes}, with an owner ${ownedInPostgres.bytes}; SQLite ${inSqlite.bytes}${million ? `; memory ${million.bytes}` : ''} (footprint, Memory) |

Not measured, but assumed: of 100 requests ${100 * MIX.read} read a session, ${100 * MIX.change} change one, ${100 * MIX.create}
makes one and ${Math.round(100 * VISITORS)} bring no cookie. One read in ${1 / TOUCHES} moves the expiry (the first
after a tenth of the idle timeout or an hour). A core is at most ${100 * FULL} % full. A command that travels alone costs
${PACKETS} bytes of packet headers both ways.

## Requests a second

\`\`\`
trips     = read share x (1 + touches) + change share x 2 + create share
          = ${trips.toFixed(3)} a request
app CPU   = visitor share x visitor + read share x read + change share x change + create share x create
          = ${app.toFixed(1)} us a request
store CPU = (read + change share) x read.cpu + read share x touches x touch.cpu
            + change share x change.cpu + create share x create.cpu
          = ${short(perRequest(inRedis, 'cpu'))} us a request in Redis, ${short(perRequest(inPostgres, 'cpu'))} in PostgreSQL
wire      = the same with verb.wire, + trips x ${PACKETS} bytes
          = ${Math.round(wire)} bytes a request with Redis, ${Math.round(wirePostgres)} with PostgreSQL
log       = the same with verb.log
cores     = CPU x rate / ${FULL}
\`\`\`

${table(['requests a second', 'Node cores', 'of these for sessions', 'round trips a second', 'Redis: Mbit/s', 'Redis: cores', 'PostgreSQL: Mbit/s', 'PostgreSQL: cores', 'PostgreSQL: MB/s of log'], traffic)}

To browsers: (read + change share) x \`cookie\` are ${short((1e6 * (MIX.read + MIX.change) * cookies.request * 8) / 1e6)} Mbit/s at
a million requests a second; a response that changes no cookie carries none.
An owner adds one round trip to a create, a touch and a delete in Redis, none in PostgreSQL.

## Sessions

\`\`\`
GB = sessions x bytes / 10^9          Redis servers = GB / ${NODE_GB}          tables = GB / ${TABLE_GB}
\`\`\`

${table(['sessions', 'Redis: GB', 'with owners', `servers of ${NODE_GB} GB`, 'PostgreSQL: GB', 'with owners', `tables of ${TABLE_GB} GB`], atRest)}

A replica of each server doubles the Redis figures. The payload is 75 bytes here: a session of 1 KB adds 1 GB for each million.
\`MemoryStore\` is for one process: two million sessions and 512 MiB by default.

## What carries it

- **1 k a second.** One Node process and one server of either kind. SQLite too, on one machine: it wrote
${short(sqliteChanges ?? NaN)} changes a second (SQL stores), and this traffic has ${short(1e3 * writes)} writes.
- **100 k a second.** Some ${short(cores(app, 1e5))} Node cores behind a balancer that need not know of sessions. Redis:
${servers(1e5)} by CPU, for one runs its commands on one core, with a replica in another
  zone. PostgreSQL: one server with some ${short(cores(perRequest(inPostgres, 'cpu'), 1e5))} cores for the statements, a
synchronous replica, and ${short((1e5 * perRequest(inPostgres, 'log')) / 1e6)} MB/s of log, which the full pages after each checkpoint multiply. 100 M sessions with owners are ${inServers(1e8)} in Redis, one table in PostgreSQL.
- **1 M a second.** Redis: ${servers(1e6)} by CPU, and ${inServers(1e9)} by memory for 1 G sessions with owners; the larger
number counts. Keys are hashes without braces, so slots fill evenly and each verb
  touches one key of one slot; an owner's index lies in a slot of its own. PostgreSQL: ${short(1e6 * trips)} statements a second
and ${short(cores(perRequest(inPostgres, 'cpu'), 1e6))} cores are too much for one server. Split it, with a store
  of your own that picks a server by the first characters of the key and hands the verb on; \`list\` then asks all of them.
- Every Node process holds one connection to each Redis primary, or a pool to PostgreSQL: ${short(cores(app, 1e6))} processes with
pools of 10 have ${short(10 * cores(app, 1e6))} connections, which needs PgBouncer in transaction mode.

## Where it breaks first

1. **One hot session.** Writes to one session are compared and set one after another, on every
store.${bursts ? ` ${told('update', 100)} ${told('update', 1000)}` : ''} What is refused is told so after ten seconds; nothing is
lost.
   A counter that many requests share belongs in a database, not in a session.
2. **PostgreSQL's log and vacuum**, before its memory: every touch and change writes a row version. A longer idle timeout makes
touches rarer, down to one an hour.
3. **The CPU of the Redis primaries**, then their network. Reads at a replica are no way out: it may still show a session that has
ended.
4. **Memory of Redis** only at the time that expired records wait for its sampling: they go a minute after their end at the
earliest. \`noeviction\`, or a full server ends live sessions.
5. **The owner index** of one account with very many sessions: \`list\` reads each of them.
6. **A failover of Redis** loses what was acknowledged in the last moment: a logout among it. PostgreSQL with a synchronous replica
does not.

## Bots

- Without a cookie they cost ${us.visitor} us a request and the store nothing, as long as the routes they reach keep nothing. With
a forged cookie: one HMAC, and the store is not asked.
- A cookie that was good once costs one read each time, and no record.
- A route that stores something for anybody makes a record for each visit of a bot that keeps no cookies. A thousand a second for
an idle timeout of two hours are ${short(botSessions / 1e6)} M sessions:
  ${short((botSessions * inRedis.bytes) / 1e9)} GB in Redis, ${short((botSessions * inPostgres.bytes) / 1e9)} GB in
PostgreSQL${million ? `, ${short((botSessions * million.bytes) / 1e9)} GB in memory, where the store drops anonymous sessions first once it is full` : ''}. With \`maxAge\` of 30 days it would be ${short((1000 * 30 * 86_400) / 1e6)} M: put a limit of rate before such routes, and a
  lifetime on sessions only from the sign-in on (\`session.maxAge = '30d'\`).
`)
}

function verbsOf({ verbs }, what) {
  return Object.entries(verbs)
    .map(([verb, figures]) => `${verb} ${figures[what]}`)
    .join(', ')
}

function wireOf({ verbs }) {
  return Object.entries(verbs)
    .map(([verb, { toServer, fromServer }]) => `${verb} ${Math.round(toServer + fromServer)}`)
    .join(', ')
}

function short(value) {
  if (!Number.isFinite(value)) return 'many'
  const rounded = Number(value.toPrecision(2))
  return rounded >= 1000 ? whole(rounded) : `${rounded}`
}

function whole(value) {
  return `${Math.round(value)}`.replace(/\B(?=(\d{3})+$)/g, ',')
}
