import { createServer, type ServerResponse } from 'node:http'
import { createServer as createServer2, connect, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { arm } from '../src/cookie/on-headers.ts'

const OURS = 'sid=ours; Path=/'

interface Answer {
  readonly status: number
  readonly setCookie: readonly string[]
  readonly vary: string | null
  readonly cacheControl: string | null
  readonly headers: Headers
  readonly asked: number
}

/** The answer of a handler whose response is armed first; `line` is our cookie, `null` for none. */
async function answered(
  t: ExecutionContext,
  handler: (response: ServerResponse) => void,
  line: string | null = OURS,
  isConsulted = true,
): Promise<Answer> {
  let asked = 0
  const server = createServer((_request, response) => {
    arm(response, { isConsulted, setCookieLine: () => (asked++, line ?? undefined) })
    handler(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { status, headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return {
    status,
    setCookie: headers.getSetCookie(),
    vary: headers.get('vary'),
    cacheControl: headers.get('cache-control'),
    headers,
    asked,
  }
}

const ways: Record<string, (response: ServerResponse) => void> = {
  'by end': (response) => response.end('body'),
  'by write': (response) => {
    response.write('bo')
    response.end('dy')
  },
  'by writeHead': (response) => response.writeHead(200).end(),
  'by writeHead with a message': (response) => response.writeHead(200, 'Fine').end(),
  'by writeHead with no headers': (response) => response.writeHead(200, 'Fine', undefined).end(),
  'by flushHeaders': (response) => {
    response.flushHeaders()
    response.end()
  },
}

for (const [way, handler] of Object.entries(ways)) {
  test(`headers that leave ${way} carry the cookie once, Vary and no-store`, async (t) => {
    t.like(await answered(t, handler), {
      status: 200,
      setCookie: [OURS],
      vary: 'Cookie',
      cacheControl: 'no-store',
      asked: 1,
    })
  })
}

const APP = 'app=1; Path=/'
const beside: Record<string, (response: ServerResponse) => void> = {
  'by setHeader': (response) => response.setHeader('Set-Cookie', APP).end(),
  'by setHeader as a list': (response) => response.setHeader('set-cookie', [APP]).end(),
  'by writeHead': (response) => response.writeHead(200, { 'Set-Cookie': APP, 'X-Mine': 'yes' }).end(),
  'by writeHead as a list': (response) =>
    response.writeHead(200, 'Fine', { 'set-cookie': [APP], 'X-Mine': 'yes' }).end(),
  'by writeHead as flat names and values': (response) =>
    response.writeHead(200, ['Set-Cookie', APP, 'X-Mine', 'yes']).end(),
  'by writeHead as pairs': (response) =>
    response
      .writeHead(200, [
        ['Set-Cookie', APP],
        ['X-Mine', 'yes'],
      ] as unknown as string[])
      .end(),
}

for (const [way, handler] of Object.entries(beside)) {
  test(`a cookie of the app given ${way} stays beside ours`, async (t) => {
    const { setCookie, headers } = await answered(t, handler)

    t.deepEqual(setCookie, [APP, OURS])
    if (way.includes('writeHead')) t.is(headers.get('x-mine'), 'yes')
  })
}

test('several cookies of the app keep their order before ours', async (t) => {
  const { setCookie } = await answered(t, (response) =>
    response.writeHead(200, ['Set-Cookie', 'a=1', 'X-Mine', '1', 'set-cookie', 'b=2']).end(),
  )

  t.deepEqual(setCookie, ['a=1', 'b=2', OURS])
})

test('several headers of one name given to writeHead as a flat list are all sent', async (t) => {
  const { headers } = await answered(t, (response) => response.writeHead(200, ['X-Mine', '1', 'X-Mine', '2']).end())

  t.is(headers.get('x-mine'), '1, 2')
})

test('headers given to writeHead replace those set before, as ever in Node', async (t) => {
  const { setCookie, headers } = await answered(t, (response) => {
    response.setHeader('Set-Cookie', 'old=1')
    response.setHeader('X-Mine', 'old')
    response.writeHead(200, { 'Set-Cookie': APP, 'X-Mine': 'new' }).end()
  })

  t.deepEqual(setCookie, [APP, OURS])
  t.is(headers.get('x-mine'), 'new')
})

const varied: readonly [given: string | string[] | undefined, sent: string][] = [
  [undefined, 'Cookie'],
  ['Accept', 'Accept, Cookie'],
  [['Accept', 'Origin'], 'Accept, Origin, Cookie'],
  ['cookie', 'cookie'],
  ['Accept, Cookie', 'Accept, Cookie'],
  ['Cookie-Consent', 'Cookie-Consent, Cookie'],
  ['*', '*'],
  ['Accept, *', 'Accept, *'],
]

for (const [given, sent] of varied) {
  test(`Vary ${JSON.stringify(given)} becomes ${sent}, however it is set`, async (t) => {
    const set = (response: ServerResponse): void => {
      if (given !== undefined) response.setHeader('Vary', given)
      response.end()
    }

    t.is((await answered(t, set)).vary, sent)
    t.is((await answered(t, set, null)).vary, sent)
    if (typeof given === 'string')
      t.is((await answered(t, (response) => response.writeHead(200, { vary: given }).end())).vary, sent)
  })
}

test('a cookie varies the response even where no handler looked at the session', async (t) => {
  t.like(await answered(t, (response) => response.end(), OURS, false), { vary: 'Cookie', setCookie: [OURS] })
})

test('without a cookie, and where nobody looked, nothing is added', async (t) => {
  t.like(await answered(t, (response) => response.end(), null, false), {
    vary: null,
    cacheControl: null,
    setCookie: [],
  })
})

const cached: readonly [given: string, sent: string][] = [
  ['public, max-age=60', 'no-store'],
  ['max-age=60', 'no-store'],
  ['no-cache', 'no-store'],
  ['s-maxage=5, immutable', 'no-store'],
  ['private="Set-Cookie", max-age=60', 'no-store'],
  ['x-private', 'no-store'],
  ['private', 'private'],
  ['max-age=60, Private', 'max-age=60, Private'],
  ['no-store', 'no-store'],
  ['private,max-age=60', 'private,max-age=60'],
]

for (const [given, sent] of cached) {
  test(`with our cookie, Cache-Control ${given} becomes ${sent}`, async (t) => {
    t.is((await answered(t, (response) => response.setHeader('Cache-Control', given).end())).cacheControl, sent)
    t.is(
      (await answered(t, (response) => response.writeHead(200, { 'cache-control': given }).end())).cacheControl,
      sent,
    )
  })
}

test("without our cookie, Cache-Control is the app's", async (t) => {
  t.like(await answered(t, (response) => response.setHeader('Cache-Control', 'public, max-age=60').end(), null), {
    cacheControl: 'public, max-age=60',
    vary: 'Cookie',
  })
})

test('two that are armed are both asked, in the order in which they were', async (t) => {
  const server = createServer((_request, response) => {
    arm(response, { isConsulted: false, setCookieLine: () => 'outer=1' })
    arm(response, { isConsulted: false, setCookieLine: () => 'inner=1' })
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)

  t.deepEqual(headers.getSetCookie().sort(), ['inner=1', 'outer=1'])
  t.is(headers.get('vary'), 'Cookie')
})

test("writing the head a second time is Node's own error", async (t) => {
  const { setCookie } = await answered(t, (response) => {
    response.writeHead(200)
    t.throws(() => response.writeHead(200), { code: 'ERR_HTTP_HEADERS_SENT' })
    response.end()
  })

  t.deepEqual(setCookie, [OURS])
})

test('headers that Node refuses have not left: the cookie goes out with the answer that follows', async (t) => {
  const { setCookie } = await answered(t, (response) => {
    try {
      response.writeHead(200, { 'X-Mine': 'no\nheader' })
    } catch {
      for (const name of response.getHeaderNames()) response.removeHeader(name)
      response.statusCode = 500
      response.end()
    }
  })

  t.deepEqual(setCookie, [OURS])
})

test('a response over HTTP/2 carries all of it too', async (t) => {
  const server = createServer2((_request, response) => {
    arm(response as unknown as ServerResponse, { isConsulted: true, setCookieLine: () => OURS })
    response.setHeader('Set-Cookie', APP)
    response.end('body')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  const headers = await new Promise<IncomingHttpHeaders>((resolve) =>
    client.request({ ':path': '/' }).once('response', resolve),
  )

  t.like(headers, { 'set-cookie': [APP, OURS], vary: 'Cookie', 'cache-control': 'no-store' })
})
