// A pool whose server is gone collects statements without end, and would run all of them when the server is back.
import test from 'ava'
import { Sender, type MysqlConnection } from '../../src/stores/mysql/sender.ts'
import { soon, stopClock, turns } from '../support/stopped-clock.ts'

type Pooled = MysqlConnection & { release(): void; destroy(): void }

for (const [waited, isRun] of [
  [29_000, true],
  [31_000, false],
] as const) {
  test.serial(`a write that waited ${waited / 1000} s for a connection is ${isRun ? 'run' : 'given up'}`, async (t) => {
    const pass = stopClock(t)
    let give!: (connection: Pooled) => void
    const calls: string[] = []
    const answer = (): Promise<[unknown, unknown]> => {
      calls.push('write')
      return Promise.resolve([{ affectedRows: 1, insertId: 0, serverStatus: 2 }, undefined])
    }
    const connection: Pooled = {
      execute: answer,
      query: answer,
      release: () => void calls.push('release'),
      destroy: () => void calls.push('destroy'),
    }
    const sender = new Sender({ getConnection: () => new Promise((resolve) => (give = resolve)) }, undefined)
    const write = sender.write({ sql: 'DELETE FROM sessions', values: [] }).catch((error: unknown) => error)
    await turns()

    pass(waited)
    give(connection)

    const outcome = await soon(write)
    t.deepEqual(calls, isRun ? ['write', 'release'] : ['release'])
    t.like(outcome, isRun ? { affectedRows: 1 } : { code: 'ETIMEDOUT' })
  })
}
