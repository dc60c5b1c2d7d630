import { expect, test } from 'vitest'
import { quoteBytes } from '../../../consensus/quote.ts'

test.each([
  ['foo', '"foo"'],
  ['', '""'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ['\x07\b\f\n\r\t\v\x00\x7f', '"\\a\\b\\f\\n\\r\\t\\v\\x00\\x7f"'],
  ['é€😀', '"é€😀"'],
  ['\u00a0\u200b\ufeff', '"\\u00a0\\u200b\\ufeff"'],
  ['\u{e0001}', '"\\U000e0001"']
])('%j is quoted as %s', (text, expected) => {
  expect(quoteBytes(new TextEncoder().encode(text))).toBe(expected)
})

test.each([
  [[0xff], '"\\xff"'],
  [[0xc3], '"\\xc3"'],
  [[0xc0, 0x80], '"\\xc0\\x80"'],
  [[0xe2, 0x82, 0x41], '"\\xe2\\x82A"'],
  [[0xed, 0xa0, 0x80], '"\\xed\\xa0\\x80"'],
  [[0xf4, 0x90, 0x80, 0x80], '"\\xf4\\x90\\x80\\x80"']
])('bytes %j that are not text are quoted as %s', (bytes, expected) => {
  expect(quoteBytes(new Uint8Array(bytes))).toBe(expected)
})
