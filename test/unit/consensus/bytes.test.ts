import { expect, test } from 'vitest'
import { ByteReader, ByteWriter, DecodeError } from '../../../consensus/bytes.ts'
import { varintSize } from '../../../consensus/entry-size.ts'

test.each([
  0,
  1,
  127,
  128,
  16_383,
  16_384,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 49 - 1,
  2 ** 49,
  Number.MAX_SAFE_INTEGER
])('the number %i takes the bytes that it is said to take, and comes back', (value) => {
  const writer = new ByteWriter(varintSize(value))
  writer.varint(value)
  expect(writer.bytes.at(-1)).toBeLessThan(128)
  const reader = new ByteReader(writer.bytes)
  expect(reader.varint()).toBe(value)
  reader.end()
})

test.each([
  ['a number that does not end', [0x80]],
  ['a number in more bytes than it needs', [0x80, 0x00]],
  ['a number above the safe integers', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ['a number in too many bytes', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ['a string longer than the input', [0x03, 0x01, 0x02]],
  ['something after the end', [0x01, 0x02, 0x03]]
])('%s is refused', (_, bytes) => {
  expect(() => {
    const reader = new ByteReader(new Uint8Array(bytes))
    reader.sized()
    reader.end()
  }).toThrow(DecodeError)
})
