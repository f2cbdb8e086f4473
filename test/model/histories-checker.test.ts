// The checker of histories (test/histories/check.ts) is judged by histories written by hand: good ones pass, bad ones name
// the rule that was broken.
import test from 'ava'
import { check, type Rule } from '../histories/check.ts'
import type { Operation, Seen } from '../histories/history.ts'

const ABOUT = { store: 'by hand', seed: 0, skew: 0 }

type Given = Partial<Operation> & Pick<Operation, 'n' | 'kind'>

/** An operation from one instant to another; acknowledged where nothing else is said. */
function op(begin: number, end: number, given: Given): Operation {
  return { client: 'by hand', process: 0, outcome: 'acknowledged', status: 200, begin, end, ...given }
}

function seen(data: Record<string, unknown>, id = 'P', owner: string | null = null): Seen {
  return { id, owner, data: { tag: 't1', ...data } }
}

/** The beginning of nearly all of them: session t1 under the id P, `a` is v1. */
const BEGUN = op(0, 1, { n: 1, kind: 'set', key: 'a', value: 'v1', saw: null, left: seen({ a: 'v1' }) })

function set(begin: number, end: number, n: number, more: Partial<Operation> = {}): Operation {
  const [saw, left] = [seen({ a: 'v1' }), seen({ a: `v${n}` })]
  return op(begin, end, { n, kind: 'set', key: 'a', value: `v${n}`, sent: 'P', saw, left, ...more })
}

function read(begin: number, end: number, n: number, data: Record<string, unknown> | null, id = 'P'): Operation {
  const saw = data === null ? null : seen(data, id)
  return op(begin, end, { n, kind: 'read', sent: id, saw, left: saw })
}

function append(begin: number, end: number, n: number, log: number[], more: Partial<Operation> = {}): Operation {
  return op(begin, end, { n, kind: 'append', sent: 'P', log, left: seen({ log }), ...more })
}

const A = { a: 'v1' }

const GOOD: Record<string, readonly Operation[]> = {
  nothing: [],
  'a change is read': [BEGUN, read(2, 3, 2, A)],
  'two changes that overlap, read in either order': [
    BEGUN,
    set(2, 9, 2, { saw: seen(A) }),
    set(3, 8, 3, { saw: seen(A) }),
    read(10, 11, 4, { a: 'v2' }),
  ],
  'a reading that overlaps a change shows either': [
    BEGUN,
    set(2, 9, 2, { saw: seen(A) }),
    read(3, 4, 3, A),
    read(5, 6, 4, { a: 'v2' }),
    read(10, 11, 5, { a: 'v2' }),
  ],
  'an unknown change comes late': [
    BEGUN,
    set(2, 3, 2, { outcome: 'unknown', saw: undefined, left: undefined }),
    read(4, 5, 3, A),
    read(6, 7, 4, { a: 'v2' }),
  ],
  'an unknown change never comes': [BEGUN, set(2, 3, 2, { outcome: 'unknown' }), read(4, 5, 3, A)],
  'a removal': [
    BEGUN,
    op(2, 3, { n: 2, kind: 'delete', key: 'a', sent: 'P', saw: seen(A), left: seen({}) }),
    read(4, 5, 3, {}),
  ],
  'an unknown removal': [
    BEGUN,
    op(2, 3, { n: 2, kind: 'clear', sent: 'P', outcome: 'unknown' }),
    read(4, 5, 3, A),
    read(6, 7, 4, {}),
  ],
  'appends that overlap': [
    BEGUN,
    append(2, 9, 2, [2], { saw: seen(A) }),
    append(3, 8, 3, [2, 3], { saw: seen(A) }),
    read(10, 11, 4, { ...A, log: [2, 3] }),
  ],
  'an end': [BEGUN, op(2, 3, { n: 2, kind: 'end', sent: 'P', saw: seen(A), left: null }), read(4, 5, 3, null)],
  'a change of the id': [
    BEGUN,
    op(2, 5, { n: 2, kind: 'regenerate', sent: 'P', saw: seen(A), left: seen(A, 'Q') }),
    read(3, 4, 3, A),
    read(6, 7, 4, null),
    read(6, 7, 5, A, 'Q'),
  ],
  'a sign-in that is ended everywhere': [
    BEGUN,
    op(2, 3, {
      n: 2,
      kind: 'sign in',
      owner: 'ada',
      sent: 'P',
      saw: seen(A),
      left: seen({ ...A, login: 's2' }, 'Q', 'ada'),
    }),
    op(4, 5, { n: 3, kind: 'list', owner: 'ada', found: [seen({ ...A, login: 's2' }, 'Q', 'ada')] }),
    op(6, 7, { n: 4, kind: 'end all', owner: 'ada' }),
    read(8, 9, 5, null, 'Q'),
  ],
  'a session that had no time to be listed': [BEGUN, op(0.5, 3, { n: 2, kind: 'scan', found: [] }), read(4, 5, 3, A)],
  'a short life': [
    op(0, 1, { n: 1, kind: 'expire', lifetime: 1000, saw: null, left: seen({}) }),
    read(2, 3, 2, {}),
    read(1500, 1501, 3, null),
  ],
}

