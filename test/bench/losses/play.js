// Plays the scenes with one library, each on a site of its own.
import { none } from './cell.js'
import { NotOffered, serve } from './site.js'

/**
 * @typedef {object} Scene
 * @property {string} title
 * @property {readonly string[]} facts what is looked at: one row of the table each
 * @property {(open: Open, process: { unhandled: () => number }) => Promise<Cell[]>} play a cell for each fact
 *
 * @typedef {(routes: import('./site.js').Routes, options?: object) => ReturnType<typeof serve>} Open
 * @typedef {{ text: string, isLoss: boolean }} Cell
 */

// Nothing here waits for time: a scene that takes as long as this hangs.
const LONGEST = 20_000

let unhandled = 0
process.on('unhandledRejection', () => unhandled++)

/**
 * @param {import('./site.js').Adapter} adapter
 * @param {readonly Scene[]} scenes
 * @returns {Promise<Cell[][]>} the cells of each scene
 */
export async function play(adapter, scenes) {
  const seen = []
  for (const scene of scenes) seen.push(await playOne(adapter, scene))
  return seen
}

async function playOne(adapter, scene) {
  const sites = []
  const before = unhandled
  const open = async (routes, options) => {
    const site = await serve(adapter, routes, options)
    sites.push(site)
    return site
  }
  try {
    return await bounded(scene.play(open, { unhandled: () => unhandled - before }), `${adapter.name}: ${scene.title}`)
  } catch (error) {
    if (!(error instanceof NotOffered)) throw new Error(`${adapter.name}: ${scene.title}`, { cause: error })
    return scene.facts.map(() => none(error.message))
  } finally {
    for (const site of sites) await site.close()
  }
}

async function bounded(playing, name) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name}: hangs`)), LONGEST)
  })
  try {
    return await Promise.race([playing, late])
  } finally {
    clearTimeout(timer)
  }
}
