// Floor: Fastify without sessions.
import Fastify from 'fastify'
import { answerBare, PATHS } from '../harness/workloads.js'

export const stores = ['none']
export const bare = true

export async function build() {
  const app = Fastify()
  for (const path of PATHS) {
    app.get(path, (req, reply) => {
      reply.type('text/plain; charset=utf-8').send(answerBare(path))
    })
  }
  await app.ready()
  return { bare, listener: app.routing, close: () => app.close() }
}
