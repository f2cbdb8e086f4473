// A process of its own for what is measured, under any Node. It is asked one question at a time, and never outlives its parent.
import { fork } from 'node:child_process'

const children = new Set()
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/**
 * Candidates take turns, so each is idle for seconds, as no busy server is. V8 then collects, without a request under way: it forgets
 * the classes of objects that live for one request, and all code made for them, and what was measured next was mostly compiling.
 */
export const AS_IF_BUSY = '--no-memory-reducer'

/** Starts a file of the folder above; resolves once it has said that it is ready, `ready` being what it said. */
export async function start(file, args, { node = process.execPath, execArgv = [] } = {}) {
  const child = fork(new URL(`../${file}`, import.meta.url), args, {
    execPath: node,
    execArgv: [AS_IF_BUSY, ...execArgv],
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  children.add(child)
  let settle
  const answer = () => new Promise((resolve, reject) => (settle = { resolve, reject }))
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.on('message', (message) => settle.resolve(message))
  void gone.then(() => {
    children.delete(child)
    settle.reject(new Error(`${file} ${args.join(' ')} ended`))
  })
  const ready = await answer()
  return {
    ready,
    ask(message) {
      const answered = answer()
      child.send(message)
      return answered
    },
    stop() {
      child.kill('SIGKILL')
      return gone
    },
  }
}
