// The Chromium of this machine, for tests that need a real browser. It has no network but loopback.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext } from 'playwright-core'
import { missing, program, temporaryFolder } from './service.ts'

/** The arguments of every Chromium that a test starts. */
export const QUIET: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

// Host names for tests with several sites. No other name resolves.
const HOSTS = '--host-resolver-rules=MAP *.test 127.0.0.1, MAP localhost 127.0.0.1, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND'
const FLAGS = [...QUIET, HOSTS]

/** Reports it and returns `undefined` if there is none. */
export async function startChromium(): Promise<Browser | undefined> {
  const path = chromiumPath()
  return path === undefined ? undefined : chromium.launch({ executablePath: path, args: FLAGS })
}

/** The same, with a profile like a user's: third-party cookies are sent as far as browsers allow. */
export async function startChromiumProfile(): Promise<BrowserContext | undefined> {
  const executablePath = chromiumPath()
  if (executablePath === undefined) return undefined
  const profile = mkdtempSync(join(temporaryFolder(), 'chromium-'))
  mkdirSync(join(profile, 'Default'))
  const preferences = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences))
  return chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, ignoreHTTPSErrors: true })
}

/** Reports it and returns `undefined` if there is none. */
export function chromiumPath(): string | undefined {
  const path = program(['chromium', 'chromium-browser', 'google-chrome'])
  if (path === undefined) missing('chromium', 'apt-get install chromium')
  return path
}
