// Earlier releases of this package, as they were built: archives made by scripts/release-archive.js. The tests of deploys run
// them beside the current source, over the same clients.
import { execFileSync } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { temporaryFolder } from './service.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The release before the current one. */
export const PREVIOUS = '0.1.0'

/** The entry points of a version, as addresses to import. */
export interface Entries {
  readonly version: string
  readonly index: string
  readonly redis: string
  readonly postgres: string
  readonly sqlite: string
  readonly adapters: string
  readonly migrate: string
}

function entriesIn(folder: string, extension: 'js' | 'ts', version: string): Entries {
  const at = (file: string): string => pathToFileURL(join(folder, `${file}.${extension}`)).href
  return {
    version,
    index: at('index'),
    redis: at('stores/redis'),
    postgres: at('stores/postgres'),
    sqlite: at('stores/sqlite'),
    adapters: at('adapters/index'),
    migrate: at('migrate'),
  }
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }

/** The source of this checkout. */
export const current: Entries = entriesIn(join(ROOT, 'src'), 'ts', version)

/** The output of `npm run build` in this checkout. */
export const built: Entries = entriesIn(join(ROOT, 'dist'), 'js', version)

/** Unpacks a release. Its dependencies are those of this checkout. */
export function release(version: string): Entries {
  const folder = temporaryFolder()
  const archive = fileURLToPath(new URL(`releases/koa-fastsession-${version}.tar.gz`, import.meta.url))
  execFileSync('tar', ['-xzf', archive, '-C', folder])
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
  return entriesIn(join(folder, 'package', 'dist'), 'js', version)
}
