// The browser's proof: a JWS (RFC 7515) in a header, signed with ES256 by a key that never leaves the device. Any other form is
// rejected. Sizes are limited before anything is parsed.
import { createPublicKey, verify } from 'node:crypto'
import type { Binding } from '../record/record.ts'

/** The coordinates of a P-256 public key, base64url. */
export type PublicKey = Pick<Binding, 'x' | 'y'>

/** The contents of a proof header, not verified yet. */
export interface Proof {
  readonly challenge: string
  /** The public key in the header. Only a registration uses it. */
  readonly key: PublicKey | undefined
  readonly signed: string
  readonly signature: string
}

const MAX_LENGTH = 4096
const JWS = /^([\w-]{2,2048})\.([\w-]{2,2048})\.([\w-]{86})$/
const COORDINATE = /^[\w-]{43}$/

/** The text of a structured header (RFC 9651). Browsers send it with or without quotes; parameters may follow the quotes. */
export function unquoted(header: string | readonly string[] | undefined): string | undefined {
  if (typeof header !== 'string') return
  return /^"([^"]*)"(?:;.*)?$/.exec(header)?.[1] ?? header
}

/** Parses a `Secure-Session-Response` header; `undefined` unless it has the form of a proof. */
export function parseProof(header: string | readonly string[] | undefined): Proof | undefined {
  const text = unquoted(header)
  if (text === undefined || text.length > MAX_LENGTH) return
  const [, head, body, signature] = JWS.exec(text) ?? []
  if (head === undefined || body === undefined || signature === undefined) return
  const { alg, typ, jwk, crit } = objectIn(head)
  const { jti: challenge } = objectIn(body)
  // `crit` lists extensions that must be understood: none is supported.
  if (alg !== 'ES256' || typ !== 'dbsc+jwt' || crit !== undefined || typeof challenge !== 'string') return
  return { challenge, key: keyOf(jwk), signed: `${head}.${body}`, signature }
}

/** Whether that key signed the proof. */
export function isSignedBy({ signed, signature }: Proof, { x, y }: PublicKey): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
    const bytes = Buffer.from(signature, 'base64url')
    return verify('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, bytes)
  } catch {
    // The coordinates are not those of a point on the curve.
    return false
  }
}

function keyOf(jwk: unknown): PublicKey | undefined {
  const { kty, crv, x, y } = (jwk ?? {}) as Readonly<Record<string, unknown>>
  if (kty !== 'EC' || crv !== 'P-256' || typeof x !== 'string' || typeof y !== 'string') return
  return COORDINATE.test(x) && COORDINATE.test(y) ? { x, y } : undefined
}

/** The fields of a part of the proof: none if it is not JSON or not an object. */
function objectIn(part: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(Buffer.from(part, 'base64url').toString()) ?? {}) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
