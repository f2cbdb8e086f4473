// The shop window and the cart, which two tabs may fill at once.
import Router from 'koa-router'
import { codeOf } from './code.ts'
import { button, field, seeOther } from './forms.ts'
import { articleOf, GOODS, money, type Article } from './goods.ts'
import { html, type Html } from './html.ts'
import type { Frame } from './page.ts'
import { visitor, type Shop, type Visitor } from './visitor.ts'

const MOST = 99
const [PUT_CODE, CARD_CODE] = [codeOf('cart.ts', 'put'), codeOf('cart.ts', 'card')]

interface Line {
  readonly article: Article
  readonly count: number
}

export function linesOf({ cart = {} }: Visitor): Line[] {
  return GOODS.map((article) => ({ article, count: cart[article.id] ?? 0 })).filter(({ count }) => count > 0)
}

/**
 * Puts so many more into the cart, or takes them out.
 *
 * The new count depends on the old one, and both tabs change the same key of data: `update` gets the newest stored data,
 * and runs again when another request came between.
 */
//#region put
async function put(article: Article, difference: number): Promise<void> {
  await visitor().update((data) => {
    const cart = (data.cart ??= {})
    const count = Math.min((cart[article.id] ?? 0) + difference, MOST)
    if (count > 0) cart[article.id] = count
    else Reflect.deleteProperty(cart, article.id)
  })
}
//#endregion

export function cartRoutes({ print }: Shop, frame: Frame): Router {
  const router = new Router()

  router.get('/', (ctx) => frame.show(ctx, { title: 'Shop', body: shopWindow(), code: PUT_CODE }))

  router.get('/cart', (ctx) => frame.show(ctx, { title: 'Cart', body: cartPage(visitor().data), code: CARD_CODE }))

  router.post('/cart/put', async (ctx) => {
    const article = articleOf(field(ctx, 'article'))
    if (article === undefined) return ctx.throw(400)
    await put(article, 1)
    if (field(ctx, 'from') === 'shop') visitor().flash('notice', `${article.name}: one more in your cart.`)
    // The anchor keeps the place on a small screen.
    seeOther(ctx, `${field(ctx, 'from') === 'shop' ? '/' : '/cart'}#${article.id}`)
  })

  router.post('/cart/take', async (ctx) => {
    const article = articleOf(field(ctx, 'article'))
    if (article === undefined) return ctx.throw(400)
    await put(article, -1)
    seeOther(ctx, `/cart#${article.id}`)
  })

  //#region card
  // A slow request that changes another key. It works on what it read at its start, and yet undoes nothing that other
  // requests did meanwhile: changes of different keys merge.
  router.post('/cart/card', async (ctx) => {
    const text = field(ctx, 'card').trim().slice(0, 120)
    await print()
    visitor().data.card = text
    visitor().flash('notice', text === '' ? 'The gift card is taken out.' : 'The gift card is printed.')
    seeOther(ctx, '/cart')
  })
  //#endregion

  return router
}

function shopWindow(): Html {
  return html` <div class="hero">
      <h1>A stationery shop that sells nothing</h1>
      <p>
        It shows what <b>koa-fastsession</b> does for a Koa app: sessions on the server, and one signed cookie in the
        browser. Put something in the cart, sign in with two browsers, and look at the foot of each page: the lines that
        made it, and what the session did.
      </p>
    </div>
    <h2 class="unseen">Goods</h2>
    <ul class="goods">
      ${GOODS.map(
        (article) =>
          html` <li id="${article.id}">
            <div class="drawing">${article.drawing}</div>
            <h3>${article.name}</h3>
            <p>${article.about}</p>
            <div class="buy">
              ${money(article.price)}
              ${button('/cart/put', html`Add <span class="unseen">one ${article.name}</span>`, { article: article.id, from: 'shop' }, 'quiet')}
            </div>
          </li>`,
      )}
    </ul>
    <section class="tries" aria-labelledby="tries-title">
      <h2 id="tries-title">What to try</h2>
      <ol>
        <li>
          <h3>Two tabs</h3>
          <p>
            Open the <a href="/cart">cart</a> twice. Print a gift card in one, which takes three seconds, and add things
            in the other. Nothing is lost.
          </p>
        </li>
        <li>
          <h3>Two browsers</h3>
          <p>
            <a href="/sign-up">Sign up</a> here and sign in elsewhere, or in a private window. Then end one from the
            <a href="/devices">devices</a> of the other.
          </p>
        </li>
        <li>
          <h3>A live view</h3>
          <p>Keep <a href="/live">Live</a> open beside another tab: it follows, and closes when its session ends.</p>
        </li>
        <li>
          <h3>A role at the next click</h3>
          <p>
            Signed in, give your other browser a role on the <a href="/admin">admin</a> page, and look at its head after
            its next click.
          </p>
        </li>
        <li>
          <h3>A stolen cookie</h3>
          <p>
            See what <a href="/thief">a thief</a> gets with a copy of your cookies, and what a bound session leaves
            them.
          </p>
        </li>
        <li>
          <h3>Trouble</h3>
          <p>See what happens when <a href="/trouble">the store is unplugged</a>, and after it.</p>
        </li>
      </ol>
    </section>`
}

function cartPage(data: Visitor): Html {
  const lines = linesOf(data)
  return html` <h1>Cart</h1>
    <div class="columns">
      <section aria-label="Goods in the cart">
        ${lines.length === 0 ? html`<p class="empty">The cart is empty. <a href="/">Look at the goods.</a></p>` : cartTable(lines)}
        <p class="hint">The cart belongs to this browser, not to an account. It goes along when you sign in.</p>
      </section>
      <section class="card" aria-labelledby="card-title">
        <h2 id="card-title">A gift card</h2>
        ${data.card !== undefined && data.card !== '' && html`<p class="giftcard">${data.card}</p>`}
        <form method="post" action="/cart/card">
          <div class="field">
            <label for="card">What it says</label>
            <input
              id="card"
              name="card"
              type="text"
              maxlength="120"
              autocomplete="off"
              value="${data.card ?? ''}"
              aria-describedby="card-hint"
            />
          </div>
          <button>Print it</button>
          <p class="hint" id="card-hint">
            The printer takes three seconds. Fill the cart in another tab meanwhile: this request began before, ends
            after, and undoes nothing.
          </p>
        </form>
      </section>
    </div>`
}

function cartTable(lines: readonly Line[]): Html {
  const total = lines.reduce((sum, { article, count }) => sum + article.price * count, 0)
  return html` <ul class="lines">
      ${lines.map(
        ({ article, count }) =>
          html` <li id="${article.id}">
            <div class="drawing">${article.drawing}</div>
            <div>
              <h2>${article.name}</h2>
              <p>${article.about}</p>
            </div>
            <div class="stepper">
              ${button('/cart/take', html`<span aria-hidden="true">−</span><span class="unseen">One ${article.name} less</span>`, { article: article.id }, 'quiet')}
              <span class="quantity">${count}</span>
              ${button('/cart/put', html`<span aria-hidden="true">+</span><span class="unseen">One ${article.name} more</span>`, { article: article.id }, 'quiet')}
            </div>
            ${money(article.price * count)}
          </li>`,
      )}
    </ul>
    <p class="total"><span>Together</span> ${money(total)}</p>`
}
