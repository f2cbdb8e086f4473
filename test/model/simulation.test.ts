// Days of a small service from a few seeds; `npm run simulate` plays as many as wanted. Whatever is lost, late or killed,
// the checker of test/histories/check.ts finds no rule broken.
import test from 'ava'
import { simulate } from '../histories/simulation.ts'

const FIRST = 1
const MOST = 400
/** No day begins after this many milliseconds: a slow machine plays fewer, and says how many. */
const LIMIT = 20_000
const STEPS = 4000

test('days of a service under faults: nothing acknowledged is lost, nothing that ended comes back, each update counts once', async (t) => {
  t.timeout(LIMIT * 3)
  let operations = 0
  let seed = FIRST
  for (const end = Date.now() + LIMIT; seed < FIRST + MOST && Date.now() < end; seed++) {
    const { verdict } = await simulate(seed, STEPS)
    operations += verdict.operations
    t.deepEqual(verdict.violations, [], `again: npm run simulate -- --seed ${seed} --days 1 --told`)
  }
  t.true(operations > 0)
  t.log(`${seed - FIRST} days, ${operations} operations`)
})

test('one seed is one day, step by step', async (t) => {
  const [one, other] = [await simulate(7, 1500, true), await simulate(7, 1500, true)]

  t.deepEqual(one.schedule, other.schedule)
  t.true(one.schedule.length > 100)
  t.notDeepEqual(one.schedule, (await simulate(8, 1500, true)).schedule)
})
