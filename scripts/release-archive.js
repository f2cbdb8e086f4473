// Keeps the JavaScript of a release for the tests that run it beside the current one, since a clone may have no history:
//   node scripts/release-archive.js b60f0b1
// builds that commit, or tag, as it builds itself, and writes test/support/releases/koa-fastsession-<version>.tar.gz.
// Two runs over one commit give the same bytes. Types, source maps, CommonJS and what only tests import are left out.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LEFT_OUT = /\.map$|\.d\.ts$|\.stamp$|^cjs\b|^conformance\b|^testing\b/

const [commit] = process.argv.slice(2)
if (commit === undefined) throw new Error('node scripts/release-archive.js <commit or tag>')
const work = mkdtempSync(join(tmpdir(), 'koa-fastsession-release-'))
process.once('exit', () => rmSync(work, { recursive: true, force: true }))

const source = join(work, 'source')
mkdirSync(source)
const tree = execFileSync('git', ['archive', commit], { cwd: ROOT, maxBuffer: 1 << 30 })
execFileSync('tar', ['-x', '-C', source], { input: tree })
symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'))
execFileSync('npm', ['run', 'build'], { cwd: source, stdio: ['ignore', 'ignore', 'inherit'] })

const folder = join(work, 'package')
const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
const { name, version, license, type, dependencies } = manifest
for (const file of readdirSync(join(source, 'dist'), { recursive: true, encoding: 'utf8' }))
  if (file.endsWith('.js') && !LEFT_OUT.test(file)) cpSync(join(source, 'dist', file), join(folder, 'dist', file))
cpSync(join(source, 'LICENSE'), join(folder, 'LICENSE'))
writeFileSync(
  join(folder, 'package.json'),
  `${JSON.stringify({ name, version, license, type, dependencies }, null, 2)}\n`,
)

const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX']
const archive = gzipSync(execFileSync('tar', [...same, '-c', 'package'], { cwd: work, maxBuffer: 1 << 26 }), {
  level: 9,
})
const target = join('test', 'support', 'releases', `${name}-${version}.tar.gz`)
writeFileSync(join(ROOT, target), archive)
console.log(`${target}: ${archive.length} bytes`)
