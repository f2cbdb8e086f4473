// Sketch of a fast design with real guarantees (see harness/lean-app.js).
import { leanApp } from '../harness/lean-app.js'

export const floor = 'koa'
export const stores = ['memory', 'memory-cache']
export const build = ({ keys, ttl, store }) => leanApp({ keys, ttl, cache: store === 'memory-cache' ? 4096 : 0 })
