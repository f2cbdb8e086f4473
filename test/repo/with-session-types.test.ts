// What withSession() knows of data, in a program that says once what its sessions hold: SessionData reaches every file of it.
import test from 'ava'
import { consumer } from '../support/consumer.ts'

const project = await consumer(['@types/koa', '@types/node', 'keygrip', 'koa'])

test('withSession() knows the data that it is given, and what sessions may hold besides', async (t) => {
  t.timeout(60_000)
  project.write({
    'cart.test.mts': `
      import { currentSession, type SessionManager } from 'koa-fastsession'
      import { withSession } from 'koa-fastsession/testing'

      declare module 'koa-fastsession' {
        interface SessionData {
          userId: string
          cart?: string[]
          visits?: number
        }
      }

      const add = (item: string): number => (currentSession().data.cart ??= []).push(item)

      export const empty: Promise<string[] | undefined> = withSession({}, ({ data }) => (add('pen'), data.cart))
      export const counted: Promise<number> = withSession({ cart: ['book'] }, ({ data }) => (data.visits = data.cart.length))
      // What it is given has its own type, also where SessionData has another.
      export const other: Promise<string> = withSession<string, { visits: string }>({ visits: 'many' }, ({ data }) => data.visits)
      export const emptied: Promise<void> = withSession({ cart: ['book'] }, (session) => {
        session.data = { cart: [] }
      })
      const length = ({ data }: SessionManager<{ cart: string[] }>): number => data.cart.length
      export const declared: Promise<number> = withSession<number, { cart: string[] }>({ cart: ['book'] }, length)
      // @ts-expect-error -- nothing has put it there
      export const owner: Promise<string> = withSession({ cart: ['book'] }, ({ data }) => data.userId)
      // @ts-expect-error -- no session holds it
      void withSession({}, ({ data }) => data.basket)
    `,
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        target: 'ES2022',
        module: 'NodeNext',
        strict: true,
        types: ['node'],
        noEmit: true,
        skipLibCheck: true,
      },
      files: ['cart.test.mts'],
    }),
  })

  t.like(await project.tsc(), { code: 0, stdout: '' })
})
