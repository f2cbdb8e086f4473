// Lower bound, sessions shared by reference (no isolation between requests).
import { limitApp } from '../harness/limit-app.js'

export const floor = 'koa'
export const stores = ['memory']
export const build = ({ keys }) => limitApp({ keys, text: false })
