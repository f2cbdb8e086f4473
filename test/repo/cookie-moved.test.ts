// What docs/production.md says of a cookie whose name, path or domain is changed while sessions live.
import { readFileSync } from 'node:fs'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { MemoryStore, session, type CookieOptions } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { ROOT } from '../support/consumer.ts'

function requestWith(cookie: string): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  request.headers.cookie = cookie
  return request
}

const page = readFileSync(join(ROOT, 'docs/production.md'), 'utf8')
const changed: Readonly<Record<string, CookieOptions>> = {
  name: { name: 'other' },
  path: { path: '/app' },
  domain: { domain: 'shop.example' },
}

for (const [attribute, cookie] of Object.entries(changed))
  test(`the table says whether users sign in again where cookie.${attribute} changes`, async (t) => {
    const store = new MemoryStore()
    const keys = ['a secret of more than sixteen characters']
    const old = await sessionCookie(session({ keys, store }), { n: 1 })
    const goesOn = await session({ keys, store, cookie }).run(requestWith(old), ({ isNew }) => !isNew)
    const row = page.split('\n').find((line) => new RegExp(`^\\|[^|]*\`(?:cookie\\.)?${attribute}\``).test(line)) ?? ''

    t.is(row.includes('the old cookie is no longer found: users sign in again'), !goesOn, row)
  })
