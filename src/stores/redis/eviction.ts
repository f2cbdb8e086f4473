// Tells of a server that evicts keys: sessions end without an error, and those whose index of their owner was evicted live on
// where their owner is logged out everywhere.
import { ignore, type Connection } from './client.ts'

const told = new WeakSet<Connection>()

/** Warns once of each connection. Where INFO is refused there is no warning. */
export function noticeEviction(connection: Connection, key: string): void {
  if (told.has(connection)) return
  const command = ['INFO', 'memory']
  const asked = connection.sendToAll?.(command) ?? connection.ask(command, key, (answer) => [answer])
  asked.then((answers) => {
    const limited = answers.map(String).filter((info) => /\nmaxmemory:[1-9]/.test(info))
    const policy = /\nmaxmemory_policy:(?!noeviction)([\w-]+)/.exec(limited.join())?.[1]
    if (policy === undefined || told.has(connection)) return
    told.add(connection)
    process.emitWarning(
      `the Redis server of the RedisStore evicts keys when it is full (maxmemory-policy ${policy}): sessions then end without an error, and list and destroyAll miss sessions that live. Set maxmemory-policy noeviction.`,
      { type: 'SessionWarning', code: 'KOA_FASTSESSION_REDIS_EVICTS' },
    )
  }, ignore)
}
