// FastSession's example page on Koa: a static page with a link, and a counter for each browser.
import { readFile } from 'node:fs/promises'
import Koa from 'koa'
import Router from 'koa-router'
import { MemoryStore, session, type SessionState } from 'koa-fastsession'

interface Counter {
  test_counter?: number
}

const HOST = '127.0.0.1'
const PORT = Number(process.env['PORT'] ?? 18080)

const app = new Koa()
const router = new Router<SessionState<Counter>>()

app.use(
  session<Counter>({
    keys: ['my-secret-key, the newest', 'my-secret-key, an older one'], // keys of the cookie's signature
    store: new MemoryStore(), // where sessions are kept
    maxAge: 0, // 0: while the browser runs. Above 0: this many milliseconds, also after the browser was closed
    stateKey: 'session', // the name of the session manager under ctx.state
    cookie: {
      name: 'sid', // the name of the session cookie
      httpOnly: true, // true: scripts in the page cannot read the cookie
      secure: false, // true: HTTPS only. 'auto', the default, follows the connection
    },
  }),
)

router.get('/session_test', (ctx) => {
  // get the session manager
  const manager = ctx.state.session

  // get the session: an object to read and to write
  const data = manager.getSession()

  // manager.getSessionId() is the secret that the browser holds; this name of the session is safe to print
  console.log(`session: ${manager.publicId}`)

  data.test_counter = (data.test_counter ?? 0) + 1

  ctx.body = { test_counter: data.test_counter }
})

const page = await readFile(new URL('html/index.html', import.meta.url), 'utf8')

router.get(['/', '/index.html'], (ctx) => {
  ctx.type = 'html'
  ctx.body = page
})

app.use(router.routes())

app
  .listen(PORT, HOST, () => console.log(`koa-fastsession: open http://localhost:${PORT} (Ctrl+C ends it)`))
  .on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error
    console.error(`Something listens on port ${PORT} already: PORT=${PORT + 1} npm start takes another one.`)
    process.exitCode = 1
  })
