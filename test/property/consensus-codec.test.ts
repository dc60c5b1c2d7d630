/** Encoded messages and records: whatever is encoded decodes to itself, and whatever decodes was encoded. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeConfState,
  decodeEntries,
  decodeHardState,
  decodeMessage,
  decodeSnapshotMetadata,
  encodeConfState,
  encodeEntries,
  encodeHardState,
  encodeMessage,
  encodeSnapshotMetadata
} from '../../consensus/codec.ts'
import { DecodeError } from '../../consensus/bytes.ts'
import { RawNode } from '../../consensus/raw-node.ts'
import { MemoryStorage } from '../../consensus/memory-storage.ts'
import { InvariantError } from '../../base/invariant.ts'
import { createRng } from '../../base/prng.ts'
import { confStateOf } from '../../consensus/types.ts'
import { confState, entry, message } from '../helpers/raft-arbitraries.ts'

/** The value, or undefined when the bytes were refused in the way that bytes are refused. */
function decoded<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

test('a message of any type decodes to itself', () => {
  fc.assert(
    fc.property(message, (one) => {
      expect(decodeMessage(encodeMessage(one))).toEqual(one)
    }),
    { numRuns: 1_000 }
  )
})

test('entries, hard states, memberships and places of snapshots decode to themselves', () => {
  const number = fc.maxSafeNat()
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 5 }),
      confState,
      number,
      number,
      number,
      (entries, state, a, b, c) => {
        expect(decodeEntries(encodeEntries(entries))).toEqual(entries)
        expect(decodeConfState(encodeConfState(state))).toEqual(state)
        const hardState = { term: a, vote: b, commit: c }
        expect(decodeHardState(encodeHardState(hardState))).toEqual(hardState)
        const place = { index: a, term: b, confState: state }
        expect(decodeSnapshotMetadata(encodeSnapshotMetadata(place))).toEqual(place)
      }
    )
  )
})

test('every proper prefix of a message is refused, and so is anything after it', () => {
  fc.assert(
    fc.property(message, fc.integer({ min: 0, max: 255 }), (one, extra) => {
      const bytes = encodeMessage(one)
      for (let length = 0; length < bytes.length; length++) {
        expect(decoded(decodeMessage, bytes.subarray(0, length))).toBeUndefined()
      }
      expect(decoded(decodeMessage, new Uint8Array([...bytes, extra]))).toBeUndefined()
    }),
    { numRuns: 100 }
  )
})

test('a damaged message is refused or is another message, which encodes to just these bytes', () => {
  fc.assert(
    fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, at, flip) => {
      const bytes = encodeMessage(one)
      const place = at % bytes.length
      bytes[place] = (bytes[place] ?? 0) ^ flip
      const other = decoded(decodeMessage, bytes)
      if (other !== undefined) expect(encodeMessage(other)).toEqual(bytes)
    }),
    { numRuns: 3_000 }
  )
})

test('random bytes never do worse than being refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const decode of [
        decodeMessage,
        decodeEntries,
        decodeHardState,
        decodeConfState,
        decodeSnapshotMetadata
      ]) {
        decoded<unknown>(decode, bytes)
      }
    }),
    { numRuns: 5_000 }
  )
})

test('whatever decodes can be stepped: it is taken, ignored, or stops on a broken promise of its sender', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
      const storage = new MemoryStorage({ confState: confStateOf([1, 2, 3]) })
      const node = new RawNode({ id: 1, electionTicks: 10, heartbeatTicks: 1, storage, rng: createRng(7) })
      try {
        for (const one of messages) {
          node.step(decodeMessage(encodeMessage({ ...one, to: 1 })))
          node.tick()
        }
      } catch (error) {
        // A commit index beyond the log, or a term that falls, can only come from a peer that lost its state.
        expect(error).toBeInstanceOf(InvariantError)
      }
    }),
    { numRuns: 500 }
  )
})
