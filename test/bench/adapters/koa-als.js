// Floor plus AsyncLocalStorage.run around the rest of the chain, nothing else.
import { AsyncLocalStorage } from 'node:async_hooks'
import Koa from 'koa'
import { answerBare } from '../harness/workloads.js'

export const stores = ['none']
export const bare = true
export const floor = 'koa'

export function build() {
  const app = new Koa()
  const als = new AsyncLocalStorage()
  app.use((ctx, next) => als.run(ctx, next))
  app.use((ctx) => {
    als.getStore()
    ctx.body = answerBare(ctx.path)
  })
  return { bare, listener: app.callback(), close() {} }
}
