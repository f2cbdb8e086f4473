// npm run test:koa: runs the tests over another major of Koa than the one in the lockfile (2, or the one that is named), in a
// copy of the project. What comes behind the number goes to npm test.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [major = '2', ...args] = process.argv.slice(2)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'koa-fastsession-koa-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const [other, home] = [join(folder, 'koa'), join(folder, 'project')]
const quiet = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts']
run('npm', ['install', '--prefix', other, ...quiet, `koa@${major}`], folder)

cpSync(root, home, {
  recursive: true,
  filter: (path) => !/[\\/](?:node_modules|\.git|coverage|documentation)$/.test(path),
})
mkdirSync(join(home, 'node_modules'))
for (const name of readdirSync(join(root, 'node_modules'))) {
  const place = name === 'koa' ? join(other, 'node_modules') : join(root, 'node_modules')
  symlinkSync(join(place, name), join(home, 'node_modules', name))
}
run('npm', ['test', '--', ...args], home)

/** Runs a program and shows what it prints; one that fails ends this one. */
function run(program, given, cwd) {
  const { status } = spawnSync(program, given, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) process.exit(status ?? 1)
}
