// The three files that are the same for everybody, served before the session: they need none.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { Context, Next } from 'koa'

const ASSETS = new Map(
  ['icon.svg', 'live.js', 'style.css'].map((name) => {
    const text = readFileSync(new URL(`public/${name}`, import.meta.url), 'utf8')
    return [`/${name}`, { text, type: extname(name), etag: createHash('sha256').update(text).digest('base64url') }]
  }),
)

export async function assets(ctx: Context, next: Next): Promise<void> {
  const asset = ASSETS.get(ctx.path)
  if (asset === undefined) {
    await next()
    return
  }
  ctx.status = 200
  ctx.type = asset.type
  ctx.etag = asset.etag
  ctx.set('Cache-Control', 'no-cache')
  if (ctx.fresh) ctx.status = 304
  else ctx.body = asset.text
}
