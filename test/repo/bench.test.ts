// The bench holds, without the libraries it compares with: its candidate does the job, and what is shown is what was measured.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'

type Results = Readonly<Record<string, Readonly<Record<string, Run>>>>
interface Run {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}
interface Candidate {
  close(): Promise<void>
}
interface Target {
  readonly limit: (major: string) => number | undefined
  readonly measured: Readonly<Record<string, number>>
  readonly isFloor: boolean
}

const { build } = await part<{ build: (name: string, store: string) => Promise<Candidate> }>('harness/registry.js')
const { check } = await part<{ check: (app: Candidate) => Promise<void> }>('harness/workloads.js')
const { readResults, newest } = await part<{ readResults: () => Results; newest: (runs?: Results[string]) => Run }>(
  'report/results.js',
)
const { plot } = await part<{ plot: (run: Run) => string }>('report/plot.js')
const { page } = await part<{ page: (results: Results) => string }>('report/page.js')
const { section } = await part<{ section: (results: Results) => string }>('report/readme.js')
const { scale } = await part<{ scale: (results: Results) => string }>('report/scale.js')
const { isMet } = await part<{ isMet: (target: Target, major: string) => boolean | undefined }>('report/targets.js')

const results = readResults()
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** A module of the bench, which is plain JavaScript, and what the test takes of it. */
async function part<Exports>(file: string): Promise<Exports> {
  return (await import(new URL(`../bench/${file}`, import.meta.url).href)) as Exports
}

for (const store of ['memory', 'sqlite']) {
  test(`the candidate does the job of every workload, with ${store}`, async (t) => {
    const app = await build('koa-fastsession', store)
    t.teardown(() => app.close())

    await t.notThrowsAsync(check(app))
  })
}

test('the plot is what the drawing makes of the figures', (t) => {
  t.is(text('test/bench/cpu.svg'), plot(newest(results['cpu'])))
})

test('the plot says in words every figure that it shows', (t) => {
  const svg = plot(newest(results['cpu']))
  const words = /<desc[^>]*>(.*)<\/desc>/.exec(svg)?.[1] ?? ''
  const shown = [...svg.matchAll(/<text class="value[^>]*>([^<]*)</g)].map(([, figure]) => figure)

  t.true(shown.length >= 24)
  t.deepEqual([...words.matchAll(/ (\d+(?:\.\d)?)(?=[,.])/g)].map(([, figure]) => figure).sort(), shown.sort())
})

test('RESULTS.md is what the page makes of the figures', (t) => {
  t.is(text('test/bench/RESULTS.md'), page(results))
})

test('SCALE.md reckons with the figures that were measured', (t) => {
  t.is(text('test/bench/SCALE.md'), scale(results))
})

test("the README's figures are those of the last run", (t) => {
  t.true(text('README.md').includes(section(results)))
})

test('a target is met up to its limit, and a floor from it on', (t) => {
  const target = { limit: () => 1.5, measured: { 20: 1.5, 22: 1.6, 24: 1.4 } }
  const verdicts = (isFloor: boolean) => ['20', '22', '24', '26'].map((major) => isMet({ ...target, isFloor }, major))

  t.deepEqual(verdicts(false), [true, false, true, undefined])
  t.deepEqual(verdicts(true), [true, true, false, undefined])
})
