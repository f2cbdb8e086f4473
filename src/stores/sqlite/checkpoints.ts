// The write-ahead log. SQLite copies it into the file within a commit. At the log's usual length that commit waits for the disk
// once more; if a reader has kept the log from being copied, hundreds of megabytes block the process for seconds. So a thread
// copies the log, with the same library, and SQLite itself only if the thread does not keep up.
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { prepared, type SqliteDatabase } from './database.ts'
import type { Row } from './rows.ts'

// The pages at which SQLite copies a log, unless an app has set another number, and the pages at which it does so beside a thread.
const USUAL_LIMIT = 1000
const RAISED_LIMIT = 4000
// The bytes at which a thread starts: LONG is the usual limit; VERY_LONG, where the app has set its own limit, a length that no
// app intends.
const LONG = 4 * 1024 * 1024
const VERY_LONG = 16 * 1024 * 1024
// How often to look at the log's length, and how long to pause after a copy, in milliseconds. At HASTE times the length a thread
// starts even in the pause: a busy sweep writes tens of megabytes meanwhile, which SQLite itself must not copy.
const INTERVAL = 50
const PAUSE = 500
const HASTE = 2
// A thread that failed is followed by another one after this time: a disk may have been full, or too many files open.
const RETRY = 60_000

// Copies as much as readers allow, again and again until all is copied or a minute has passed. An error other than a lock, as of an
// encrypted file, ends the thread. Once all is copied, it truncates the log, which takes the write lock
// for a moment: writers wait for it as for any other lock.
const COPY = `
  const { parentPort, workerData } = require('node:worker_threads')
  const found = workerData.module === undefined ? require('node:sqlite').DatabaseSync : require(workerData.module)
  const database = new (found.default ?? found)(workerData.file)
  let end = Date.now() + 60000
  parentPort.once('message', () => (end = 0))
  database.exec('PRAGMA busy_timeout = 0')
  const copy = () => {
    let isDone = false
    try {
      const answer = database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
      isDone = answer.busy === 0 && answer.log === answer.checkpointed
      isDone &&= database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get().busy === 0
    } catch (error) {
      if (!/locked|busy/i.test(error.message)) {
        database.close()
        throw error
      }
    }
    if (!isDone && Date.now() < end) return setTimeout(copy, 100)
    database.close()
    parentPort.close()
  }
  copy()
`

/** Keeps the log of one file short. */
export class CheckpointKeeper {
  readonly #database: SqliteDatabase
  readonly #log: string
  readonly #workerData: { file: string; module: string | undefined } | undefined
  /** The pages at which SQLite copies the log without a thread, and beside one. */
  #own = 0
  #limit = 0
  #worker: Worker | undefined
  #notBefore = -Infinity
  #pausedUntil = -Infinity
  #isClosed = false

  constructor(database: SqliteDatabase, file: string) {
    this.#database = database
    this.#log = `${file}-wal`
    const module = moduleOf(database.constructor)
    // No other connection can open a file that this one holds for itself.
    if (module === undefined || this.#pragma('locking_mode') === 'exclusive') return
    this.#workerData = { file, module: module === 'node:sqlite' ? undefined : module }
    this.#own = Number(this.#pragma('wal_autocheckpoint'))
    this.#limit = this.#own === USUAL_LIMIT ? RAISED_LIMIT : this.#own
    if (this.#own === USUAL_LIMIT) this.#setAutoCheckpoint(RAISED_LIMIT)
  }

  /** To be called before each write, because SQLite copies the log at the end of a write. */
  beforeWrite(): void {
    const now = performance.now()
    if (now < this.#notBefore || this.#worker !== undefined || this.#workerData === undefined) return
    // The app leaves the log to another program, such as a replicator.
    if (this.#limit === 0) return
    this.#notBefore = now + INTERVAL
    if (this.#length() > this.#long * (now < this.#pausedUntil ? HASTE : 1)) this.#copy(this.#workerData)
  }

  close(): void {
    this.#isClosed = true
    // The connection may be the app's, and from now on nobody else copies the log.
    this.#limit = this.#own
    // A thread that is terminated during its work would leave the file locked.
    if (this.#worker !== undefined) this.#worker.postMessage('end')
    else if (this.#workerData !== undefined) this.#giveBack()
  }

  get #long(): number {
    return this.#limit === RAISED_LIMIT ? LONG : VERY_LONG
  }

  #length(): number {
    return statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0
  }

  #pragma(name: string): unknown {
    return (prepared(this.#database, `PRAGMA ${name}`).get() as Row)[name] // a pragma has one column
  }

  #setAutoCheckpoint(limit: number): void {
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${limit}`)
  }

  #copy(workerData: { file: string; module: string | undefined }): void {
    let worker: Worker
    try {
      worker = new Worker(COPY, { eval: true, workerData, execArgv: [] })
    } catch {
      this.#notBefore = performance.now() + RETRY // no threads here, or too many: the copying stays with SQLite
      this.#limit = this.#own
      this.#setAutoCheckpoint(this.#limit)
      return
    }
    this.#worker = worker
    worker.unref()
    let hasFailed = false
    worker.once('error', () => (hasFailed = true))
    worker.once('exit', () => {
      this.#worker = undefined
      if (hasFailed) this.#notBefore = performance.now() + RETRY
      this.#limit = hasFailed || this.#isClosed || this.#own !== USUAL_LIMIT ? this.#own : RAISED_LIMIT
      this.#pausedUntil = performance.now() + PAUSE
      // A reader has blocked the copy for a minute. Once it is gone, the next thread must copy the log, not the next commit.
      const isLeft = !hasFailed && this.#length() > this.#long * HASTE
      if (isLeft) this.#notBefore = this.#pausedUntil
      if (!isLeft || this.#isClosed) this.#giveBack()
    })
    // Last, because it fails if the app has closed the database.
    this.#setAutoCheckpoint(0)
  }

  /** Lets SQLite copy the log again. */
  #giveBack(): void {
    try {
      this.#setAutoCheckpoint(this.#limit)
    } catch {
      // the database was closed meanwhile, which ends its settings
    }
  }
}

/** Where a thread can load the library of a database from: `'node:sqlite'` or a file; `undefined` if unknown. */
function moduleOf(library: unknown): string | undefined {
  const builtin = process.getBuiltinModule('node:sqlite' as 'node:fs') as unknown as
    { DatabaseSync?: unknown } | undefined
  if (builtin !== undefined && library === builtin.DatabaseSync) return 'node:sqlite'
  const { _cache: loaded } = process.getBuiltinModule('node:module') as unknown as {
    _cache?: Readonly<Record<string, { exports?: unknown } | undefined>>
  }
  return Object.entries(loaded ?? {}).find(([, module]) => {
    // A module may export anything, even `null` or getters that throw.
    const exports = module?.exports as { default?: unknown } | null | undefined
    try {
      return exports !== undefined && exports !== null && (exports === library || exports.default === library)
    } catch {
      return false
    }
  })?.[0]
}
