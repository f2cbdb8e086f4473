// Redis commands per request, counted by the server itself, and the server CPU of whole requests with Redis behind them.
import { start } from '../harness/child.js'
import { startRedis } from '../harness/services.js'
import { measure as measureHttp } from './http.js'

export const title = 'Redis'

const UNDER_LOAD = [
  'limit-json:redis',
  'limit-json:redis-pipelined',
  'koa',
  'koa-fastsession:redis',
  'koa-session:redis',
  'koa-fastsession:redis-pipelined',
  'koa-session:redis-pipelined',
  'koa-fastsession:node-redis',
  'koa-session:node-redis',
  'koa-session-minimal:koa-redis',
  'fastify-session:connect-redis',
  'express-session:connect-redis',
]

export async function measure({ node, say, rounds, only }) {
  const server = await startRedis()
  if (server === undefined) return { missing: 'redis-server' }
  say('counting commands')
  // In a process that ends before the server does: some clients throw when it leaves them.
  const counter = await start('harness/commands.js', [server.url], { node })
  const commands = await counter.ask({ only })
  await counter.stop()
  const { settings, rows } = await measureHttp({
    node,
    say,
    rounds,
    only: only ?? UNDER_LOAD,
    workloads: ['W2', 'W3', 'W7', 'W4'],
    redisUrl: server.url,
  })
  await server.stop()
  return { settings, commands, rows }
}
