// ctx.session against a model of koa-session's, over random requests. The model was compared with koa-session 7.0.2; where
// that one loses a change (made after save() or regenerate() of the same request) the model keeps it, and so do we.
import assert from 'node:assert/strict'
import test from 'ava'
import fc from 'fast-check'
import type { Context } from 'koa'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'

type Content = Record<string, unknown>

type Step =
  | { readonly do: 'set'; readonly key: string; readonly value: unknown }
  | { readonly do: 'delete' | 'push'; readonly key: string }
  | { readonly do: 'assign'; readonly content: Content }
  | { readonly do: 'null' | 'save' | 'regenerate' | 'manuallyCommit' | 'read' }

const key = fc.constantFrom('a', 'b', 'isAdmin', 'list', '_private', 'constructor', 'toString')
const value = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.constant(null),
  fc.boolean(),
  fc.array(fc.integer(), { maxLength: 2 }),
  fc.constant({ deep: { n: 1 } }),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('set' as const), key, value }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'push' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('assign' as const),
      content: fc.dictionary(key, value, { maxKeys: 2, noNullPrototype: true }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'null' as const,
        'save' as const,
        'regenerate' as const,
        'manuallyCommit' as const,
        'read' as const,
      ),
    }),
  },
)
const story = fc.array(fc.array(step, { maxLength: 5 }), { minLength: 1, maxLength: 5 })

const sorted = (content: Content): unknown => Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1))
const grown = (before: unknown): unknown[] => (Array.isArray(before) ? [...(before as unknown[]), 1] : [1])

/** The session as a browser's requests see it one after the other. */
class Model {
  stored: Content | undefined = undefined
  id = 0

  /** What each step of a request sees afterwards. */
  request(steps: readonly Step[]): unknown[] {
    let content: Content | null = structuredClone(this.stored ?? {})
    let isKept = this.stored !== undefined
    const seen: unknown[] = []
    for (const one of steps) {
      if (one.do === 'assign') {
        // Another object after null is another session.
        if (content === null) this.id++
        content = structuredClone(one.content)
      } else if (content !== null) {
        if (one.do === 'set') content[one.key] = one.value
        else if (one.do === 'delete') Reflect.deleteProperty(content, one.key)
        else if (one.do === 'push')
          content[one.key] = grown(Object.hasOwn(content, one.key) ? content[one.key] : undefined)
        else if (one.do === 'null') content = null
        else if (one.do === 'save' || (one.do === 'manuallyCommit' && Object.keys(content).length > 0)) isKept = true
        else if (one.do === 'regenerate') [isKept, this.id] = [true, this.id + 1]
      }
      seen.push(content === null ? null : look(content, this.stored === undefined))
    }
    if (content === null) this.id++
    this.stored = content !== null && (isKept || Object.keys(content).length > 0) ? content : undefined
    return JSON.parse(JSON.stringify(seen)) as unknown[]
  }
}

function look(content: Content, isNew: boolean): unknown {
  const { length } = Object.keys(content)
  return {
    content: sorted(structuredClone(content)),
    spread: sorted(structuredClone(content)),
    isNew,
    length,
    populated: length > 0,
    hasA: Object.hasOwn(content, 'a'),
  }
}

async function act(ctx: Context, one: Step): Promise<unknown> {
  const visitor = visitorOf(ctx)
  if (one.do === 'assign') visitor.session = structuredClone(one.content) as never
  if (visitor.session === null) return null
  const bag = bagOf(ctx)
  if (one.do === 'set') bag[one.key] = one.value
  else if (one.do === 'delete') Reflect.deleteProperty(bag, one.key)
  else if (one.do === 'push') push(bag, one.key)
  else if (one.do === 'null') visitor.session = null
  else if (one.do === 'save' || one.do === 'regenerate') await bag[one.do]()
  else if (one.do === 'manuallyCommit') await bag.manuallyCommit()
  // Widened again: the assignment above may have made it null.
  const now = visitor.session as Content | null
  if (now === null) return null
  const { isNew, length, populated } = bagOf(ctx)
  return {
    content: sorted(JSON.parse(JSON.stringify(now)) as Content),
    spread: sorted(structuredClone({ ...now })),
    isNew,
    length,
    populated,
    hasA: Object.hasOwn(now, 'a') && 'a' in now,
  }
}

/** Into the list that is there, so that a change deep in the session has to be seen. */
function push(bag: Content, name: string): void {
  const list = Object.hasOwn(bag, name) ? bag[name] : undefined
  if (Array.isArray(list)) list.push(1)
  else bag[name] = [1]
}

test('ctx.session does what koa-session does, whatever a browser asks of it', async (t) => {
  const handle = async (ctx: Context): Promise<string> => {
    const seen: unknown[] = []
    for (const one of JSON.parse(ctx.get('x-steps')) as Step[]) seen.push(await act(ctx, one))
    return JSON.stringify(seen)
  }
  const app = await ecosystem(t, {}, answering({ '/': handle }))
  const ask = (steps: readonly Step[]): RequestInit => ({
    headers: {
      'x-steps': JSON.stringify(steps).replace(
        /[^ -~]/g,
        (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`,
      ),
    },
  })

  // Node's assertions: AVA's would count, and tell of, the first example instead of the smallest.
  const agrees = fc.asyncProperty(story, async (requests) => {
    const browser = app.browser()
    const model = new Model()
    for (const steps of requests) {
      const cookie = await browser.cookie()
      const { id, stored } = model
      const expected = model.request(steps)
      const answer = await browser.get('/', ask(steps))

      assert.deepEqual([answer.status, JSON.parse(answer.body)], [200, expected])
      const after = await browser.cookie()
      assert.equal(after === '', model.stored === undefined, 'a cookie stands for a stored session')
      if (stored !== undefined && model.stored !== undefined)
        assert.equal(after === cookie, model.id === id, 'a new id is a new cookie')
      if (stored !== undefined && model.id !== id)
        assert.equal(
          (await browser.send('/', cookie, ask([{ do: 'read' }]))).body,
          JSON.stringify([look({}, true)]),
          'the old id opens nothing',
        )
    }
  })

  await t.notThrowsAsync(fc.assert(agrees, { seed: 20_260, numRuns: 150 }))
  t.deepEqual(app.errors, [])
})
