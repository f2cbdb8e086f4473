// The Chromium of this machine, for tests that need a real browser. It has no network but loopback.
import { chromium, type Browser } from 'playwright-core'
import { missing, program } from './service.ts'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Names for scenes of several sites; nothing else is found.
  '--host-resolver-rules=MAP *.test 127.0.0.1, MAP localhost 127.0.0.1, EXCLUDE 127.0.0.1, MAP * ~NOTFOUND',
]

/** `undefined`, loudly, where there is none. */
export async function startChromium(): Promise<Browser | undefined> {
  const path = program(['chromium', 'chromium-browser', 'google-chrome'])
  if (path === undefined) {
    missing('chromium', 'apt-get install chromium')
    return undefined
  }
  return chromium.launch({ executablePath: path, args: FLAGS })
}
