// A browser: sends the cookies that it was given and keeps the ones that come back.
export class Browser {
  #url
  #cookies

  constructor(url, cookies = new Map()) {
    this.#url = url
    this.#cookies = cookies
  }

  /** The Cookie header that it would send now. */
  get cookie() {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** Sends a request, and takes the cookies of the answer when it comes. */
  async get(path) {
    const answer = await this.send(path, this.cookie)
    this.take(answer)
    return answer
  }

  /** Sends a request with this Cookie header, and takes nothing. */
  async send(path, cookie) {
    let response
    try {
      response = await fetch(this.#url + path, { redirect: 'manual', headers: cookie === '' ? {} : { cookie } })
      const text = await response.text()
      return { status: response.status, body: parsed(text), setCookie: response.headers.getSetCookie().map(cookieIn) }
    } catch {
      return {
        status: 'connection cut',
        body: undefined,
        setCookie: response?.headers.getSetCookie().map(cookieIn) ?? [],
      }
    }
  }

  /** Takes the cookies of an answer. */
  take({ setCookie }) {
    for (const { name, value, isEnd } of setCookie) {
      if (isEnd) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
  }

  /** Another browser that holds the same cookies, at this address. */
  twin(url = this.#url) {
    return new Browser(url, new Map(this.#cookies))
  }
}

/** A Set-Cookie line in parts; `isEnd` where it makes the browser forget the cookie. */
function cookieIn(line) {
  const [pair, ...attributes] = line.split(';').map((part) => part.trim())
  const at = pair.indexOf('=')
  const found = new Map(
    attributes.map((attribute) => {
      const [name, value = ''] = attribute.split('=')
      return [name.toLowerCase(), value]
    }),
  )
  const maxAge = found.get('max-age')
  const isEnd =
    maxAge === undefined ? found.has('expires') && Date.parse(found.get('expires')) <= Date.now() : Number(maxAge) <= 0
  return { name: pair.slice(0, at), value: pair.slice(at + 1), attributes: found, isEnd }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
