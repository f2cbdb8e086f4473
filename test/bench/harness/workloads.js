// The routes that every adapter serves, and the workloads over them.
import assert from 'node:assert/strict'
import { inject, cookieHeader, forge } from './mock.js'

export const SMALL = Object.freeze({ user: 'alice', n: 0, roles: ['reader', 'writer'], at: 1700000000000 })

export const PATHS = ['/plain', '/read', '/count', '/login', '/fill', '/fill60']

/** 100 keys, about 10 KB as JSON; 600 keys are about 60 KB. */
export function big(keys = 100) {
  const data = { user: 'alice', n: 0 }
  for (let i = 0; i < keys - 2; i++) data['key' + i] = 'v' + i + '-' + 'x'.repeat(88)
  return data
}

/**
 * The handler's work on a session that is a plain mutable object.
 * `session` is a function, so that /plain never touches the session.
 */
export function answer(path, session) {
  switch (path) {
    case '/plain':
      return 'ok'
    case '/read':
      return String(session().user ?? 'none')
    case '/count': {
      const s = session()
      s.n = (s.n ?? 0) + 1
      return String(s.n)
    }
    case '/login': {
      Object.assign(session(), SMALL)
      return 'ok'
    }
    case '/fill': {
      Object.assign(session(), big())
      return 'ok'
    }
    case '/fill60': {
      Object.assign(session(), big(600))
      return 'ok'
    }
  }
  return 'no such route'
}

/** What a server without sessions answers (the floor). */
export function answerBare(path) {
  switch (path) {
    case '/read':
      return 'alice'
    case '/count':
      return '12345'
  }
  return 'ok'
}

export const WORKLOADS = {
  W1: { path: '/plain', what: 'no cookie, session untouched' },
  W2: { path: '/read', cookie: 'small', what: 'valid cookie, one field read' },
  W3: { path: '/count', cookie: 'small', what: 'valid cookie, counter written' },
  W4: { path: '/login', what: 'new session' },
  W5: { path: '/read', cookie: 'big', what: 'valid cookie, one field read of 10 KB' },
  W6: { path: '/read', cookie: 'forged', what: 'forged signature' },
  // In W3 all requests under way write to one session. Most sessions have one writer at a time: this is W3 for them.
  W7: { path: '/count', cookie: 'own', what: 'valid cookie, counter written, each request its own session' },
  W8: { path: '/count', cookie: 'large', what: 'valid cookie, counter written in 10 KB' },
  W9: { path: '/count', cookie: 'huge', what: 'valid cookie, counter written in 60 KB' },
}

/** So many sessions take turns in W7: more than requests are under way. */
const OWN = 64

const STAND_IN = cookieHeader(['sid=0123456789abcdefghijklmnop; x', 'sid.sig=0123456789abcdefghijklmnopq; x'])

/** Creates the sessions the workloads use; returns their Cookie headers. */
export async function prepare(app) {
  if (app.bare) {
    const own = Array(OWN).fill(STAND_IN)
    return { small: STAND_IN, big: STAND_IN, forged: STAND_IN, own, large: STAND_IN, huge: STAND_IN }
  }
  const small = cookieHeader((await inject(app.listener, '/login')).setCookie)
  if (app.oneCookieState) return { small, forged: forge(small) }
  const own = []
  for (let i = 0; i < OWN; i++) own.push(cookieHeader((await inject(app.listener, '/login')).setCookie))
  const filled = async (path) => cookieHeader((await inject(app.listener, path)).setCookie)
  return {
    small,
    big: await filled('/fill'),
    forged: forge(small),
    own,
    large: await filled('/fill'),
    huge: await filled('/fill60'),
  }
}

/** Fails when the app does not do the job of every workload. */
export async function check(app) {
  const cookies = await prepare(app)
  const is = async (path, cookie, body, setsCookie) => {
    const r = await inject(app.listener, path, cookie)
    assert.equal(r.status, 200, `${path}: ${r.raw.slice(0, 300)}`)
    assert.equal(r.body, body, `${path} with ${cookie}`)
    if (setsCookie !== undefined && !app.bare) assert.equal(r.setCookie.length > 0, setsCookie, `${path}: Set-Cookie`)
    return r
  }
  await is('/plain', undefined, 'ok', false)
  await is('/read', cookies.small, 'alice', false)
  const login = await is('/login', undefined, 'ok', true)
  if (app.bare) return
  await is('/read', cookieHeader(login.setCookie), 'alice')
  await is('/read', cookies.forged, 'none')
  if (app.oneCookieState) return
  await is('/read', cookies.big, 'alice')
  for (const cookie of [cookies.large, cookies.huge]) {
    await is('/count', cookie, '1')
    await is('/count', cookie, '2')
  }
  const one = Number((await inject(app.listener, '/count', cookies.small)).body)
  await is('/count', cookies.small, String(one + 1))
}
