// Paths at which `ctx.session` is used as packages and apps use it.
import { promisify } from 'node:util'
import type { Context } from 'koa'
import { bagOf, visitorOf, type Handlers } from './ecosystem.ts'

export const handlers: Handlers = {
  '/count': (ctx) => String((bagOf(ctx)['n'] = Number(bagOf(ctx)['n'] ?? 0) + 1)),
  '/show': (ctx) => JSON.stringify(visitorOf(ctx).session),
  '/null': (ctx) => void (visitorOf(ctx).session = null),
  '/assign': (ctx) => void (visitorOf(ctx).session = { only: 'this' } as never),
  '/null-then-assign': (ctx) => {
    visitorOf(ctx).session = null
    visitorOf(ctx).session = { fresh: true } as never
  },
  '/names': (ctx) => {
    const bag = bagOf(ctx)
    return JSON.stringify([
      Object.keys(bag),
      { ...bag },
      'n' in bag,
      'save' in bag,
      bag.length,
      bag.populated,
      bag.isNew,
    ])
  },
  '/maxAge': (ctx) => {
    const before = bagOf(ctx).maxAge
    bagOf(ctx).maxAge = 60_000
    return JSON.stringify([before, bagOf(ctx).maxAge])
  },
  '/save': async (ctx) => {
    bagOf(ctx)['n'] = 7
    await bagOf(ctx).save()
  },
  '/save-callback': async (ctx) => {
    const bag = bagOf(ctx)
    bag['n'] = 8
    await promisify((callback: (error: unknown) => void) => bag.save(callback))()
  },
  '/regenerate': async (ctx) => {
    const bag = bagOf(ctx)
    await bag.regenerate()
    return JSON.stringify([bagOf(ctx) === bag, bagOf(ctx)])
  },
  '/regenerate-callback': async (ctx) => {
    const bag = bagOf(ctx)
    await promisify((callback: (error: unknown) => void) => bag.regenerate(callback))()
    return JSON.stringify([bagOf(ctx) === bag, { ...bag }, { ...bagOf(ctx) }])
  },
  '/deep': (ctx) => {
    const bag = bagOf(ctx)
    const list = (bag['list'] ??= []) as number[]
    list.push(1)
    return String(list.length)
  },
  '/delete': (ctx) => {
    delete bagOf(ctx)['n']
  },
  '/isNew': (ctx) => String(bagOf(ctx).isNew),
  '/object': (ctx) => void (visitorOf(ctx).session = 7 as never),
}

/** Ends the session and begins another one, which this then uses. */
export const anew =
  (use: (ctx: Context) => unknown) =>
  (ctx: Context): unknown => {
    visitorOf(ctx).session = null
    visitorOf(ctx).session = { fresh: true } as never
    return use(ctx)
  }

export const more: Handlers = {
  ...handlers,
  '/anew-with': anew((ctx) => {
    bagOf(ctx).maxAge = 60_000
    ctx.state.session.flash('notice', 'hello')
  }),
  '/anew-sign-in': anew((ctx) => ctx.state.session.signIn('ada')),
  '/anew-renewed': anew((ctx) => bagOf(ctx).regenerate()),
  '/null-renewed': (ctx) => {
    visitorOf(ctx).session = null
    return ctx.state.session.regenerate()
  },
  '/anew-destroyed': anew((ctx) => ctx.state.session.destroy()),
  '/put-back': (ctx) => void (visitorOf(ctx).session = visitorOf(ctx).session ?? ({} as never)),
  '/unput': (ctx) => void (bagOf(ctx)['fresh'] = 'other'),
  '/anew-big': anew((ctx) => void (bagOf(ctx)['big'] = 'x'.repeat(70_000))),
  '/put': (ctx) => {
    bagOf(ctx)['fresh'] = true
    ctx.state.session.flash('notice', 'old')
  },
  '/tell': (ctx) => {
    const { session } = ctx.state
    return JSON.stringify([session.owner ?? null, bagOf(ctx), bagOf(ctx).maxAge, session.flash('notice')])
  },
}
