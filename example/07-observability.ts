// What sessions do, as OpenTelemetry metrics and pino logs: never an id, a signature or data.
//
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/login/ada
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/logout
//   curl -b sid=forged http://127.0.0.1:18080/
//   curl http://127.0.0.1:18080/metrics
import { subscribe } from 'node:diagnostics_channel'
import { metrics, type Attributes } from '@opentelemetry/api'
import { DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import Koa from 'koa'
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

/** One line for each series, as Prometheus reads them. */
async function exposition(): Promise<string> {
  const { resourceMetrics } = await reader.collect()
  const lines: string[] = []
  for (const { descriptor, dataPointType, dataPoints } of resourceMetrics.scopeMetrics.flatMap(
    (scope) => scope.metrics,
  )) {
    if (dataPointType !== DataPointType.SUM) continue
    for (const { attributes, value } of dataPoints) {
      const labels = Object.entries(attributes).map(([name, text]) => `${name}=${JSON.stringify(text)}`)
      lines.push(`${descriptor.name.replaceAll('.', '_')}_total{${labels.join(',')}} ${value}\n`)
    }
  }
  return lines.join('')
}

// ---- what the sessions of this process tell

const log = pino({ base: null }) // JSON lines on stdout
const events = metrics.getMeter('koa-fastsession').createCounter('session.events', { description: 'What sessions did' })

const NAMES = [
  'create',
  'resume',
  'reject',
  'commit',
  'conflict',
  'gone',
  'regenerate',
  'destroy',
  'store-error',
] as const
const AUDITED: readonly string[] = ['create', 'reject', 'gone', 'regenerate', 'destroy']

for (const event of NAMES) {
  subscribe(`koa-fastsession:${event}`, (message) => {
    const { publicId, previousPublicId, reason, operation } = message as EventMessage
    // A public id is one of many: it belongs into logs, and would break metrics.
    const attributes: Attributes = { event }
    if (reason !== undefined) attributes['reason'] = reason
    if (operation !== undefined) attributes['operation'] = operation
    events.add(1, attributes)
    if (AUDITED.includes(event)) log.info({ event, publicId, previousPublicId, reason }, 'session')
  })
}

// ---- the app

const app = new Koa()
const router = new Router<SessionState<{ views?: number }>>()

// Before session(): whoever reads the metrics has no session.
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
    logger: log.child({ part: 'session' }, { level: 'warn' }), // safety notices, merged conflicts, outages of the store
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
