// A log of writes that has become long. SQLite copies the whole of it into the file within one unlucky commit, once the
// last reader that held it up is gone: for hundreds of megabytes that stops the process for seconds. Such a log is copied
// by a thread beside this one, with the same library; short ones stay with SQLite, whose way is quicker.
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { prepared, type SqliteDatabase } from './database.ts'
import type { Row } from './rows.ts'

// Bytes of a log that SQLite copies by itself in some ten milliseconds; its own limit, 1000 pages, is a quarter of it.
const LONG = 16 * 1024 * 1024
// After how many writes to look at the log's length, and how long to leave one alone after a copying that could not end.
const INTERVAL = 64
const PAUSE = 5000

// Copies what no reader needs any more, again and again until all is copied or a minute has passed.
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
    } catch {}
    if (!isDone && Date.now() < end) return setTimeout(copy, 100)
    database.close()
    parentPort.close()
  }
  copy()
`

/** Looks after the log of one file. */
export class CheckpointKeeper {
  readonly #database: SqliteDatabase
  readonly #log: string
  readonly #workerData: { file: string; module: string | undefined } | undefined
  #worker: Worker | undefined
  #writes = 0
  #notBefore = 0

  constructor(database: SqliteDatabase, file: string) {
    this.#database = database
    this.#log = `${file}-wal`
    const module = moduleOf(database.constructor)
    this.#workerData =
      module === undefined ? undefined : { file, module: module === 'node:sqlite' ? undefined : module }
    database.exec(`PRAGMA journal_size_limit = ${LONG / 2}`)
  }

  /** To be called after each write. */
  noteWrite(): void {
    if (++this.#writes % INTERVAL !== 0 || this.#worker !== undefined || this.#workerData === undefined) return
    const length = statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0
    if (length <= LONG || performance.now() < this.#notBefore) return
    const limit = this.#autoCheckpoint()
    // 0: the app leaves it to another program, a replicator for one.
    if (limit > 0) this.#copy(this.#workerData, limit)
  }

  close(): void {
    // Ended in the middle of its work, it would take a lock of the file with it.
    this.#worker?.postMessage('end')
  }

  #autoCheckpoint(): number {
    const row = prepared(this.#database, 'PRAGMA wal_autocheckpoint').get() as Row // the pragma has one column
    return Number(row['wal_autocheckpoint'])
  }

  #copy(workerData: { file: string; module: string | undefined }, limit: number): void {
    let worker: Worker
    try {
      worker = new Worker(COPY, { eval: true, workerData, execArgv: [] })
    } catch {
      this.#notBefore = Infinity // no threads here: the copying stays with SQLite
      return
    }
    this.#worker = worker
    this.#database.exec('PRAGMA wal_autocheckpoint = 0')
    worker.unref()
    worker.once('error', () => {
      this.#notBefore = Infinity
    })
    worker.once('exit', () => {
      this.#worker = undefined
      this.#notBefore = Math.max(this.#notBefore, performance.now() + PAUSE)
      try {
        this.#database.exec(`PRAGMA wal_autocheckpoint = ${limit}`)
      } catch {
        // the database was closed meanwhile, and its setting with it
      }
    })
  }
}

/** Where a thread finds the library of a database: `'node:sqlite'` or a file; `undefined` where that cannot be known. */
function moduleOf(library: unknown): string | undefined {
  const builtin = process.getBuiltinModule('node:sqlite' as 'node:fs') as unknown as
    { DatabaseSync?: unknown } | undefined
  if (builtin !== undefined && library === builtin.DatabaseSync) return 'node:sqlite'
  const { _cache: loaded } = process.getBuiltinModule('node:module') as unknown as {
    _cache?: Readonly<Record<string, { exports?: unknown } | undefined>>
  }
  return Object.entries(loaded ?? {}).find(([, module]) => {
    const exports = module?.exports as { default?: unknown } | undefined
    return exports !== undefined && (exports === library || exports.default === library)
  })?.[0]
}
