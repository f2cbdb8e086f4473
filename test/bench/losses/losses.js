// npm run compare: who loses what. Plays the same scenes over HTTP with each library, prints the table and writes RESULTS.md.
import { readFile, writeFile } from 'node:fs/promises'
import { expressSession, expressSessionForADay } from './adapters/express-session.js'
import { fastifySession, fastifySessionInMemory, fastifySessionLazy } from './adapters/fastify-session.js'
import { ironSession } from './adapters/iron-session.js'
import { koaFastsession, koaFastsessionForADay } from './adapters/koa-fastsession.js'
import { koaGenericSession, koaGenericSessionInMemory } from './adapters/koa-generic-session.js'
import { koaSession } from './adapters/koa-session.js'
import { koaSessionMinimal, koaSessionMinimalInMemory } from './adapters/koa-session-minimal.js'
import { play } from './play.js'
import { report } from './report.js'
import { cookies } from './scenes/cookies.js'
import { endings } from './scenes/endings.js'
import { faults } from './scenes/faults.js'
import { races } from './scenes/races.js'

const scenes = [...races, ...endings, ...faults, ...cookies]

/** Each library, and the other ways to configure it that change something. */
const libraries = [
  { adapter: koaFastsession, others: [koaFastsessionForADay] },
  { adapter: koaSession, others: [] },
  { adapter: koaGenericSession, others: [koaGenericSessionInMemory] },
  { adapter: koaSessionMinimal, others: [koaSessionMinimalInMemory] },
  { adapter: expressSession, others: [expressSessionForADay] },
  { adapter: fastifySession, others: [fastifySessionInMemory, fastifySessionLazy] },
  { adapter: ironSession, others: [] },
]

const columns = []
for (const { adapter, others } of libraries) {
  const variants = []
  for (const other of others) variants.push({ adapter: other, seen: await play(other, scenes) })
  columns.push({ adapter, version: await versionOf(adapter), seen: await play(adapter, scenes), variants })
}

const text = report(scenes, columns)
console.log(text)
await writeFile(new URL('RESULTS.md', import.meta.url), text)

// Ours is here to be measured as well.
const [ours] = columns
for (const { adapter, seen } of [ours, ...ours.variants]) {
  scenes.forEach(({ title, facts }, scene) => {
    facts.forEach((fact, at) => {
      const { text, isLoss } = seen[scene][at]
      if (isLoss) console.error(`koa-fastsession (${adapter.configured}) ${title}, ${fact}: ${text}`)
    })
  })
}

async function versionOf({ name }) {
  const folder = name === 'koa-fastsession' ? '../../../' : `../node_modules/${name}/`
  return JSON.parse(await readFile(new URL(`${folder}package.json`, import.meta.url), 'utf8')).version
}
