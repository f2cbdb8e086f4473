// Runs an example as its first lines say, with this Node, in its own process.
import type { ExecutionContext } from 'ava'
import { Browser } from './app.ts'
import { ROOT } from './consumer.ts'
import { freePort, listening, start, type Running } from './service.ts'

export interface Example {
  readonly running: Running
  readonly url: string
  readonly browser: () => Browser
}

// A test file starts all its examples at once. More than a few starting together only slow each other down.
const WIDTH = 3
const starts: Promise<unknown>[] = Array.from({ length: WIDTH }, () => Promise.resolve())
let next = 0

/** Runs a start after an earlier one has ended, whether that succeeded or failed. */
function inTurn<Result>(fn: () => Promise<Result>): Promise<Result> {
  const place = next++ % WIDTH
  const result = (starts[place] ?? Promise.resolve()).then(fn, fn)
  starts[place] = result
  return result
}

/** Starts an example on a free port until the test ends, with these variables in its environment. */
export async function example(
  t: Pick<ExecutionContext, 'teardown'>,
  name: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Example> {
  return inTurn(() => startExample(t, name, environment))
}

async function startExample(
  t: Pick<ExecutionContext, 'teardown'>,
  name: string,
  environment: Readonly<Record<string, string>>,
): Promise<Example> {
  const port = await freePort()
  const variables = Object.entries({ PORT: port, ...environment }).map(([key, value]) => `${key}=${value}`)
  const running = start(
    'env',
    [...variables, process.execPath, '--import', './test/support/loader.js', `example/${name}`],
    { cwd: ROOT },
  )
  t.teardown(() => running.stop())
  await listening(port, running)
  const url = `http://127.0.0.1:${port}`
  return { running, url, browser: () => new Browser(url) }
}
