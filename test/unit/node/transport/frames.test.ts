import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFrameReader, encodeFrames, signOfLife } from '../../../../node/transport/frames.ts'

test('frames come back whole however the stream was cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (frames, cuts) => {
        const bytes = encodeFrames(frames)
        const reader = createFrameReader(1_000)
        const received: Uint8Array[] = []
        for (let at = 0, turn = 0; at < bytes.byteLength; turn++) {
          const size = cuts[turn % cuts.length]!
          // As libp2p delivers: one buffer, or a list of them.
          const part = bytes.subarray(at, at + size)
          received.push(...reader.push(turn % 2 === 0 ? part : [part.subarray(0, 2), part.subarray(2)]))
          at += size
        }
        expect(received.map((frame) => [...frame])).toEqual(frames.map((frame) => [...frame]))
      }
    )
  )
})

test('signs of life are not frames', () => {
  const reader = createFrameReader(10)
  const stream = Buffer.concat([signOfLife, encodeFrames([Uint8Array.of(1)]), signOfLife])
  const frames = [...stream].flatMap((byte) => reader.push(Uint8Array.of(byte)))
  expect(frames.map((frame) => [...frame])).toEqual([[1]])
})

test('a frame over the bound is refused before it is read', () => {
  const reader = createFrameReader(10)
  expect(() => reader.push(encodeFrames([new Uint8Array(11)]).subarray(0, 4))).toThrow(
    '11 bytes, expected at most 10'
  )
})
