// The snippets of the pages work together: what one declares fits what another takes.
import test from 'ava'
import { consumer } from '../support/consumer.ts'
import { textOf } from '../support/readme.ts'

test('a function that takes any middleware, as docs/typescript.md shows it, takes one of other data where SessionData is extended', async (t) => {
  t.timeout(120_000)
  const project = await consumer(['@types/koa', '@types/node', '@types/ws', 'keygrip', 'koa', 'ws', 'zod'])
  const names = ['session-data.ts', 'cart.ts', 'admin.ts', 'live.ts', 'passport.ts', 'embedded.ts', 'visitor-schema.ts']
  project.write({
    ...Object.fromEntries(names.map((name) => [name, textOf(name)])),
    'combined.ts': `
      import type { Server } from 'node:http'
      import { countSessions } from './admin.ts'
      import { sessions as embedded } from './embedded.ts'
      import { live } from './live.ts'
      import { sessions as passport } from './passport.ts'
      import { sessions as visitors } from './visitor-schema.ts'

      export const counted = [countSessions(passport), countSessions(embedded), countSessions(visitors)]
      export function open(server: Server): void {
        live(server, passport)
        live(server, embedded)
        live(server, visitors)
      }
    `,
    'package.json': JSON.stringify({ type: 'module' }),
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'NodeNext',
        target: 'ES2022',
        strict: true,
        types: ['node'],
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        noEmit: true,
      },
      include: ['*.ts'],
    }),
  })

  const { stdout } = await project.tsc()

  t.is(stdout, '')
})
