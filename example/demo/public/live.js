// Follows the session over a WebSocket, and says so when it has ended. The server makes the HTML: everything in it is
// escaped there, by the same functions as in the page.
const ENDED = 4001
const MOST_TRIES = 6

const state = document.getElementById('live-state')
const ended = document.getElementById('live-ended')
const view = document.getElementById('live')
const parts = { cart: document.getElementById('live-cart'), devices: document.getElementById('live-devices') }
let tries = 0

function dial() {
  const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/live/socket`)
  socket.addEventListener('message', ({ data }) => {
    tries = 0
    tell('connected')
    const shown = JSON.parse(data)
    for (const [name, part] of Object.entries(parts)) part.innerHTML = shown[name]
  })
  socket.addEventListener('close', ({ code }) => {
    if (code === ENDED)
      finish(
        'closed',
        'This session has ended: it was signed out, here or from another device. The server closed the live view.',
        'Sign in again',
        '/sign-in?for=/live',
      )
    else if (++tries > MOST_TRIES) finish('lost', 'The connection was lost.', 'Try again', '/live')
    else {
      tell('connecting')
      setTimeout(dial, 100 * 2 ** tries)
    }
  })
}

function tell(word) {
  if (state.textContent !== word) state.textContent = word
  state.dataset.state = word
}

function finish(word, text, linkText, path) {
  tell(word)
  view.classList.add('stale')
  const link = document.createElement('a')
  link.href = path
  link.textContent = linkText
  ended.replaceChildren(`${text} `, link)
  ended.hidden = false
}

dial()
