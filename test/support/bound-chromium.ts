// Debian's Chromium with device-bound sessions over software keys: it runs the whole protocol without a network. It is spawned
// here and connected over CDP, because Playwright's own flags interfere. `isKnown: false` leaves the two features out.
import { spawn } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { chromium, type Browser, type BrowserContext } from 'playwright-core'
import { chromiumPath, QUIET } from './chromium.ts'
import { endWithUs, temporaryFolder } from './service.ts'

export interface BoundChromium {
  readonly browser: Browser
  close(): Promise<void>
}

/** Resolves once the browser has a bound cookie of that host. */
export async function boundCookie(context: BrowserContext, host: string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const cookies = await context.cookies()
    if (cookies.some(({ name, domain }) => name.endsWith('-bound') && domain === host)) return
    await pause(20)
  }
  throw new Error(`the browser keeps no bound cookie of ${host}`)
}

/** Makes a self-signed certificate valid by its key. Ignoring certificate errors instead would silently disable the protocol. */
function fingerprintOf(cert: string): string {
  const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64')
}

/** Reports it and returns `undefined` if there is no Chromium. */
export async function startBoundChromium(cert: string, isKnown: boolean): Promise<BoundChromium | undefined> {
  const path = chromiumPath()
  if (path === undefined) return undefined
  const profile = mkdtempSync(join(temporaryFolder(), 'chromium-'))
  const features = 'EnableBoundSessionCredentialsSoftwareKeysForManualTesting,DeviceBoundSessions'
  const process = spawn(
    path,
    [
      '--headless=new',
      ...QUIET,
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      `--ignore-certificate-errors-spki-list=${fingerprintOf(cert)}`,
      '--host-resolver-rules=MAP *.example 127.0.0.1, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND',
      isKnown ? `--enable-features=${features}` : '--disable-features=DeviceBoundSessions',
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  endWithUs(process)
  const over = new Promise<void>((resolve) => process.once('exit', () => resolve()))
  const endpoint = await new Promise<string>((resolve, reject) => {
    let said = ''
    process.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const found = /DevTools listening on (ws:\S+)/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    process.once('error', reject)
    process.once('exit', () => reject(new Error(`Chromium ended: ${said}`)))
  })
  const browser = await chromium.connectOverCDP(endpoint)
  return {
    browser,
    async close() {
      // Over CDP, close() would only disconnect.
      const session = await browser.newBrowserCDPSession()
      await session.send('Browser.close').catch(() => process.kill())
      await over
    },
  }
}
