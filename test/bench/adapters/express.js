// Floor: Express 5 without sessions.
import express from 'express'
import { answerBare } from '../harness/workloads.js'

export const stores = ['none']
export const bare = true

export function build() {
  const app = express()
  app.set('etag', false)
  app.use((req, res, next) => next())
  app.use((req, res) => {
    res.send(answerBare(req.path))
  })
  return { bare, listener: app, close() {} }
}
