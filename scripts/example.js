// npm run example 2: starts the example of that number.
import { readdirSync } from 'node:fs'
import '../test/support/loader.js'

const folder = new URL('../example/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'))
const wanted = process.argv[2]?.padStart(2, '0')
const name = names.find((one) => wanted !== undefined && one.startsWith(wanted))

if (name === undefined) {
  console.error(`Which example? npm run example <number>, one of:\n${names.map((one) => `  ${one}`).join('\n')}`)
  console.error(
    'Where they look for servers: REDIS_URL, DATABASE_URL (PostgreSQL), MYSQL_URL; where they listen: PORT.',
  )
  process.exitCode = 1
} else {
  await import(new URL(name, folder).href)
}
