// Functions that know no ctx find the session of their request: route -> addToCart -> priceOf -> currency.
//
//   curl -b jar -c jar -X PUT http://127.0.0.1:18080/currency/EUR
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/cart/book
//   curl -b jar -c jar http://127.0.0.1:18080/cart
import { setTimeout as pause } from 'node:timers/promises'
import Koa from 'koa'
import Router from 'koa-router'
import { currentSession, session } from 'koa-fastsession'

interface Visitor {
  currency?: string
  cart?: Line[]
}

interface Line {
  item: string
  price: string
}

// ---- the service: it could stand in a package of its own, and takes no ctx from anybody

async function addToCart(item: string): Promise<void> {
  const price = await priceOf(item)
  // Atomic: two tabs that fill one cart at the same time lose nothing.
  await currentSession<Visitor>().update((data) => (data.cart ??= []).push({ item, price }))
}

async function priceOf(item: string): Promise<string> {
  await pause(5) // a database that takes its time: other requests run meanwhile
  return `${item.length * 3} ${currency()}`
}

function currency(): string {
  return currentSession<Visitor>().data.currency ?? 'USD'
}

// ---- the web

const router = new Router()

router.put('/currency/:code', (ctx) => {
  const { code = 'USD' } = ctx.params
  currentSession<Visitor>().data.currency = code
  ctx.status = 204
})

router.post('/cart/:item', async (ctx) => {
  const { item = '' } = ctx.params
  await addToCart(item)
  ctx.status = 204
})

router.get('/cart', (ctx) => {
  ctx.body = currentSession<Visitor>().data.cart ?? []
})

const app = new Koa()
app.use(session({ keys: ['a secret that only this server knows'] }))
app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))
