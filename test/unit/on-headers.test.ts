import { createServer, get, IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createServer2, type IncomingHttpHeaders } from 'node:http2'
import { Socket, type AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { inspect } from 'node:util'
import onHeadersPackage from 'on-headers'
import { onHeaders, type Header, type HeaderSource } from '../../src/cookie/on-headers.ts'
import { http2Client } from '../support/app.ts'

const OURS = 'sid=ours; Path=/'

interface Answer {
  readonly status: number
  readonly setCookie: readonly string[]
  readonly vary: string | null
  readonly cacheControl: string | null
  readonly headers: Headers
  readonly asked: number
}

/** Calls it with any arguments, as JavaScript may. */
function writeHead(response: ServerResponse, args: unknown[]): unknown {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is applied to its own response
  return Reflect.apply(response.writeHead, response, args) as unknown
}

function cookies(...lines: string[]): Header[] {
  return lines.map((line) => ['Set-Cookie', line])
}

function source(answers: Partial<HeaderSource>): HeaderSource {
  return {
    isConsulted: false,
    isOver: false,
    dueHeaders: () => [],
    onSent: () => undefined,
    ...answers,
  }
}

/** The answer of a handler whose response has a source of ours; `line` is our cookie, `null` for none. */
async function answered(
  t: ExecutionContext,
  handler: (response: ServerResponse) => void,
  line: string | null = OURS,
  isConsulted = true,
): Promise<Answer> {
  let asked = 0
  const server = createServer((_request, response) => {
    onHeaders(response, source({ isConsulted, dueHeaders: () => (asked++, line === null ? [] : cookies(line)) }))
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
  ['no-cache="a, private, b"', 'no-store'],
  ['no-cache="a\\", private, b", max-age=60', 'no-store'],
  ['ext="a, no-store, b', 'no-store'],
  ['ext="a, no-store, \\', 'no-store'],
  ['no-cache="a", private', 'no-cache="a", private'],
  ['ext="a, b\\\\", no-store, ext="c"', 'ext="a, b\\\\", no-store, ext="c"'],
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

test('two sources are both asked, in the order in which they were', async (t) => {
  const server = createServer((_request, response) => {
    onHeaders(response, source({ dueHeaders: () => cookies('outer=1') }))
    onHeaders(response, source({ dueHeaders: () => cookies('inner=1') }))
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
    onHeaders(response as unknown as ServerResponse, source({ isConsulted: true, dueHeaders: () => cookies(OURS) }))
    response.setHeader('Set-Cookie', APP)
    response.end('body')
  })
  const client = await http2Client(t, server)
  const headers = await new Promise<IncomingHttpHeaders>((resolve) =>
    client.request({ ':path': '/' }).once('response', resolve),
  )

  t.like(headers, { 'set-cookie': [APP, OURS], vary: 'Cookie', 'cache-control': 'no-store' })
})

/** The answer of a handler, with the raw lines of each header in the order in which they came. */
async function raw(
  t: ExecutionContext,
  handler: (response: ServerResponse) => void | Promise<void>,
): Promise<[string, string][]> {
  const server = createServer((_request, response) => void handler(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const lines = await new Promise<string[]>((resolve, reject) =>
    get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }, (answer) => {
      answer.resume()
      resolve(answer.rawHeaders)
    }).once('error', reject),
  )
  return lines.flatMap((name, at) =>
    at % 2 === 0 ? [[name.toLowerCase(), lines[at + 1] ?? ''] as [string, string]] : [],
  )
}

const valuesOf = (lines: readonly [string, string][], name: string) =>
  lines.filter(([each]) => each === name).map(([, value]) => value)

const ours = source({ isConsulted: true, dueHeaders: () => cookies(OURS) })

// ---- each form of writeHead means what it means in Node

const given = { 'X-Mine': 'yes', 'Set-Cookie': APP }
const forms: Record<string, unknown[]> = {
  '(status, headers)': [201, given],
  '(status, headers, undefined)': [201, given, undefined],
  '(status, undefined, headers)': [201, undefined, given],
  '(status, null, headers)': [201, null, given],
  '(status, other headers, headers)': [201, { 'X-Mine': 'no' }, given],
  '(status, message, headers)': [201, 'Fine', given],
  '(status, flat list)': [201, ['X-Mine', 'yes', 'Set-Cookie', APP]],
  '(status, flat list with a list for a value)': [201, ['X-Mine', 'yes', 'set-cookie', [APP]]],
  '(status, headers in two cases)': [201, { ...given, 'set-cookie': ['b=2'] }],
}

for (const [form, args] of Object.entries(forms)) {
  test(`writeHead${form} sends what it sends in Node, and ours beside it`, async (t) => {
    const write = (response: ServerResponse): void => {
      writeHead(response, args)
      response.end()
    }
    const plain = await raw(t, write)
    const withOurs = await raw(t, (response) => {
      onHeaders(response, ours)
      write(response)
    })

    t.deepEqual(valuesOf(withOurs, 'x-mine'), valuesOf(plain, 'x-mine'))
    t.deepEqual(valuesOf(withOurs, 'set-cookie'), [...valuesOf(plain, 'set-cookie'), OURS])
  })
}

test('names of headers that objects have as members are as good as others', async (t) => {
  const lines = await raw(t, (response) => {
    onHeaders(response, ours)
    response.writeHead(200, ['constructor', 'a', 'toString', 'b', '__proto__', 'c', 'hasOwnProperty', 'd']).end()
  })

  t.deepEqual(
    ['constructor', 'tostring', '__proto__', 'hasownproperty'].flatMap((name) => valuesOf(lines, name)),
    ['a', 'b', 'c', 'd'],
  )
  t.deepEqual(valuesOf(lines, 'set-cookie'), [OURS])
})

const codeOf = (error: unknown): unknown => (error as { code?: string }).code

const refusals: Record<string, unknown[]> = {
  'a name with a space': [200, { 'bad name': 'x' }],
  'an empty name in a list': [200, ['', 'x']],
  'a name that is no text': [200, [5, 'x']],
  'a list of odd length': [200, ['X-Mine']],
  'a value with a line end': [200, { 'X-Mine': 'a\nb' }],
  'an undefined value': [200, { 'Set-Cookie': undefined }],
  'a status of four digits': [2000, { 'X-Mine': 'a' }],
}

for (const [what, args] of Object.entries(refusals)) {
  test(`a head refused for ${what} is Node's own error, and the one that follows has our newest cookie once`, async (t) => {
    let tries = 0
    let sent = 0
    const changing = source({
      dueHeaders: () => [
        ...cookies(`sid=ours; Max-Age=${100 - tries++}`),
        ['Clear-Site-Data', `"cache", "try ${tries}"`],
      ],
      onSent: () => (sent += 1),
    })
    const own: unknown[] = []
    await raw(t, (response) => {
      own.push(codeOf(t.throws(() => writeHead(response, args))))
      response.removeHeader('x-mine')
      response.writeHead(500).end()
    })
    // Where a header was set before, as ours is, Node has other codes for some of them, and passes over others.
    await raw(t, (response) => {
      response.setHeader('X-Before', '1')
      try {
        writeHead(response, args)
      } catch (error) {
        own.push(codeOf(error))
        response.removeHeader('x-mine')
        response.writeHead(500)
      }
      response.end()
    })
    const lines = await raw(t, (response) => {
      onHeaders(response, changing)
      const error: unknown = t.throws(() => writeHead(response, args))
      t.true(own.includes(codeOf(error)))
      t.is(sent, 0)
      response.writeHead(500).end()
    })

    t.deepEqual(valuesOf(lines, 'set-cookie'), [`sid=ours; Max-Age=${101 - tries}`])
    t.deepEqual(valuesOf(lines, 'clear-site-data'), [`"cache", "try ${tries}"`])
    t.is(sent, 1)
  })
}

test('a head that was refused, after which nothing is due any more, leaves no cookie of ours', async (t) => {
  let isDue = true
  const lines = await raw(t, (response) => {
    onHeaders(response, source({ dueHeaders: () => (isDue ? cookies(OURS) : []) }))
    response.setHeader('Set-Cookie', APP)
    t.throws(() => response.writeHead(200, { 'bad name': 'x' }))
    isDue = false
    response.writeHead(500).end()
  })

  t.deepEqual(valuesOf(lines, 'set-cookie'), [APP])
})

// ---- others that wait for the same moment

const meddlers: Record<string, (response: ServerResponse) => void> = {
  'sets a cookie over ours': (response) => response.setHeader('Set-Cookie', APP),
  'appends a cookie': (response) => response.appendHeader('Set-Cookie', APP),
  'takes all cookies away, then sets its own': (response) => {
    response.removeHeader('Set-Cookie')
    response.setHeader('set-cookie', [APP])
  },
  'sets all of its headers at once': (response) =>
    response.setHeaders(
      new Map([
        ['set-cookie', APP],
        ['cache-control', 'public'],
      ]),
    ),
}

for (const [what, meddle] of Object.entries(meddlers)) {
  for (const order of ['before', 'after']) {
    test(`a listener of on-headers that was added ${order} us and ${what} leaves our cookie, Vary and no-store in place`, async (t) => {
      const listener = function (this: ServerResponse): void {
        meddle(this)
        this.setHeader('Cache-Control', 'public, max-age=60')
        this.setHeader('CDN-Cache-Control', 'max-age=60')
        this.setHeader('Vary', 'Accept')
      }
      const lines = await raw(t, (response) => {
        if (order === 'before') onHeadersPackage(response, listener)
        onHeaders(response, ours)
        if (order === 'after') onHeadersPackage(response, listener)
        response.writeHead(200, { 'X-Mine': 'yes' })
        for (const name of ['setHeader', 'removeHeader', 'appendHeader', 'setHeaders'])
          t.false(Object.hasOwn(response, name), 'nothing of ours stays on the response')
        response.end()
      })

      t.deepEqual(valuesOf(lines, 'set-cookie').sort(), [APP, OURS])
      t.deepEqual(valuesOf(lines, 'cache-control'), ['no-store'])
      t.deepEqual(valuesOf(lines, 'cdn-cache-control'), ['no-store'])
      t.deepEqual(valuesOf(lines, 'vary'), ['Accept, Cookie'])
      t.deepEqual(valuesOf(lines, 'x-mine'), ['yes'])
    })
  }
}

test('listeners of on-headers around two sources are each called once', async (t) => {
  const called: string[] = []
  const lines = await raw(t, (response) => {
    for (const name of ['one', 'two', 'three']) {
      onHeadersPackage(response, () => void called.push(name))
      onHeaders(response, source({ dueHeaders: () => cookies(`${name}=1`) }))
    }
    response.end()
  })

  t.deepEqual(called.sort(), ['one', 'three', 'two'])
  t.deepEqual(valuesOf(lines, 'set-cookie').sort(), ['one=1', 'three=1', 'two=1'])
})

// ---- caches

const TARGETED = [
  'CDN-Cache-Control',
  'Surrogate-Control',
  'Cloudflare-CDN-Cache-Control',
  'Vercel-CDN-Cache-Control',
  'Netlify-CDN-Cache-Control',
  'Akamai-Cache-Control',
  'Edge-Control',
]

for (const name of TARGETED) {
  test(`${name} becomes no-store beside our cookie, however it is set, and is the app's without`, async (t) => {
    const set: Record<string, (response: ServerResponse) => void> = {
      setHeader: (response) => response.setHeader(name, 'max-age=60').writeHead(200).end(),
      writeHead: (response) => response.writeHead(200, { [name]: 'max-age=60' }).end(),
      list: (response) => response.writeHead(200, [name, 'max-age=60', name, 'public']).end(),
    }
    for (const [way, handler] of Object.entries(set)) {
      t.is((await answered(t, handler)).headers.get(name), 'no-store', way)
      t.regex((await answered(t, handler, null)).headers.get(name) ?? '', /^max-age=60/, way)
    }
  })
}

// ---- what else a source says

test('sources that say nothing change nothing', async (t) => {
  const silent = [source({}), source({}), source({})]
  const lines = await raw(t, (response) => {
    for (const each of silent) onHeaders(response, each)
    response.writeHead(200, { 'Cache-Control': 'public' }).end()
  })

  t.deepEqual(
    ['vary', 'set-cookie', 'cache-control'].map((name) => valuesOf(lines, name)),
    [[], [], ['public']],
  )
})

test('several cookies and other headers of ours leave together, beside those of the app', async (t) => {
  let sent = 0
  const two = ['sid=ours', 'sid-bound=ours']
  const lines = await raw(t, (response) => {
    onHeaders(
      response,
      source({
        dueHeaders: () => [
          ...cookies(...two),
          ['Secure-Session-Registration', '(ES256)'],
          ['Clear-Site-Data', '"cache"'],
        ],
        onSent: () => (sent += 1),
      }),
    )
    response.setHeader('Set-Cookie', APP)
    t.is(sent, 0)
    response.writeHead(200, { 'clear-site-data': '"storage"' })
    t.is(sent, 1)
    response.end()
  })

  t.deepEqual(valuesOf(lines, 'set-cookie'), [APP, ...two])
  t.deepEqual(valuesOf(lines, 'secure-session-registration'), ['(ES256)'])
  t.deepEqual(valuesOf(lines, 'clear-site-data'), ['"storage"', '"cache"'])
})

test('a source that throws fails one head: the answer that follows leaves without ours', async (t) => {
  const lines = await raw(t, (response) => {
    onHeaders(
      response,
      source({
        dueHeaders: () => {
          throw new Error('no cookie')
        },
      }),
    )
    t.throws(() => response.writeHead(200), { message: 'no cookie' })
    response.writeHead(500).end()
  })

  t.deepEqual(valuesOf(lines, 'set-cookie'), [])
})

test('printing a response at any depth shows nothing of the source', (t) => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  onHeaders(response, Object.assign(source({}), { data: { note: 'PRIVATE-NOTE' } }))
  for (const depth of [0, 2, 5, Infinity])
    t.false(inspect(response, { depth, showHidden: true, getters: true }).includes('PRIVATE-NOTE'))
  t.false(JSON.stringify(Object.values(response).filter((value) => typeof value !== 'object')).includes('PRIVATE-NOTE'))
})
