// What the channel of sign-ins says where data names the owner, as with koa-passport.
import test from 'ava'
import { hear, keyIn, mounted } from '../support/mounted.ts'

for (const way of ['one step', 'a regenerate before it, as koa-passport logs in'])
  test.serial(`a sign-in by data names the public id that the session had until then, with ${way}`, async (t) => {
    const app = await mounted(
      t,
      { logger: {}, owner: ({ name }) => name },
      {
        '/visit': ({ data }) => void (data.n = 1),
        '/in': async (session) => {
          if (way !== 'one step') await session.regenerate({ keep: false })
          session.data.name = 'ada'
        },
      },
    )
    const browser = app.browser()
    const previousPublicId = keyIn((await browser.get('/visit')).setCookie[0])
    const heard = hear(t, 'sign-in')
    const publicId = keyIn((await browser.get('/in')).setCookie[0])

    t.deepEqual(heard, [['sign-in', { publicId, previousPublicId, owner: 'ada' }]])
  })
