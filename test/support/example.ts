// Runs an example as its first lines say, under this Node, in a process of its own.
import type { ExecutionContext } from 'ava'
import { Browser } from './app.ts'
import { ROOT } from './consumer.ts'
import { freePort, listening, start, type Running } from './service.ts'

export interface Example {
  readonly running: Running
  readonly url: string
  readonly browser: () => Browser
}

/** Starts an example on a free port until the test ends, with these variables in its environment. */
export async function example(
  t: Pick<ExecutionContext, 'teardown'>,
  name: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Example> {
  const port = await freePort()
  const variables = Object.entries({ PORT: port, ...environment }).map(([key, value]) => `${key}=${value}`)
  const running = start(
    'env',
    [...variables, process.execPath, '--import', './test/support/loader.js', `example/${name}`],
    { cwd: ROOT },
  )
  t.teardown(() => running.stop())
  await listening(port, 30_000)
  const url = `http://127.0.0.1:${port}`
  return { running, url, browser: () => new Browser(url) }
}
