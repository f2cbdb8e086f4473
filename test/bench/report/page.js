// RESULTS.md, from the results alone.
import { WORKLOADS } from '../harness/workloads.js'
import { count, number, table, wrapped } from './markdown.js'
import { isMet, targets } from './targets.js'

const CPU_WORKLOADS = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7', 'W8', 'W9']

export function page(results) {
  const sections = [head(results), targetSection(results)]
  const add = (part, title, text, section) => {
    const runs = Object.values(results[part] ?? {})
    if (runs.length === 0) return
    const load = (run) => {
      if (run.load === undefined) return ''
      const isBusy = run.load > 2 * Number.parseInt(run.machine, 10)
      const busy = isBusy ? ' **Too busy for figures to rely on.**' : ''
      // The results of before say nothing of it.
      const reducer = run.flags
        ? ''
        : ` With V8's memory reducer: [what that does](TRIED.md#what-waiting-for-a-turn-does).`
      return `Load average of the machine before: ${run.load}.${busy}${reducer}\n\n`
    }
    const shown = runs.map((run) => `### ${title}, Node ${run.node}\n\n${load(run)}${section(run)}`)
    sections.push([`## ${title}`, text, `\`npm run bench -- ${part}\``, ...shown].join('\n\n'))
  }
  add('cpu', 'CPU per request', CPU_TEXT, cpuSection)
  add('http', 'HTTP', HTTP_TEXT, httpSection)
  add('redis', 'Redis', REDIS_TEXT, redisSection)
  add('memory', 'Memory', MEMORY_TEXT, memorySection)
  add('stores', 'SQL stores beside a bare client', STORES_TEXT, storesSection)
  add('parallel', 'Parallel requests of one session', PARALLEL_TEXT, parallelSection)
  add('processes', 'Several processes', PROCESSES_TEXT, processesSection)
  add('awaits', 'Awaits under currentSession()', AWAITS_TEXT, awaitsSection)
  add('footprint', 'Footprint', FOOTPRINT_TEXT, footprintSection)
  add('profile', 'Where the time goes', PROFILE_TEXT, profileSection)
  return wrapped(`${sections.join('\n\n')}\n`)
}

function head(results) {
  const machines = [
    ...new Set(
      Object.values(results)
        .flatMap((runs) => Object.values(runs))
        .map(({ machine }) => machine),
    ),
  ].filter(Boolean)
  return `# How fast

\`npm run bench\` measures everything on this page again and writes it; [README.md](README.md) says how, and what each part does.
Machine: ${machines.join('; ') || 'not noted'}. **Only ratios count**: the machine's cores are shared, so every figure
belongs beside the others of its own table, which took turns with it in one run.

| | request | handler |
| --- | --- | --- |
${Object.entries(WORKLOADS)
  .map(([name, { path, what }]) => `| ${name} | \`${path}\` | ${what} |`)
  .join('\n')}

koa-fastsession runs with its defaults: ids hashed, requests isolated, versions compared, both timeouts, \`currentSession()\`,
events, \`Vary\`.`
}

function targetSection(results) {
  const list = targets(results)
  const majors = [...new Set(list.flatMap(({ measured }) => Object.keys(measured)))].sort()
  const shown = (target, major) => {
    const value = target.measured[major]
    if (value === undefined) return ''
    const met = isMet(target, major)
    const bound = target.limit(major)
    const text = `${number(value)}${bound === undefined ? '' : ` (${target.isFloor ? 'at least' : 'at most'} ${bound})`}`
    return met === false ? `**${text}: missed**` : text
  }
  const rows = list.map((target) => [target.what, ...majors.map((major) => shown(target, major))])
  return `## Targets\n\nCPU is over a bare Koa request's in the same run.\n\n${table(['', ...majors.map((major) => `Node ${major}`)], rows)}`
}

const CPU_TEXT = `CPU time of a request without sockets, over that of a bare Koa request: real request and response objects over a
stub connection, eight under way,
every candidate in a process of its own, taking turns, each slice between two halves of one of bare Koa, whose mean it is measured by; medians
of these ratios. Bare Koa measured so by itself (\`koa\`) shows the noise. In W3 all requests under way
write one field of one session. koa-fastsession alone notices: it reads anew, merges by key and
tells of the conflict, in which the later change of the same key wins (\`update()\` would count them all). W7 is
the same work
with a session for each. \`limit\` and \`limit-json\` are the least that a signed id costs; \`limit-lean\` sketches a fast design
without options,
errors, versions, events or id hashing. koa-session-minimal signs nothing. Express looks worse here than behind a socket, for it
changes the
prototypes of fresh objects. iron-session is stateless: its cookie is the session.`

