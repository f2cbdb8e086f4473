// A user's project: the package as npm packs it, and modules that are installed in this project. No network.
import { execFile } from 'node:child_process'
import { accessSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from './service.ts'

/** The folder of this project. */
export const ROOT: string = fileURLToPath(new URL('../../', import.meta.url))

/** How a program ended, and what it printed. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The releases of TypeScript that are installed, by the names of their folders. */
export type Compiler = 'typescript' | 'typescript5' | 'typescript7'

export interface Consumer {
  readonly folder: string
  /** The files of the tarball, relative to the package. */
  readonly packed: readonly string[]
  /** Writes files, by name. */
  write(files: Readonly<Record<string, string>>): void
  /** Runs Node in the project. */
  node(...args: string[]): Promise<Ended>
  /** Compiles the project by its tsconfig.json, with this package's TypeScript or another release. */
  tsc(compiler?: Compiler, ...args: string[]): Promise<Ended>
}

/** A project that has the packed package and these modules. */
export async function consumer(modules: readonly string[]): Promise<Consumer> {
  try {
    accessSync(join(ROOT, 'dist/index.js'))
  } catch (cause) {
    throw new Error('dist/ is missing: npm run build', { cause })
  }
  const folder = temporaryFolder()
  const installed = join(folder, 'node_modules/koa-fastsession')
  mkdirSync(installed, { recursive: true })
  for (const name of modules) {
    const place = join(folder, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), place)
  }
  // Without scripts: a build would replace dist/ while other tests use it.
  const pack = await ran('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], ROOT)
  const [tarball] = JSON.parse(pack.stdout) as { filename: string; files: { path: string }[] }[]
  if (tarball === undefined) throw new Error(`npm pack failed: ${pack.stderr}`)
  await ran('tar', ['-xzf', join(folder, tarball.filename), '-C', installed, '--strip-components=1'], folder)
  return {
    folder,
    packed: tarball.files.map(({ path }) => path),
    write(files) {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    },
    node: (...args) => ran(process.execPath, args, folder),
    tsc: (compiler = 'typescript', ...args) =>
      ran(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin/tsc'), ...args], folder),
  }
}

/** Runs a program to its end, whatever its exit code. */
function ran(program: string, args: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, maxBuffer: 10_000_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error ?? new Error(`${program} did not end`))
    })
  })
}
