// npm run docs:reference: writes docs/reference/*.md from the docstrings, or with --check says which of them are behind.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

// What each page shows: declarations by file and name, below a heading.
const PAGES = {
  'options.md': {
    title: 'Options',
    intro:
      "What `session(options)` takes. All of it is optional. A `Duration` is a number of milliseconds, or text such as `'30m'`, `'2h'` or `'7d'`. A wrong option throws a `TypeError` when `session()` is called.",
    parts: [
      ['Options of `session()`', 'src/options.ts', 'SessionOptions', 'members'],
      ['Attributes of the cookie', 'src/cookie/cookie.ts', 'CookieOptions'],
      ['Details of `skipHeader`', 'src/options.ts', 'SkipHeader'],
      ['Details of `encryptionKeys`', 'src/options.ts', 'EncryptionOptions'],
      ['Details of `crossSite`', 'src/options.ts', 'CrossSiteOptions'],
      ['Details of `deviceBound`', 'src/options.ts', 'DeviceBoundOptions'],
      ['Details of `codec`', 'src/record/codec.ts', 'SessionCodec'],
      ['Details of `logger`', 'src/events.ts', 'SessionLogger'],
    ],
  },
  'session.md': {
    title: 'Members of the session',
    intro:
      'What `ctx.state.session` and `currentSession()` give. [The session](../session.md) explains them in order of use.',
    parts: [
      ['Functions', 'src/current-session.ts', 'currentSession'],
      ['', 'src/current-session.ts', 'tryCurrentSession'],
      ['', 'src/context.ts', 'bindSession'],
      ['Members', 'src/session/manager.ts', 'SessionManager', 'members'],
    ],
  },
  'middleware.md': {
    title: 'Methods of the middleware',
    intro: "What the function that `session()` gives does outside of Koa's chain.",
    parts: [
      ['Methods', 'src/session-middleware.ts', 'SessionMiddleware', 'members'],
      ['What `list`, `get` and `scan` show', 'src/session/info.ts', 'SessionInfo'],
      ['What the event channels carry', 'src/events.ts', 'EventMessage'],
    ],
  },
  'entry-points.md': {
    title: 'The other entry points',
    intro: 'Stores, adapters, and the helpers for migrations, tests and stores of your own.',
    parts: [
      ['`MemoryStore`', 'src/stores/memory.ts', 'MemoryStore', 'alone'],
      ['Options of `MemoryStore`', 'src/stores/memory.ts', 'MemoryStoreOptions'],
      ['`SqliteStore`', 'src/stores/sqlite.ts', 'SqliteStore', 'alone'],
      ['Options of `SqliteStore`', 'src/stores/sqlite.ts', 'SqliteStoreOptions'],
      ['`RedisStore`', 'src/stores/redis.ts', 'RedisStore', 'alone'],
      ['Options of `RedisStore`', 'src/stores/redis.ts', 'RedisStoreOptions'],
      ['`PostgresStore`', 'src/stores/postgres.ts', 'PostgresStore', 'alone'],
      ['Options of `PostgresStore`', 'src/stores/postgres/statements.ts', 'PostgresTable'],
      ['', 'src/stores/postgres.ts', 'PostgresStoreOptions'],
      ['`MysqlStore`', 'src/stores/mysql.ts', 'MysqlStore', 'alone'],
      ['Options of `MysqlStore`', 'src/stores/mysql.ts', 'MysqlTable'],
      ['', 'src/stores/mysql.ts', 'MysqlStoreOptions'],
      ['Adapters', 'src/adapters/express.ts', 'fromExpressStore'],
      ['', 'src/adapters/koa.ts', 'fromKoaStore'],
      ['', 'src/adapters/keyv.ts', 'fromKeyv'],
      ['Migrating', 'src/migrate/take-over.ts', 'takeOver'],
      ['Options of `takeOver`', 'src/migrate/take-over.ts', 'TakeOverOptions'],
      ['Where old sessions come from', 'src/migrate/old-sessions.ts', 'fromKoaSession'],
      ['', 'src/migrate/old-sessions.ts', 'fromExpressSession'],
      ['Moving between stores', 'src/migrate/move.ts', 'moveSessions'],
      ['Options of `moveSessions`', 'src/migrate/move.ts', 'MoveOptions'],
      ['Testing', 'src/testing.ts', 'withSession'],
      ['', 'src/testing.ts', 'sessionCookie'],
      ['', 'src/testing.ts', 'sessionOf'],
      ['What a session of a test may have', 'src/testing.ts', 'TestSessionOptions'],
      ['Checking a store', 'src/conformance.ts', 'storeChecks'],
    ],
  },
}

