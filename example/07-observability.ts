// What sessions do, as OpenTelemetry metrics and spans, and as an audit log by pino in OWASP's vocabulary: never an id, a
// signature or data.
//
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/login/ada
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/logout
//   curl -b sid=forged http://127.0.0.1:18080/
//   curl http://127.0.0.1:18080/metrics
import { subscribe, tracingChannel } from 'node:diagnostics_channel'
import { metrics, SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api'
import { DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import Koa, { type Context } from 'koa'
import Router from 'koa-router'
import { pino } from 'pino'
import { session, type EventMessage, type SessionState } from 'koa-fastsession'

// ---- metrics: an app that has an OpenTelemetry SDK already keeps it, and skips this part

/** Collects when it is asked. Exporters for Prometheus or OTLP are readers, too. */
class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

const reader = new Reader()
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))

/** One line for each series, as Prometheus reads them; of a histogram its count alone. */
async function exposition(): Promise<string> {
  const { resourceMetrics } = await reader.collect()
  const lines: string[] = []
  for (const metric of resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)) {
    const name = metric.descriptor.name.replaceAll('.', '_')
    const add = (suffix: string, attributes: Attributes, value: number) => {
      const labels = Object.entries(attributes).map(([label, text]) => `${label}=${JSON.stringify(text)}`)
      lines.push(`${name}_${suffix}{${labels.join(',')}} ${value}\n`)
    }
    if (metric.dataPointType === DataPointType.SUM)
      for (const { attributes, value } of metric.dataPoints) add('total', attributes, value)
    else if (metric.dataPointType === DataPointType.HISTOGRAM)
      for (const { attributes, value } of metric.dataPoints) add('count', attributes, value.count)
  }
  return lines.join('')
}

// Koa's own options: the request that is running is known below, and with it a path and an address; one proxy ends TLS, and
// what a client writes before its word on the address does not count.
const app = new Koa({ asyncLocalStorage: true, proxy: true, maxIpsCount: 1 })

// ---- events: a counter of all, and an audit log of those that an auditor asks for

const meter = metrics.getMeter('koa-fastsession')
const events = meter.createCounter('session.events', { description: 'What sessions did' })
const durations = meter.createHistogram('session.duration', { description: 'How long it took', unit: 'ms' })

const log = pino({ base: null, timestamp: () => `,"datetime":"${new Date().toISOString()}"` }) // JSON lines on stdout
const audit = log.child({ appid: 'example.observability' })

interface Audited {
  /** A word of OWASP's Logging Vocabulary, https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html */
  readonly event: string
  readonly level: 'info' | 'warn' | 'error'
}

/** What the audit log says of an event; nothing of most. What is `warn` or `error` is worth an alert. */
function audited(name: string, { owner = 'anonymous', reason, operation }: EventMessage): Audited | undefined {
  switch (name) {
    case 'create':
      return { event: `session_created:${owner}`, level: 'info' }
    case 'regenerate':
      return { event: `session_renewed:${owner}`, level: 'info' }
    case 'sign-in':
      return { event: `authn_login_success:${owner}`, level: 'info' }
    case 'destroy':
      return { event: `session_expired:${owner},${reason ?? ''}`, level: 'info' }
    case 'reject':
      switch (reason) {
        case 'ended': // by a sign-out, or by its limits
        case 'idle':
        case 'absolute':
        case 'replaced':
          return { event: `session_use_after_expire:${owner}`, level: 'info' }
        // A session that is bound to its browser comes without proof of that browser: the cookie may be a copy.
        case 'unbound':
        case 'cross-site':
          return { event: `authz_fail:${owner},session`, level: 'warn' }
        case 'duplicate':
          return undefined
        default: // not signed by us, or damaged in the store: one is a bot, many are an attack or a lost secret
          return { event: `input_validation_fail:cookie,${owner}`, level: 'info' }
      }
    // Two requests wrote one key, and one of the two is lost: the code wants session.update().
    case 'conflict':
      return { event: 'session_conflict', level: 'warn' }
    case 'store-error':
      return { event: `session_store_error:${operation ?? ''}`, level: 'error' }
    default:
      return undefined
  }
}

const NAMES = [
  'create',
  'resume',
  'reject',
  'commit',
  'merge',
  'conflict',
  'gone',
  'sign-in',
  'regenerate',
  'destroy',
  'bind',
  'store-error',
] as const

for (const name of NAMES) {
  subscribe(`koa-fastsession:${name}`, (published) => {
    const message = published as EventMessage
    const { publicId, previousPublicId, reason, operation, kind } = message
    // A public id is one of many: it belongs into logs, and would break metrics.
    const attributes: Attributes = { event: name }
    if (reason !== undefined) attributes['reason'] = reason
    if (operation !== undefined) attributes['operation'] = operation
    events.add(1, attributes)

    const line = audited(name, message)
    if (line === undefined) return
    // None in a sweep, or in an end that was caused outside of a request. No query in it: that may be data.
    // Its type is written as one of anything.
    const ctx = app.currentContext as Context | undefined
    const request = ctx && { source_ip: ctx.ip, request_method: ctx.method, request_uri: ctx.path }
    audit[line.level]({ event: line.event, session: publicId, previous: previousPublicId, reason, kind, ...request })
  })
}

// ---- spans: how long a load, a commit and each call of the store take, below the span of the request

const tracer = trace.getTracer('koa-fastsession')

interface Running {
  operation?: string
  isPending?: boolean
  error?: Error
}

for (const name of ['load', 'commit', 'store'] as const) {
  const running = new WeakMap<Running, { span: Span; start: number }>()
  const finish = (context: Running): void => {
    const found = running.get(context)
    if (found === undefined) return
    running.delete(context)
    if (context.error !== undefined)
      found.span.setStatus({ code: SpanStatusCode.ERROR, message: context.error.message })
    found.span.end()
    durations.record(performance.now() - found.start, { span: name, ...attributesOf(context) })
  }
  tracingChannel<unknown, Running>(`koa-fastsession:${name}`).subscribe({
    start: (context) => {
      const span = tracer.startSpan(`session.${name}`, { attributes: attributesOf(context) })
      running.set(context, { span, start: performance.now() })
    },
    end: (context) => {
      // A store in the same process answers at once; of others asyncEnd tells.
      if (context.isPending !== true) finish(context)
    },
    asyncStart: () => undefined,
    asyncEnd: finish,
    error: () => undefined, // it is in the context by then
  })
}

function attributesOf({ operation }: Running): Attributes {
  return operation === undefined ? {} : { operation }
}

// ---- the app

const router = new Router<SessionState<{ views?: number }>>()

// Before session(): what reads the metrics has no session.
app.use(async (ctx, next) => {
  if (ctx.path !== '/metrics') {
    await next()
    return
  }
  ctx.body = await exposition()
})

app.use(
  session({
    keys: ['a secret that only this server knows'],
    maxPerOwner: 2,
    deviceBound: true,
    logger: { warn: (text) => log.warn(text) }, // safety notices, and conflicts with the names of their keys
  }),
)

router.get('/', (ctx) => {
  const { data } = ctx.state.session
  data.views = (data.views ?? 0) + 1
  ctx.body = { views: data.views }
})

router.post('/login/:name', async (ctx) => {
  await ctx.state.session.signIn(ctx.params['name'] ?? '') // after the password was checked
  ctx.status = 204
})

router.post('/logout', async (ctx) => {
  await ctx.state.session.destroy()
  ctx.status = 204
})

app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => log.info(`http://localhost:${port}`))
