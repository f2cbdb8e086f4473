import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test, { type ExecutionContext } from 'ava'
import { Events, type EventMessage, type EventName, type SessionLogger } from '../../src/events.ts'

/** Collects what a channel publishes. Channels belong to the process, so these tests are serial. */
function listen(t: ExecutionContext, name: EventName): unknown[] {
  const heard: unknown[] = []
  const take = (message: unknown): void => void heard.push(message)
  subscribe(`koa-fastsession:${name}`, take)
  t.teardown(() => void unsubscribe(`koa-fastsession:${name}`, take))
  return heard
}

/** A logger that has every level, and what it was told. */
function recording(): { logger: Required<SessionLogger>; lines: string[] } {
  const lines: string[] = []
  const level = (name: string) => (message: string) => void lines.push(`${name} ${message}`)
  return { logger: { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') }, lines }
}

/** Warnings of this process until the test ends. */
function warnings(t: ExecutionContext): (Error & { code?: string })[] {
  const seen: Error[] = []
  const take = (warning: Error): void => void seen.push(warning)
  process.on('warning', take)
  t.teardown(() => process.off('warning', take))
  return seen
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const spoken: readonly [EventName, EventMessage, line: string][] = [
  ['create', { publicId: 'p' }, 'debug koa-fastsession: create p'],
  ['resume', { publicId: 'p' }, 'debug koa-fastsession: resume p'],
  ['reject', { reason: 'malformed', publicId: undefined }, 'info koa-fastsession: reject, malformed'],
  ['reject', { publicId: 'p', reason: 'ended' }, 'info koa-fastsession: reject p, ended'],
  ['commit', { publicId: 'p' }, 'debug koa-fastsession: commit p'],
  ['conflict', { publicId: 'p', keys: ['a', 'b'] }, 'warn koa-fastsession: conflict p, keys a, b'],
  ['gone', { publicId: 'p' }, 'info koa-fastsession: gone p'],
  ['regenerate', { publicId: 'p', previousPublicId: 'q' }, 'info koa-fastsession: regenerate p (was q)'],
  ['destroy', { publicId: 'p', reason: 'sign-out', owner: 'ada' }, 'info koa-fastsession: destroy p, sign-out'],
  ['merge', { publicId: 'p', keys: ['a'] }, 'debug koa-fastsession: merge p, keys a'],
  ['sign-in', { publicId: 'p', previousPublicId: 'q' }, 'info koa-fastsession: sign-in p (was q)'],
  ['bind', { publicId: 'p' }, 'info koa-fastsession: bind p'],
  [
    'conflict',
    { keys: ['a\nerror: forged', 'b\u2028', '\u001b[31m', 'a, b'] },
    String.raw`warn koa-fastsession: conflict, keys "a\nerror: forged", "b\u2028", "\u001b[31m", "a, b"`,
  ],
  [
    'conflict',
    { keys: ['x'.repeat(65), ...'a b c d e f g h i j k'.split(' ')] },
    `warn koa-fastsession: conflict, keys ${'x'.repeat(64)}..., a, b, c, d, e, f, g, h, i and 2 more`,
  ],
  [
    'store-error',
    { operation: 'read', kind: 'ECONNREFUSED', error: new Error('PRIVATE') },
    'error koa-fastsession: store-error, read failed: ECONNREFUSED',
  ],
  [
    'store-error',
    { publicId: 'p', operation: 'touch', error: 'no error object' },
    'error koa-fastsession: store-error p, touch failed',
  ],
]

for (const [name, message, line] of spoken) {
  test.serial(`${line} is logged, and published as it is`, (t) => {
    const heard = listen(t, name)
    const { logger, lines } = recording()
    new Events(logger).emit(name, message)

    t.deepEqual(lines, [line])
    // Only what there is.
    t.deepEqual(heard, [Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined))])
  })
}

test.serial('an event is heard where a channel has a listener or there is a logger', (t) => {
  t.false(new Events(undefined).channels.create.hasSubscribers)
  t.true(new Events({}).channels.create.hasSubscribers)
  listen(t, 'create')
  t.true(new Events(undefined).channels.create.hasSubscribers)
  t.false(new Events(undefined).channels.resume.hasSubscribers)
})

test.serial('an event that nobody hears is nothing', (t) => {
  t.notThrows(() => new Events(undefined).emit('create', { publicId: 'p' }))
})

test.serial('a logger with some of the levels is told those', (t) => {
  const lines: string[] = []
  const events = new Events({ warn: (line) => void lines.push(line) })
  for (const [name, message] of spoken) events.emit(name, message)

  t.is(lines.length, 3)
  t.is(lines[0], 'koa-fastsession: conflict p, keys a, b')
})

test.serial('a logger keeps its this, as pino needs', (t) => {
  class Log {
    readonly lines: string[] = []
    info(line: string): void {
      this.lines.push(line)
    }
  }
  const log = new Log()
  new Events(log).emit('gone', { publicId: 'p' })

  t.deepEqual(log.lines, ['koa-fastsession: gone p'])
})

test.serial('a logger that throws fails neither the event nor a notice', (t) => {
  const heard = listen(t, 'gone')
  const broken = (): never => {
    throw new Error('the disk is full')
  }
  const events = new Events({ info: broken, warn: broken })

  t.notThrows(() => events.emit('gone', { publicId: 'p' }))
  t.notThrows(() => events.notice('TOPIC', 'a notice'))
  t.is(heard.length, 1)
})

test.serial('a logger whose methods reject, or give a thenable that throws, fails nothing', async (t) => {
  const rejected: unknown[] = []
  const take = (reason: unknown): void => void rejected.push(reason)
  process.on('unhandledRejection', take)
  t.teardown(() => process.off('unhandledRejection', take))
  const answers = [
    () => Promise.reject(new Error('the disk is full')),
    () => ({
      get then(): never {
        throw new Error('no')
      },
    }),
  ]
  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- what a logger should not do
  for (const info of answers) new Events({ info }).emit('gone', { publicId: 'p' })
  await settle()
  await settle()

  t.deepEqual(rejected, [])
})

test.serial('a notice is a process warning with a code, once for each topic', async (t) => {
  const seen = warnings(t)
  const events = new Events(undefined)
  events.notice('ONE', 'the first')
  events.notice('ONE', 'the first again')
  events.notice('TWO', 'the second')
  await settle()

  t.deepEqual(
    seen.map(({ name, code, message }) => [name, code, message]),
    [
      ['SessionWarning', 'KOA_FASTSESSION_ONE', 'the first'],
      ['SessionWarning', 'KOA_FASTSESSION_TWO', 'the second'],
    ],
  )
})

test.serial('with a logger a notice is a warning of it, once, and none of the process', async (t) => {
  const seen = warnings(t)
  const { logger, lines } = recording()
  const events = new Events(logger)
  events.notice('ONE', 'the first')
  events.notice('ONE', 'the first again')
  await settle()

  t.deepEqual(lines, ['warn koa-fastsession: the first (KOA_FASTSESSION_ONE)'])
  t.deepEqual(seen, [])
})