function cpuSection({ rows, settings, conflicts }) {
  const ratios = rows.map((row) => [row.candidate, ...CPU_WORKLOADS.map((workload) => number(row[workload]?.overKoa))])
  const bare = rows.find(({ candidate }) => candidate === 'koa')
  const micros = CPU_WORKLOADS.map((workload) => bare?.[workload]?.us).filter((us) => us !== undefined)
  const begun = settings.generations === undefined ? '' : `, each process begun ${settings.generations} times`
  const met =
    conflicts === undefined
      ? ''
      : ` In W3 koa-fastsession met a conflict in ${Math.round(100 * conflicts)} of 100 requests.`
  return `Bare Koa: ${number(Math.min(...micros))} to ${number(Math.max(...micros))} us; ${settings.rounds} rounds of ${settings.ms} ms${begun}.${met}\n\n${table(['', ...CPU_WORKLOADS], ratios)}`
}

const HTTP_TEXT = `Server CPU of a request over loopback, parser, kernel and socket included, over bare Koa's in the same round, median of the rounds; over
koa-session's (see the targets) in pairs of neighbours; in
brackets requests per second over
bare Koa's. The load and the server share the machine, so the CPU is the steadier figure.`

function httpSection({ rows, settings }) {
  return `${settings.tool}, ${settings.connections} connections, ${settings.rounds} rounds of ${settings.seconds} s.\n\n${httpTable(rows, ['W1', 'W2', 'W3', 'W7', 'W4'])}`
}

function httpTable(rows, workloads) {
  const shown = (figures) => (figures ? `${number(figures.overKoa)} (${number(figures.perSecondOverKoa)})` : '')
  const cells = rows.map((row) => [
    row.candidate,
    ...workloads.map((workload) => shown(row[workload])),
    number(row.W2?.p99),
  ])
  return table(['', ...workloads, 'p99 of W2, ms'], cells)
}

const REDIS_TEXT = `Commands that a client sends for a request, as the server saw them; what a script calls inside the server is in
brackets, for it is no round trip. A
change is a compare-and-set, which is why it is a script: the others overwrite. Sliding expiry costs a busy session nothing: only
the first request after a tenth of the
lifetime, or an hour, moves it. Then server CPU and throughput of whole requests as above, with Redis behind them on the same
machine.`

function redisSection({ commands, rows, settings }) {
  const told = (calls) =>
    Object.entries(calls)
      .map(([name, n]) => (n === 1 ? name : `${number(n)} ${name}`))
      .join(' + ')
  const shown = (figures) =>
    figures && `${told(figures.sent) || 'none'}${told(figures.inside) ? ` (${told(figures.inside)})` : ''}`
  const workloads = ['W1', 'W2', 'W3', 'W4', 'W6']
  const counts = commands.map((row) => [row.candidate, ...workloads.map((workload) => shown(row[workload]))])
  return `${table(['', ...workloads], counts)}\n\n${settings.tool}, ${settings.connections} connections, ${settings.rounds} rounds of ${settings.seconds} s.\n\n${httpTable(rows, ['W2', 'W3', 'W7', 'W4'])}`
}

const MEMORY_TEXT = `Heap (and memory that hangs on it) for each small session, made through the middleware; the CPU of making one,
of a W2 read of one of a thousand sessions in use,
of any session, and of a W3 change, one request under way; the collector's longest pause meanwhile. Express and Fastify sessions
are filled to a tenth.

Then the calls of the store alone. The longest call is without the collector's pauses within it, and by the CPU's clock, so that
other programs on the machine
do not count; a Map of the same records does the least that a store could. A read of any of a million records misses the
processor's caches several times,
whoever keeps them: compare it with the Map's.`

function memorySection({ fills, calls }) {
  const filled = fills.map((row) => [
    row.candidate,
    count(row.size),
    number(row.bytes),
    number(row.create),
    number(row.read),
    number(row.readAny),
    number(row.write),
    number(row.gcPause),
  ])
  const expired = fills
    .filter(({ left }) => left !== undefined)
    .map(
      ({ candidate, removed, sweepMs, left }) =>
        `${candidate}: after all ${count(removed)} had expired, a sweep of ${number(sweepMs / 1000)} s, in portions of 500 between which requests are served, left ${number(left)} bytes a session.`,
    )
  const timed = calls.map((row) => [
    row.kind,
    number(row.bytes),
    number(row.createMicroseconds),
    number(row.fillLongestCall),
    number(row.fillLongestGc),
    number(row.sweepLongestCall),
    number(row.sweepLongestGc),
    number(row.readOfThousand),
    number(row.readOfMillion),
  ])
  return [
    table(
      ['', 'sessions', 'bytes each', 'create us', 'read in use us', 'read any us', 'change us', 'longest GC ms'],
      filled,
    ),
    ...expired,
    table(
      [
        '',
        'bytes each',
        'create us',
        'longest call filling ms',
        'longest GC ms',
        'longest call sweeping ms',
        'longest GC ms',
        'read of 1 k ns',
        'read of 1 M ns',
      ],
      timed,
    ),
  ].join('\n\n')
}

