// npm run example 02: starts the example whose file name begins so.
import { readdirSync } from 'node:fs'
import '../test/support/loader.js'

const folder = new URL('../example/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'))
const wanted = process.argv[2]
const name = names.find((one) => wanted !== undefined && one.startsWith(wanted))

if (name === undefined) {
  console.error(`Which example? npm run example <number>, one of:\n${names.map((one) => `  ${one}`).join('\n')}`)
  process.exitCode = 1
} else {
  await import(new URL(name, folder).href)
}
