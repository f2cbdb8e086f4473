// A tracer that prints each span as it ends: --import it before a program that makes spans.
import { trace } from '@opentelemetry/api'

const noSpan = trace.wrapSpanContext({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 })

trace.setGlobalTracerProvider({
  getTracer: () => ({
    startSpan(name, { attributes = {} } = {}) {
      const span = Object.create(noSpan)
      span.end = () => console.log(`span ${name} ${JSON.stringify(attributes)}`)
      return span
    },
    startActiveSpan() {
      throw new Error('not needed')
    },
  }),
})