for (const [what, operations] of Object.entries(GOOD)) {
  test(`a good history passes: ${what}`, (t) => {
    t.deepEqual(check({ about: ABOUT, operations }).violations, [])
  })
}

const BAD: readonly (readonly [Rule, string, readonly Operation[]])[] = [
  [
    'mixed',
    'one id, two sessions',
    [BEGUN, op(2, 3, { n: 2, kind: 'read', sent: 'P', saw: seen({ tag: 't2' }), left: null })],
  ],
  [
    'mixed',
    'a session without its tag',
    [BEGUN, op(2, 3, { n: 2, kind: 'read', sent: 'P', saw: seen({ tag: undefined }) })],
  ],
  ['refused', 'a refused change is read', [BEGUN, set(2, 3, 2, { outcome: 'refused' }), read(4, 5, 3, { a: 'v2' })]],
  [
    'refused',
    'a refused append is read',
    [BEGUN, append(2, 3, 2, [2], { outcome: 'refused', log: undefined }), read(4, 5, 3, { ...A, log: [2] })],
  ],
  ['nowhere', 'a value that nobody wrote', [BEGUN, read(2, 3, 2, { a: 'v9' })]],
  ['nowhere', 'a change is read before it begins', [BEGUN, read(2, 3, 2, { a: 'v3' }), set(4, 5, 3, { saw: seen(A) })]],
  ['register', 'an acknowledged change is missing', [BEGUN, read(2, 3, 2, {})]],
  ['register', 'an old value comes back', [BEGUN, set(2, 3, 2, { saw: seen(A) }), read(4, 5, 3, A)]],
  [
    'register',
    'an old value comes back after an unknown change was read',
    [
      BEGUN,
      set(2, 3, 2, { outcome: 'unknown', saw: undefined, left: undefined }),
      read(4, 5, 3, { a: 'v2' }),
      read(6, 7, 4, A),
    ],
  ],
  [
    'register',
    'two readers disagree about the order of two changes',
    [
      BEGUN,
      set(2, 20, 2, { saw: seen(A) }),
      set(2, 20, 3, { saw: seen(A) }),
      read(3, 4, 4, { a: 'v2' }),
      read(5, 6, 5, { a: 'v3' }),
      read(7, 8, 6, { a: 'v2' }),
    ],
  ],
  [
    'register',
    'what was removed comes back',
    [
      BEGUN,
      op(2, 3, { n: 2, kind: 'delete', key: 'a', sent: 'P', saw: seen(A), left: seen({}) }),
      read(4, 5, 3, {}),
      read(6, 7, 4, A),
    ],
  ],
  ['append', 'an append is lost', [BEGUN, append(2, 3, 2, [2], { saw: seen(A) }), read(4, 5, 3, A)]],
  ['append', 'an append counts twice', [BEGUN, append(2, 3, 2, [2, 2], { saw: seen(A) })]],
  [
    'append',
    'one append overwrites another',
    [BEGUN, append(2, 9, 2, [2], { saw: seen(A) }), append(3, 8, 3, [3], { saw: seen(A) })],
  ],
  [
    'append',
    'two appends stand in the wrong order',
    [BEGUN, append(2, 3, 2, [2], { saw: seen(A) }), append(4, 5, 3, [3, 2], { saw: seen(A) })],
  ],
  ['ended', 'a session is read after its end', [...(GOOD['an end'] ?? []), read(6, 7, 4, A)]],
  [
    'ended',
    'a session is read after its end from elsewhere',
    [BEGUN, op(2, 3, { n: 2, kind: 'end elsewhere', sent: 'P', ended: true }), read(4, 5, 3, A)],
  ],
  ['old id', 'a replaced id opens the session', [...(GOOD['a change of the id'] ?? []), read(8, 9, 6, A)]],
  [
    'everywhere',
    'a session is signed in after the end of all',
    [
      ...(GOOD['a sign-in that is ended everywhere'] ?? []).slice(0, -1),
      op(8, 9, { n: 5, kind: 'read', sent: 'Q', saw: seen({ ...A, login: 's2' }, 'Q', 'ada') }),
    ],
  ],
  [
    'owner',
    'an owner who never signed in',
    [BEGUN, op(2, 3, { n: 2, kind: 'read', sent: 'P', saw: seen(A, 'P', 'ada') })],
  ],
  ['lost', 'a session is not there', [BEGUN, read(2, 3, 2, null)]],
  [
    'unlisted',
    'a scan leaves a session out',
    [BEGUN, read(2, 3, 2, A), op(4, 5, { n: 3, kind: 'scan', found: [] }), read(6, 7, 4, A)],
  ],
  [
    'outlived',
    'a session lives too long',
    [op(0, 1, { n: 1, kind: 'expire', lifetime: 1000, saw: null, left: seen({}) }), read(1500, 1501, 2, {})],
  ],
  [
    'broken',
    'an error of the program',
    [BEGUN, read(2, 3, 2, A), op(4, 5, { n: 3, kind: 'read', outcome: 'unknown', status: 500 })],
  ],
]

for (const [rule, what, operations] of BAD) {
  test(`a bad history is found: ${what} (${rule})`, (t) => {
    const rules = check({ about: ABOUT, operations }).violations.map((violation) => violation.rule)
    t.true(rules.includes(rule), rules.join())
  })
}
