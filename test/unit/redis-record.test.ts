import fc from 'fast-check'
import test from 'ava'
import { encodeNumber } from '../../src/stores/redis/record.ts'

const FIVE_DIGITS = 36 ** 5

test('a whole number is written in base 36, as JavaScript writes it', (t) => {
  const edges = [0, 1, 35, 36, FIVE_DIGITS - 1, FIVE_DIGITS, FIVE_DIGITS + 1, FIVE_DIGITS * 36, Number.MAX_SAFE_INTEGER]
  for (const value of edges) t.is(encodeNumber(value), value.toString(36))
  fc.assert(fc.property(fc.maxSafeNat(), (value) => encodeNumber(value) === value.toString(36)))
})

test('what is no whole number, or below zero, is written in decimals', (t) => {
  for (const value of [-1, 0.5, 1.5e12 + 0.25, Number.MAX_SAFE_INTEGER + 1, Infinity, NaN])
    t.is(encodeNumber(value), `=${value}`)
})
