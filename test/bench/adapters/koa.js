// Floor: Koa without sessions.
import Koa from 'koa'
import { answerBare } from '../harness/workloads.js'

export const stores = ['none']
export const bare = true

export function build() {
  const app = new Koa()
  app.use(async (ctx, next) => next())
  app.use((ctx) => {
    ctx.body = answerBare(ctx.path)
  })
  return { bare, listener: app.callback(), close() {} }
}
