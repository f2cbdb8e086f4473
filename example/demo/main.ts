// A small shop with accounts, devices and a live view: npm run demo, then http://localhost:18080
import { fileURLToPath } from 'node:url'
import { openDemo } from './app.ts'
import { openStorage } from './storage.ts'

const port = Number(process.env['PORT'] ?? 18080)
const storage = openStorage(process.env['DATABASE'] ?? fileURLToPath(new URL('demo.db', import.meta.url)))
// DEVICE_BOUND=1 behind a proxy that speaks HTTPS: browsers that know how bind each session to a key of their own.
const isProxied = process.env['DEVICE_BOUND'] === '1'
const demo = openDemo({ ...storage, deviceBound: isProxied })
demo.app.proxy = isProxied

demo.server.on('error', (error: NodeJS.ErrnoException) => {
  console.error(
    error.code === 'EADDRINUSE'
      ? `Something listens on port ${port} already: PORT=18081 npm run demo takes another one.`
      : error,
  )
  process.exit(1)
})

// This machine alone: it is a demo, and it has a switch that breaks it.
demo.server.listen(port, '127.0.0.1', () =>
  console.log(`http://localhost:${port}, accounts and sessions ${storage.where}`),
)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void demo.close().finally(() => storage.close())
  })
}