const STORES_TEXT = `Reads and changes per second of the store's verbs over ten thousand small sessions, beside the bare client
given the same statements with values of the same
kind, taking turns; the statements are recorded from the store. PostgreSQL and MariaDB: 16 under way over a pool
of 10 connections, \`synchronous_commit=off\` and \`innodb_flush_log_at_trx_commit=2\`. SQLite: a file in WAL mode, \`synchronous=NORMAL\`:
with the stricter defaults each change waits for the disk, and the clients are alike.`

function storesSection({ rows, missing }) {
  const cells = rows.map((row) => [
    row.store,
    row.client,
    row.verb,
    count(row.bare),
    count(row.ours),
    number(row.ratio),
    number(row.bareCpu),
    number(row.oursCpu),
  ])
  return `${table(['', 'client', '', 'bare, per second', 'store, per second', 'ratio', 'bare CPU us', 'store CPU us'], cells)}${missing ? `\n\nNot measured: no ${missing} on this machine.` : ''}`
}

const PARALLEL_TEXT = `So many requests of one session at once, in one process, each of which changes it. \`update\`: each adds 1
to one counter by \`update()\`. \`write\`: each sets a key of
its own, all having loaded the session before the first stores it. \`turns\`: the same writes one after another, for what they cost
without meeting. Of a thousand keys each write stores all. Every request that was answered with 200 had its
change kept, which the bench checks; the others were refused with 409 after ten seconds.`

function parallelSection({ rows }) {
  const cells = rows.map((row) => [
    row.store,
    row.way,
    count(row.size),
    number(row.ms),
    number(row.cpu),
    number(row.reads),
    number(row.replaces),
    row.refused,
  ])
  return table(
    ['', '', 'requests', 'all done after ms', 'CPU of each us', 'reads each', 'writes tried each', 'refused'],
    cells,
  )
}

const PROCESSES_TEXT = `One, four and eight processes of the app over one server of the store, eight requests under way in each, sent
without a socket between: CPU of a request in the app, CPU of the store's server for it, and all requests per second together. Every process
shares the machine with the store's server, so requests per second stop growing at its cores. \`W7\` changes sessions of the process's own,
\`one session\` lets all processes change one key of the same one: what was refused with 409 after its retries is counted, and an
acknowledged change is kept.`

function processesSection({ rows, missing }) {
  const cells = rows.map((row) => [
    row.store,
    row.workload,
    row.processes,
    number(row.cpu),
    number(row.serverCpu),
    count(row.perSecond),
    row.refused,
  ])
  const head = ['', '', 'processes', 'CPU of each us', "store's CPU us", 'requests per second', 'refused']
  return `${table(head, cells)}${missing ? `\n\nNot measured: no ${missing} on this machine.` : ''}`
}

const AWAITS_TEXT = `CPU of a request whose handler awaits so many times and asks for the session after each, over the same handler
in Koa alone, one request under way. \`run\` is AsyncLocalStorage alone,
\`visitor\` this library without a cookie, \`session\` with one. Until Node 24 every promise of a process pays once an
AsyncLocalStorage is in use.`

function awaitsSection({ rows }) {
  return table(
    ['awaits', '', 'us', 'over Koa'],
    rows.map((row) => [row.awaits, row.way, number(row.us), number(row.overKoa)]),
  )
}

const FOOTPRINT_TEXT = `What a small session (75 bytes of JSON) costs a server: bytes at rest, and for each verb the server's own
CPU, the bytes on the wire without packet headers, and the log that PostgreSQL and MariaDB write ahead. MariaDB's bytes
at rest are of its file, which grows by whole extents.
SQLite runs in the process, so its CPU is the whole call's. [SCALE.md](SCALE.md) reckons with these.`

function footprintSection({ rows }) {
  const cells = rows.flatMap(({ store, bytes, bytesAfterChanges, verbs }) =>
    Object.entries(verbs).map(([verb, { cpu, toServer, fromServer, log }], at) => [
      at === 0 ? store : '',
      at === 0 ? `${number(bytes)}, ${number(bytesAfterChanges)} once changed` : '',
      verb,
      number(cpu),
      number(toServer),
      number(fromServer),
      number(log),
    ]),
  )
  return table(['', 'bytes each', '', 'server CPU us', 'bytes to it', 'bytes from it', 'bytes of log'], cells)
}

const PROFILE_TEXT = `Shares of the CPU by V8's sampler, eight requests under way: Koa's and Node's own part of a request included.
\`node profile.js koa-fastsession W2\` shows more, and any candidate.`

function profileSection({ rows }) {
  const told = (list, most) =>
    list
      .slice(0, most)
      .map(({ of, share }) => `${of} ${(100 * share).toFixed(0)} %`)
      .join(', ')
  return table(
    ['', 'us', 'by file or package', 'by function'],
    rows.map(({ workload, us, files, functions }) => [workload, number(us), told(files, 8), told(functions, 6)]),
  )
}
