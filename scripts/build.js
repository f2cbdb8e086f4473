// npm run build: src/ becomes dist/: an ES module of each file, the same as CommonJS in dist/cjs, and one set of declarations.
// Nothing happens when nothing changed. Types are checked by `npm run typecheck`: here each file is translated by itself.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const stamp = join(dist, '.stamp')

const read = (path) => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json'))
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/').slice(0, -'.ts'.length))
  .sort()

const fingerprint = createHash('sha256')
for (const path of ['package.json', 'tsconfig.json', 'src/tsconfig.json', 'scripts/build.js'])
  fingerprint.update(read(path))
for (const name of sources) fingerprint.update(`\0${name}\0${read(`src/${name}.ts`)}`)
const wanted = fingerprint.digest('hex')
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) await build()

async function build() {
  const [esbuild, { default: ts }] = await Promise.all([import('esbuild'), import('typescript')])
  // Beside the old build until it is whole: a test that runs meanwhile finds the one or the other.
  const making = join(root, `dist.${process.pid}`)
  rmSync(making, { recursive: true, force: true })
  try {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'))
    const settings = ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options
    await Promise.all(sources.map((name) => javascript(esbuild, ts, settings, making, name)))
    const problems = sources.flatMap((name) => declarations(ts, settings, making, name))
    if (problems.length > 0) {
      const host = { getCurrentDirectory: () => root, getNewLine: () => '\n', getCanonicalFileName: (name) => name }
      throw new Error(ts.formatDiagnostics(problems, host))
    }
    for (const entry of entries()) {
      // The declarations of CommonJS serve import as well: two sets would be two types of everything in one program.
      write(join(making, `${entry}.d.ts`), `export * from '${toward(entry, `cjs/${entry}`)}.js'\n`)
    }
    write(join(making, 'cjs/package.json'), `${JSON.stringify({ type: 'commonjs', sideEffects: false })}\n`)
    write(join(making, '.stamp'), wanted)
    rmSync(dist, { recursive: true, force: true })
    renameSync(making, dist)
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

/** The modules behind the entry points, without their ending. */
function entries() {
  return Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [target.default.default.slice('./dist/'.length, -'.js'.length)],
  )
}

async function javascript(esbuild, ts, settings, folder, name) {
  // esbuild leaves some comments: the declarations have them, the JavaScript needs none.
  const { outputText } = ts.transpileModule(read(`src/${name}.ts`), {
    fileName: `${name}.ts`,
    compilerOptions: { ...settings, module: ts.ModuleKind.ESNext, removeComments: true, inlineSourceMap: true },
  })
  for (const [format, file] of [
    ['esm', `${name}.js`],
    ['cjs', `cjs/${name}.js`],
  ]) {
    const { code, map } = await esbuild.transform(outputText, {
      // An ES module is one already: asked for one, esbuild would only gather its exports at the end.
      ...(format === 'cjs' && { format }),
      platform: 'node',
      target: 'es2022',
      charset: 'utf8',
      sourcemap: 'external',
      sourcesContent: false,
      sourcefile: `${name}.js`,
      tsconfigRaw: {},
    })
    const base = file.slice(file.lastIndexOf('/') + 1)
    // esbuild notes which calls have no side effects; as a whole module has none (package.json says so), bundlers need no more.
    // What the map says of the rest of such a line is some columns off.
    const plain = code.replaceAll('/* @__PURE__ */ ', '')
    write(join(folder, file), `${plain}//# sourceMappingURL=${base}.map\n`)
    write(
      join(folder, `${file}.map`),
      JSON.stringify({ ...JSON.parse(map), sources: [toward(`dist/${file}`, `src/${name}.ts`)] }),
    )
  }
}

function declarations(ts, settings, folder, name) {
  const { outputText, diagnostics, sourceMapText } = ts.transpileDeclaration(read(`src/${name}.ts`), {
    fileName: join(root, `src/${name}.ts`),
    reportDiagnostics: true,
    compilerOptions: {
      ...settings,
      declaration: true,
      declarationMap: true,
      isolatedDeclarations: true,
      noEmit: false,
    },
  })
  const file = `cjs/${name}.d.ts`
  write(join(folder, file), outputText.replace(/(\b(?:from |import |import\()['"]\.[^'"\n]*)\.ts(['"])/g, '$1.js$2'))
  const map = { ...JSON.parse(sourceMapText), sources: [toward(`dist/${file}`, `src/${name}.ts`)] }
  write(join(folder, `${file}.map`), JSON.stringify(map))
  return diagnostics
}

/** The way from the folder of one file to another, as a specifier. */
function toward(file, other) {
  const way = relative(dirname(file), other).replaceAll('\\', '/')
  return way.startsWith('.') ? way : `./${way}`
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
