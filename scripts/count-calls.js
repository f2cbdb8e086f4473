// npm run count:calls: what one request passes that changes one key of a session in the memory store.
//
//   node scripts/count-calls.js [folder of a build, default dist/]
//
// Counted is the core: all of src/ but stores/, adapters/, conformance/ and migrate/. Each function of it is made to tell that
// it is called, in a copy of the build. A call is one entry into a function that stands in the source: methods, getters,
// constructors and arrows are functions, the fields of a class are part of its constructor. A move is an entry into a function
// of another file than the one entered before it. The request is a warm one: the same was sent fifty times before.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import Koa from 'koa'
import ts from 'typescript'
import { Lane, cookieHeader, inject } from '../test/bench/harness/mock.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const built = process.argv[2] ?? join(root, 'dist')
const NOT_CORE = /^(?:cjs|stores|adapters|conformance|migrate)\b/
const WARM = 50

const functions = []
const sequence = []
let isCounting = false
globalThis.countCall = (id) => {
  if (isCounting) sequence.push(functions[id])
}

// Beside dist/, so that packages are found from there.
const copy = join(root, `dist.calls.${process.pid}`)
try {
  for (const file of readdirSync(built, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js') || file.startsWith('cjs')) continue
    const text = readFileSync(join(built, file), 'utf8')
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    writeFileSync(join(copy, file), NOT_CORE.test(file) ? text : instrumented(file.replaceAll('\\', '/'), text))
  }
  await sendRequests()
} finally {
  rmSync(copy, { recursive: true, force: true })
}
report()

async function sendRequests() {
  const { session, MemoryStore } = await import(pathToFileURL(join(copy, 'index.js')).href)
  const sessions = session({
    keys: ['a secret that is long enough, really'],
    store: new MemoryStore(),
    sweepInterval: false,
  })
  const app = new Koa()
  app.use(sessions)
  app.use((ctx) => {
    if (ctx.path === '/begin') ctx.state.session.data.n = 0
    else ctx.state.session.data.n += 1
    ctx.body = 'ok'
  })
  const listener = app.callback()
  const cookie = cookieHeader((await inject(listener, '/begin')).setCookie)
  const lane = new Lane()
  for (let sent = 0; sent < WARM; sent++) await lane.send(listener, '/', cookie)
  isCounting = true
  await lane.send(listener, '/', cookie)
  isCounting = false
  await sessions.close()
}

function report() {
  const moves = sequence.filter(({ file }, at) => file !== sequence[at - 1]?.file).length
  const calls = new Map()
  for (const called of sequence) calls.set(called, (calls.get(called) ?? 0) + 1)
  const files = new Set(sequence.map(({ file }) => file))
  let last
  for (const [{ file, name }, count] of calls) {
    if (file !== last) console.log(file)
    last = file
    console.log(`  ${name}${count === 1 ? '' : ` x${count}`}`)
  }
  console.log(
    `\n${sequence.length} calls of ${calls.size} functions in ${files.size} files, ${moves} moves between files`,
  )
}

/** The text with a call of `countCall` at the beginning of each function. */
function instrumented(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
  const { factory } = ts
  const transformed = ts.transform(source, [
    (context) => {
      const visit = (node) => {
        const visited = ts.visitEachChild(node, visit, context)
        if (!ts.isFunctionLike(node) || node.body === undefined) return visited
        const id = functions.push({ file: file.replace(/js$/, 'ts'), name: nameOf(node) }) - 1
        const call = factory.createExpressionStatement(
          factory.createCallExpression(factory.createIdentifier('countCall'), undefined, [
            factory.createNumericLiteral(id),
          ]),
        )
        return withFirst(factory, visited, call)
      }
      return (whole) => ts.visitNode(whole, visit)
    },
  ])
  return ts.createPrinter().printFile(transformed.transformed[0])
}

function withFirst(factory, node, call) {
  const { body } = node
  const statements = ts.isBlock(body) ? body.statements : [factory.createReturnStatement(body)]
  // Before `super()` nothing of an object may be touched, and this touches nothing.
  const block = factory.createBlock([call, ...statements], true)
  const { modifiers, name, parameters, asteriskToken: star } = node
  if (ts.isFunctionDeclaration(node))
    return factory.updateFunctionDeclaration(node, modifiers, star, name, undefined, parameters, undefined, block)
  if (ts.isFunctionExpression(node))
    return factory.updateFunctionExpression(node, modifiers, star, name, undefined, parameters, undefined, block)
  if (ts.isMethodDeclaration(node))
    return factory.updateMethodDeclaration(
      node,
      modifiers,
      star,
      name,
      undefined,
      undefined,
      parameters,
      undefined,
      block,
    )
  if (ts.isConstructorDeclaration(node)) return factory.updateConstructorDeclaration(node, modifiers, parameters, block)
  if (ts.isGetAccessor(node))
    return factory.updateGetAccessorDeclaration(node, modifiers, name, parameters, undefined, block)
  if (ts.isSetAccessor(node)) return factory.updateSetAccessorDeclaration(node, modifiers, name, parameters, block)
  return factory.updateArrowFunction(
    node,
    modifiers,
    undefined,
    parameters,
    undefined,
    node.equalsGreaterThanToken,
    block,
  )
}

/** As a reader would say it: `Data.get isTouched`, `commit`, `commit > arrow`. */
function nameOf(node) {
  const { parent } = node
  if (ts.isConstructorDeclaration(node)) return `new ${parent.name?.text ?? 'class'}`
  const kind = ts.isGetAccessor(node) ? 'get ' : ts.isSetAccessor(node) ? 'set ' : ''
  const named =
    node.name ?? (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) ? parent.name : undefined)
  const name = kind + (named?.text ?? 'arrow')
  const around = ts.findAncestor(parent, (one) => ts.isClassLike(one) || ts.isFunctionLike(one))
  if (around === undefined) return name
  if (ts.isClassLike(around)) return `${around.name?.text ?? 'class'}.${name}`
  return `${nameOf(around)} > ${name}`
}
