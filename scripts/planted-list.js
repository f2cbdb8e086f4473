// Faults that concern what happens at the same time, each one slip away: a text that its file holds exactly once, whatever
// its line breaks are, and what takes its place. scripts/planted.js plants them one by one; simulation or histories must
// find them without any other test.
const p = (name, file, before, after) => ({ name, file, before, after })

export const planted = [
  // ---- compare and set
  p(
    'a refused write counts as done',
    'session/retry.ts',
    "if (outcome !== 'stale') return outcome === 'done'",
    "return outcome !== 'gone'",
  ),
  p('a gone record counts as written', 'session/retry.ts', "return outcome === 'done'", 'return true'),
  p(
    'a retry starts from what this process took for the newest',
    'session/newest.ts',
    '  const newest = await readLive(session.core, key, session.scope)\n  if (newest === undefined) return false\n  for (const one of together) {\n    takeNewer(one, newest)\n    one.instantsAt = now\n  }\n  return true',
    '  if ((await readLive(session.core, key, session.scope)) === undefined) return false\n  session.record = { ...requireRecord(session), version: requireRecord(session).version + 1 }\n  return true',
  ),
  p(
    // To leave out the question alone changes nothing: an empty payload is none that can be read.
    'an ended record is read as a live, empty one',
    'session/newest.ts',
    "typeof record !== 'object' || isEnded(record)) return",
    "typeof record !== 'object') return undefined\n  if (isEnded(record)) return { record, stored: { data: {}, flash: [], device: undefined, metadata: { startedAt: record.createdAt, maxAge: 0, maxAgeSince: 0 } }, dataError: undefined }",
  ),
  p(
    'a write takes the version of the newest record and the contents that the request read',
    'session/replace.ts',
    '  takeNewer(session, { record: newest.record, stored, dataError: undefined })',
    '  session.setRecord(newest.record, stored.data === undefined ? stored : session.stored)',
  ),
  p(
    'what was refused is remembered as the newest',
    'session/change.ts',
    '  return { record, answer: store.replace(record, previous.version, now) }',
    '  payload.known.remember(record, draft)\n  return { record, answer: store.replace(record, previous.version, now) }',
  ),
  // ---- group commit
  p(
    'changes that are written together start from the first request, not from the one before',
    'session/replace.ts',
    '    ground = own.draft\n',
    '',
  ),
  p(
    'of changes that are written together the first one is written',
    'session/replace.ts',
    'joined = prepareTogether(changes)\n        const last = joined.at(-1)',
    'joined = prepareTogether(changes)\n        const last = joined[0]',
  ),
  p(
    'a group that the store refused is acknowledged',
    'session/replace.ts',
    'if (!isDone || last === undefined || written === undefined) return false',
    'if (last === undefined || written === undefined) return false',
  ),
  p(
    'a group whose write failed is written again, one by one',
    'session/replace.ts',
    'if (!(error instanceof SessionError) || error.status !== 503) return false',
    'if (error !== undefined) return false',
  ),
  p(
    'changes beyond a group are dropped',
    'session/queues.ts',
    'const members = writing.waiting.splice(0, MAX_GROUP)',
    'const members = writing.waiting.splice(0, MAX_GROUP).slice(0, 2)',
  ),
  p(
    // That only the first learns of the newer record changes nothing: the newest that one of them knows is the ground of all.
    'a group that was refused learns of the newer version and not of its contents',
    'session/newest.ts',
    '    takeNewer(one, newest)\n',
    '    if (together.length === 1) takeNewer(session, newest)\n    else one.setRecord(newest.record, one.stored)\n',
  ),
  // ---- update
  p(
    'an update that was refused is not computed again',
    'session/update.ts',
    'const run = await runUpdate(',
    'const run = last?.run ?? await runUpdate(',
  ),
  p(
    'an update is written over the newest version, whatever it was computed from',
    'session/update.ts',
    // To leave out the question alone changes nothing: what is written is compared with the version that was read.
    "if (session.record !== ground) return 'stale'",
    'ground = session.record',
  ),
  p(
    'an update from outside that was refused counts as done',
    'session/update.ts',
    "    if (answer === 'done') {\n",
    '    {\n',
  ),
  p(
    'an update from outside is computed once',
    'session/update.ts',
    'run = await runUpdate(core, key,',
    'run ??= await runUpdate(core, key,',
  ),
  // ---- new ids and ends
  p(
    'a new id takes over what the request knows, not what is stored',
    'session/regenerate.ts',
    'return retryOnConflict(attempt, () => refresh(session))',
    'return retryOnConflict(attempt, async () => {\n    const { stored } = session\n    const lives = await refresh(session)\n    if (lives && session.record !== undefined) session.setRecord(session.record, stored)\n    return lives\n  })',
  ),
  p(
    'a new id is given although the old record did not give way',
    'session/regenerate.ts',
    "if (answer !== 'done' || !canSend()) {",
    "if (answer === 'gone' || !canSend()) {",
  ),
  p(
    'the old record of a new id stays',
    'session/regenerate.ts',
    'answer = await store.replace(tombstoneOf(previous, record.key, now, isFreshStart), previous.version, now)',
    "answer = previous.version > 0 ? 'done' : await store.replace(previous, 0, now)",
  ),
  p(
    'a logout that met a change gives up',
    'session/destroy.ts',
    'follow(record), end, readAgain)\n// A tombstone that expired before that leads on all the same.\nended ??= await changeNewest(await readAgain(record), end, readAgain)',
    'follow(record), end, async () => undefined)',
  ),
  p(
    'a logout ends the old id, and not what took its place',
    'session/successors.ts',
    'target = await store.read(successor, settings.now() - before)',
    'target = settings.now() > 0 ? undefined : await store.read(successor, 0)',
  ),
  p(
    'the record of an ended session is a live one',
    'record/record.ts',
    "    payload: '',\n    owner: undefined,",
    "    payload: '{}',\n    owner: undefined,",
  ),
  p(
    'a change to a session that ended begins another one under its id',
    'record/record.ts',
    'return record.payload.length === 0',
    'return record.payload.length === 0 && record.version === 0',
  ),
  p(
    'a logout asks with a clock that is ahead of the others',
    'session/destroy.ts',
    'export const CLOCKS_APART = 10_000',
    'export const CLOCKS_APART = 0',
  ),
  p(
    'the end of all sessions of an owner leaves out the first',
    'sessions.ts',
    'await eachOf(others, async (record) => {\n        const hasEnded',
    'await eachOf(others.slice(1), async (record) => {\n        const hasEnded',
  ),
  // ---- merge
  p(
    'a request stores all that it saw, not what it changed',
    'record/merge.ts',
    'data: applyChanges(stored.data, pending.changes),',
    'data: applyChanges(pending.changes.length > 0 ? Object.fromEntries(pending.changes.map(({ key, value }) => [key, value])) : stored.data, pending.changes),',
  ),
  p(
    'of two changes of one key the earlier wins',
    'record/merge.ts',
    'if (value === ABSENT) Reflect.deleteProperty(next, key) else',
    "if (value === ABSENT) Reflect.deleteProperty(next, key)\n    else if (Object.hasOwn(next, key) && key === 'b') continue\n    else",
  ),
  p(
    'a removed key stays',
    'record/merge.ts',
    'if (value === ABSENT) Reflect.deleteProperty(next, key)',
    'if (value === ABSENT) continue',
  ),
  p(
    'a failed write counts as one that may be tried again',
    'checked-store.ts',
    'throw storeError(this.#events, operation, subject, cause)',
    "if (operation === 'replace') return 'stale' as T\n    throw storeError(this.#events, operation, subject, cause)",
  ),
]
