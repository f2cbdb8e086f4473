// A process of its own for what is measured, under any Node. It is asked one question at a time, and never outlives its parent.
import { fork } from 'node:child_process'

/** Starts a file of this folder's parent; resolves once it has said that it is ready, with what it said. */
export async function start(file, args, { node = process.execPath, execArgv = [] } = {}) {
  const child = fork(new URL(`../${file}`, import.meta.url), args, {
    execPath: node,
    execArgv,
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  let settle
  const answer = () => new Promise((resolve, reject) => (settle = { resolve, reject }))
  child.on('message', (message) => settle.resolve(message))
  child.once('exit', () => settle.reject(new Error(`${file} ${args.join(' ')} ended`)))
  process.once('exit', () => child.kill('SIGKILL'))
  const ready = await answer()
  return {
    ready,
    ask(message) {
      const answered = answer()
      child.send(message)
      return answered
    },
    stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      settle.reject = () => {}
      child.kill('SIGKILL')
      return gone
    },
  }
}