const sources = new Map()

function source(file) {
  if (!sources.has(file)) {
    sources.set(
      file,
      ts.createSourceFile(file, readFileSync(ROOT + file, 'utf8'), ts.ScriptTarget.Latest, true, ts.ScriptKind.TS),
    )
  }
  return sources.get(file)
}

function declaration(file, name) {
  for (const statement of source(file).statements) {
    if (ts.isVariableStatement(statement)) {
      if (statement.declarationList.declarations.some((one) => one.name.getText() === name)) return statement
    } else if (statement.name?.getText() === name) return statement
  }
  throw new Error(`${file} declares no ${name}`)
}

/** The docstring of a node: what it says, and its tags. */
function docs(node) {
  const [doc] = node.jsDoc?.slice(-1) ?? []
  if (doc === undefined) return undefined
  const text = (comment) => plain(ts.getTextOfJSDocComment(comment) ?? '')
  const tags = (doc.tags ?? []).map((tag) => ({ name: tag.tagName.text, text: tagText(tag) }))
  return { text: text(doc.comment), tags }

  function tagText(tag) {
    const said = text(tag.comment)
    if (tag.tagName.text !== 'throws') return said
    const type = tag.typeExpression === undefined ? '' : `\`${tag.typeExpression.type.getText()}\``
    return `${type} ${said}`.trim()
  }
}

/** Links become code, examples a language that says that they are excerpts. */
function plain(text) {
  return text
    .replaceAll(/\{@link\s+([^}\s]+)[^}]*\}/g, '`$1`')
    .replaceAll(/^```ts$/gm, '```typescript')
    .trim()
}

function entry(name, signature, { text, tags }) {
  const lines = [`### ${name}`, '', `\`${signature}\``, '']
  if (text !== '') lines.push(text, '')
  for (const tag of tags) {
    const said = tag.text.replaceAll('\n', ' ')
    if (tag.name === 'default') lines.push(`Default: ${said}`, '')
    if (tag.name === 'returns') lines.push(`Returns ${said}`, '')
    if (tag.name === 'throws') lines.push(`Throws ${said}`, '')
  }
  return lines.join('\n')
}

const oneLine = (text) => text.replaceAll(/\s+/g, ' ').replaceAll(/^export (async )?/g, '')

/** What a declaration looks like, without its body. */
function signatureOf(node) {
  const full = node.getText()
  const end = node.body === undefined ? full.length : node.body.getStart() - node.getStart()
  const signature = oneLine(full.slice(0, end).replace(/^readonly /, ''))
    .replace(/\{?;?$/, '')
    .trim()
  // That it may be left out says the question mark already.
  return node.questionToken === undefined ? signature : signature.replace(/ \| undefined$/, '')
}

function members(node) {
  const seen = new Set()
  return node.members
    .filter((member) => {
      const name = member.name?.getText() ?? ''
      if (name === '' || name.startsWith('#') || name.startsWith('[') || seen.has(name)) return false
      const doc = docs(member)
      if (doc === undefined || doc.tags.some((tag) => tag.name === 'internal')) return false
      seen.add(name)
      return true
    })
    .map((member) => entry(member.name.getText(), signatureOf(member), docs(member)))
}

function part([heading, file, name, how]) {
  const node = declaration(file, name)
  const lines = heading === '' ? [] : [`## ${heading}`, '']
  const doc = docs(node)
  const isList = ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)
  if (!isList) {
    const signature = ts.isVariableStatement(node) ? name : signatureOf(node)
    return [...lines, entry(name, signature, doc)].join('\n')
  }
  if (heading !== '' && doc !== undefined && doc.text !== '') lines.push(doc.text, '')
  return [...lines, ...(how === 'alone' ? [] : members(node))].join('\n')
}

function page({ title, intro, parts }) {
  const made = '<!-- npm run docs:reference writes this page from the docstrings in src/. -->'
  const text = [`# ${title}`, '', made, '', intro, '', ...parts.map(part)].join('\n')
  return `${text.replaceAll(/\n{3,}/g, '\n\n').trim()}\n`
}

const isCheck = process.argv.includes('--check')
const behind = []
for (const [name, made] of Object.entries(PAGES)) {
  const place = `${ROOT}docs/reference/${name}`
  const text = page(made)
  if (!isCheck) writeFileSync(place, text)
  else if (readFileSync(place, 'utf8') !== text) behind.push(name)
}
if (behind.length > 0) {
  console.error(`docs/reference is behind the docstrings (${behind.join(', ')}): npm run docs:reference`)
  process.exitCode = 1
}
