// Drives an http listener without a socket: real IncomingMessage and
// ServerResponse objects over a stub connection. Node's header validation and
// serialisation are therefore paid by every candidate, the parser and the
// kernel by none.
import http from 'node:http'
import { EventEmitter } from 'node:events'

class StubSocket extends EventEmitter {
  constructor() {
    super()
    this.writable = true
    this.readable = true
    this.destroyed = false
    this.encrypted = false
    this.remoteAddress = '127.0.0.1'
    this.remotePort = 40000
    this.writableLength = 0
    this.writableHighWaterMark = 16384
    this._httpMessage = null
    this._writableState = { corked: 0 }
    this.keep = false
    this.out = ''
  }

  write(data, encoding, callback) {
    if (typeof encoding === 'function') callback = encoding
    if (this.keep) this.out += typeof data === 'string' ? data : data.toString('latin1')
    if (callback) process.nextTick(callback)
    return true
  }

  cork() {}
  uncork() {}
  setTimeout() {
    return this
  }
  setKeepAlive() {
    return this
  }
  setNoDelay() {
    return this
  }
  address() {
    return { address: '127.0.0.1', port: 40000, family: 'IPv4' }
  }
  pause() {
    return this
  }
  resume() {
    return this
  }
  destroy() {
    this.destroyed = true
    return this
  }
  destroySoon() {}
}

/** One reusable keep-alive connection; `send` serves one request at a time. */
export class Lane {
  constructor() {
    this.socket = new StubSocket()
  }

  send(listener, path, cookie, keep = false) {
    const socket = this.socket
    const req = new http.IncomingMessage(socket)
    req.method = 'GET'
    req.url = path
    req.httpVersion = '1.1'
    req.httpVersionMajor = 1
    req.httpVersionMinor = 1
    req.complete = true
    req.headers = cookie
      ? { host: 'localhost', accept: '*/*', 'user-agent': 'bench', cookie }
      : { host: 'localhost', accept: '*/*', 'user-agent': 'bench' }
    req.push(null)
    const res = new http.ServerResponse(req)
    socket.keep = keep
    socket.out = ''
    res.assignSocket(socket)
    return new Promise((resolve) => {
      res.on('finish', () => {
        res.detachSocket(socket)
        resolve(socket.out)
      })
      listener(req, res)
    })
  }
}

/** Sends one request and returns { status, body, setCookie[], raw }. */
export async function inject(listener, path, cookie) {
  const raw = await new Lane().send(listener, path, cookie, true)
  const cut = raw.indexOf('\r\n\r\n')
  const head = raw.slice(0, cut).split('\r\n')
  const setCookie = head
    .filter((line) => /^set-cookie:/i.test(line))
    .map((line) => line.slice(line.indexOf(':') + 1).trim())
  return { status: Number(head[0].split(' ')[1]), body: raw.slice(cut + 4), setCookie, raw }
}

/** The Cookie request header that a browser would send after these Set-Cookie lines. */
export function cookieHeader(setCookie, others = '_ga=GA1.1.1234567890.1700000000; theme=dark; ') {
  return others + setCookie.map((line) => line.split(';', 1)[0]).join('; ')
}

/** Same header with one character of the last cookie's value (its signature) changed. */
export function forge(header) {
  const at = header.length - 6
  const other = header[at] === 'A' ? 'B' : 'A'
  return header.slice(0, at) + other + header.slice(at + 1)
}
