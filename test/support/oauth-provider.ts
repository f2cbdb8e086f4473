// An OAuth 2 provider on loopback with one user, who is signed in without being asked.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { Answer, Browser } from './app.ts'

export interface Provider {
  readonly url: string
  /** Follows a redirect to the provider and the provider's redirect back, as that browser. */
  readonly visit: (browser: Browser, answer: Answer) => Promise<Answer>
  /** The provider's redirect back, as path and query, not followed yet. */
  readonly consent: (answer: Answer) => Promise<string>
}

/** Runs until the test ends. `tokenSize`: how long its access tokens are. */
export async function oauthProvider(t: ExecutionContext, tokenSize = 20): Promise<Provider> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://provider')
    if (pathname === '/authorize') {
      const back = new URL(searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('code', 'a-code')
      back.searchParams.set('state', searchParams.get('state') ?? '')
      response.writeHead(302, { location: back.href }).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(
        pathname === '/token' ? { access_token: 'x'.repeat(tokenSize), token_type: 'bearer' } : { login: 'ada' },
      ),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const consent = async (answer: Answer): Promise<string> => {
    const response = await fetch(answer.headers.get('location') ?? '', { redirect: 'manual' })
    const { pathname, search } = new URL(response.headers.get('location') ?? '')
    return pathname + search
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    consent,
    visit: async (browser, answer) => browser.get(await consent(answer)),
  }
}
