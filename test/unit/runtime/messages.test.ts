import fc from 'fast-check'
import { expect, test } from 'vitest'
import { incarnation } from '../../../base/ids.ts'
import { monotonicMs, timestampMs } from '../../../base/units.ts'
import {
  decodeForwardFrame,
  decodeRaftFrame,
  encodeForwardFrame,
  encodeRaftFrame
} from '../../../runtime/messages.ts'

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

test('a raft frame survives its encoding, with and without a renewal and a grant', () => {
  const renewal = { incarnation: incarnation(3), t0: monotonicMs(12.5), wall: timestampMs(9), applied: 7 }
  const grant = { incarnation: incarnation(3), t0: monotonicMs(12.5), leaseMs: 3_000 }
  const messages = [bytes(1, 2), bytes()]
  for (const frame of [
    { messages, renewal, grant },
    { messages: [], renewal: undefined, grant },
    { messages, renewal: undefined, grant: undefined }
  ]) {
    const decoded = decodeRaftFrame(encodeRaftFrame(frame))
    expect(decoded?.messages.map((message) => [...message])).toEqual(frame.messages.map((m) => [...m]))
    expect([decoded?.renewal, decoded?.grant]).toEqual([frame.renewal, frame.grant])
  }
})

test('a forward frame survives its encoding', () => {
  const refusals = [{ incarnation: incarnation(1), sequence: 4, code: 'OVERLOADED', message: 'm' }] as const
  const decoded = decodeForwardFrame(encodeForwardFrame({ proposals: bytes(5), refusals }))
  expect([...(decoded?.proposals ?? [])]).toEqual([5])
  expect(decoded?.refusals).toEqual(refusals)
  expect(decodeForwardFrame(encodeForwardFrame({ refusals: [] }))).toEqual({
    proposals: undefined,
    refusals: []
  })
})

test('bytes that are no frame decode to nothing and never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (garbage) => {
      decodeRaftFrame(garbage)
      decodeForwardFrame(garbage)
    })
  )
  expect(decodeRaftFrame(bytes(0x93, 0xc0, 0, 0))).toBeUndefined()
  expect(decodeForwardFrame(bytes(0x91, 0))).toBeUndefined()
})

test('a frame that was changed anywhere decodes to nothing or to a frame of the right shape', () => {
  const frame = encodeRaftFrame({
    messages: [bytes(1, 2, 3)],
    renewal: { incarnation: incarnation(3), t0: monotonicMs(1), wall: timestampMs(2), applied: 7 },
    grant: undefined
  })
  for (let at = 0; at < frame.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = frame.slice()
      changed[at] = (changed[at] ?? 0) ^ (1 << bit)
      const decoded = decodeRaftFrame(changed)
      if (decoded === undefined) continue
      expect(decoded.messages.every((message) => message instanceof Uint8Array)).toBe(true)
      for (const value of Object.values(decoded.renewal ?? {})) expect(typeof value).toBe('number')
    }
  }
})
