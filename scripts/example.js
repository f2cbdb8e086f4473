// npm run example 2: starts the example of that number. npm start is npm run example 1.
import { readdirSync } from 'node:fs'
import '../test/support/loader.js'

const folder = new URL('../example/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'))
const [wanted] = process.argv.slice(2)
const name = names.find((one) => wanted !== undefined && (one.startsWith(wanted) || one.startsWith(`0${wanted}-`)))

// Examples say nothing of it: each is as short as it can be.
process.on('uncaughtException', (error) => {
  if (error.code !== 'EADDRINUSE') throw error
  console.error(
    `Port ${error.port} is taken by another program. Another port: PORT=${error.port + 1} npm run example ${wanted}`,
  )
  process.exit(1)
})

if (name === undefined) {
  console.error(`Which example? npm run example <number>, one of:\n${names.map((one) => `  ${one}`).join('\n')}`)
  process.exitCode = 1
} else {
  await import(new URL(name, folder).href)
}
