// Reading the id of a new session keeps it; where its cookie cannot be sent, that is told as any other change is.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test from 'ava'
import { KEYS } from '../support/app.ts'
import { mounted, type Session } from '../support/mounted.ts'

const HEADERS_SENT = { code: 'ERR_SESSION_HEADERS_SENT' }
const request = (): IncomingMessage => new IncomingMessage(new Socket())

for (const lazy of [true, false]) {
  test(`run() gives out no id of a session that is not stored in silence, lazy: ${lazy}`, async (t) => {
    const { middleware, store } = await mounted(t, { keys: [...KEYS], lazy }, {})
    for (const read of [({ id }: Session) => id, (session: Session) => session.getSessionId()])
      await t.throwsAsync(middleware.run(request(), read), HEADERS_SENT)

    t.is(await middleware.run(request(), ({ publicId }) => publicId.length), 43)
    t.is(await middleware.run(request(), ({ origin }) => origin), 'new')
    t.is(await middleware.run(request(), (session) => session.update(() => 'nothing')), 'nothing')
    t.deepEqual(store.counted(), {})
  })
}
