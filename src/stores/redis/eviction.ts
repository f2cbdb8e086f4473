// Tells of a server that evicts keys: sessions end without an error, and those whose index of their owner was evicted live on
// where their owner is logged out everywhere.
import type { Connection } from './client.ts'

/** Those that are not asked again. */
const done = new WeakSet<Connection>()

/** Warns once of each connection. Where an ACL refuses INFO there is no warning, and only one try in its log. */
export function noticeEviction(connection: Connection, key: string): void {
  if (done.has(connection)) return
  const command = ['INFO', 'memory']
  const asked = connection.sendToAll?.(command) ?? connection.ask(command, key, (answer) => [answer])
  const judge = (answers: readonly unknown[]): void => {
    const limited = answers.map(String).filter((info) => /\nmaxmemory:[1-9]/.test(info))
    const policy = /\nmaxmemory_policy:(?!noeviction)([\w-]+)/.exec(limited.join())?.[1]
    if (policy === undefined || done.has(connection)) return
    done.add(connection)
    process.emitWarning(
      `the Redis server of the RedisStore evicts keys when it is full (maxmemory-policy ${policy}): sessions then end without an error, and list and destroyAll miss sessions that live. Set maxmemory-policy noeviction.`,
      { type: 'SessionWarning', code: 'KOA_FASTSESSION_REDIS_EVICTS' },
    )
  }
  asked.then(judge, (error: unknown) => {
    if (String(error).includes('NOPERM')) done.add(connection)
  })
}
