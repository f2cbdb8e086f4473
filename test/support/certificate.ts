// A self-signed certificate for HTTPS on loopback: Node creates keys and signatures, but no certificates.
// The encoding is DER (ITU-T X.690), the content RFC 5280.
import { createSign, generateKeyPairSync } from 'node:crypto'

const ECDSA_WITH_SHA256 = '2a8648ce3d040302'
const COMMON_NAME = '550403'

/** A new key and its certificate, in PEM, valid for two days around now. */
export function certificate(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(der(0x06, Buffer.from(ECDSA_WITH_SHA256, 'hex')))
  const name = sequence(
    der(0x31, sequence(der(0x06, Buffer.from(COMMON_NAME, 'hex')), der(0x0c, Buffer.from('loopback')))),
  )
  const day = 24 * 60 * 60 * 1000
  const validity = sequence(...[-day, day].map((away) => der(0x17, Buffer.from(utcTime(Date.now() + away)))))
  const signed = sequence(
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = createSign('sha256').update(signed).sign(privateKey)
  const whole = sequence(signed, algorithm, der(0x03, Buffer.from([0]), signature))
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${whole.toString('base64')}\n-----END CERTIFICATE-----\n`,
  }
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts)
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function utcTime(instant: number): string {
  return new Date(instant).toISOString().replace(/^\d\d|\.\d+|[-:T]/g, '')
}
