import { describe, expect, test } from 'vitest'
import { entriesSize } from '../../../consensus/entry-size.ts'
import { MemoryStorage } from '../../../consensus/memory-storage.ts'
import { NO_BYTES, confStateOf } from '../../../consensus/types.ts'
import { entriesOf } from '../../helpers/raft-peer.ts'

const CONF = confStateOf([1])

/** Entries 4, 5 and 6 of terms 4, 5 and 6, after position 3 of term 3. */
function sample(): MemoryStorage {
  return new MemoryStorage({ compacted: { index: 3, term: 3 }, entries: entriesOf([4, 5, 6], 4) })
}

describe('term', () => {
  test.each([
    [2, 'compacted'],
    [3, 3],
    [4, 4],
    [6, 6],
    [7, 'unavailable']
  ] as const)('at %i is %s', (index, expected) => {
    expect(sample().term(index)).toBe(expected)
  })
})

describe('entries', () => {
  const size = entriesSize(entriesOf([4], 4))
  test.each([
    [3, 5, Infinity, 'compacted'],
    [4, 4, Infinity, []],
    [4, 5, Infinity, [4]],
    [4, 7, Infinity, [4, 5, 6]],
    [4, 7, 0, [4]],
    [4, 7, size, [4]],
    [4, 7, size * 2 - 1, [4]],
    [4, 7, size * 2, [4, 5]]
  ] as const)('from %i to %i within %f bytes', (lo, hi, maxBytes, expected) => {
    const entries = sample().entries(lo, hi, maxBytes)
    expect(typeof entries === 'string' ? entries : entries.map(({ index }) => index)).toEqual(expected)
  })

  test('beyond the end are a bug', () => {
    expect(() => sample().entries(4, 8, Infinity)).toThrow(/beyond/)
  })
})

describe('append', () => {
  test.each([
    [[7], 7, [4, 5, 6, 7]],
    [[8, 8], 5, [4, 8, 8]],
    [[9], 4, [9]],
    [[1, 2, 9], 2, [9]],
    [[1, 2], 2, [4, 5, 6]],
    [[], 1, [4, 5, 6]]
  ] as const)('of terms %j at %i leaves terms %j', (terms, at, expected) => {
    const storage = sample()
    storage.append(entriesOf(terms, at))
    const entries = storage.entries(4, storage.lastIndex() + 1, Infinity)
    if (typeof entries === 'string') throw new Error(entries)
    expect(entries.map(({ term }) => term)).toEqual(expected)
    expect(storage.sizeBytes).toBe(entriesSize(entries))
  })

  test('with a gap is a bug', () => {
    expect(() => {
      sample().append(entriesOf([9], 8))
    }).toThrow(/missing log entries/)
  })
})

describe('compact', () => {
  test.each([
    [3, 'compacted', 4],
    [4, 'ok', 5],
    [6, 'ok', 7]
  ] as const)('up to %i is %s and leaves the first index %i', (index, result, first) => {
    const storage = sample()
    expect(storage.compact(index)).toBe(result)
    expect(storage.firstIndex()).toBe(first)
    expect(storage.term(index)).toBe(index)
    expect(storage.lastIndex()).toBe(6)
  })

  test('of everything leaves nothing to count', () => {
    const storage = sample()
    storage.compact(6)
    expect(storage.sizeBytes).toBe(0)
    storage.append(entriesOf([7], 7))
    expect(storage.lastIndex()).toBe(7)
  })

  test('beyond the end is a bug', () => {
    expect(() => sample().compact(7)).toThrow(/out of bound/)
  })

  test('of a long log a bit at a time keeps what is left readable', () => {
    const storage = new MemoryStorage({ entries: entriesOf(new Array<number>(1_000).fill(1)) })
    for (let index = 1; index < 1_000; index += 7) {
      storage.compact(index)
      expect(storage.firstIndex()).toBe(index + 1)
      expect(storage.entries(index + 1, index + 2, Infinity)).toEqual(entriesOf([1], index + 1))
    }
  })
})

describe('snapshots', () => {
  test('are made at an index of the log, never behind the last one', () => {
    const storage = sample()
    expect(storage.createSnapshot(5, CONF, NO_BYTES)).toMatchObject({ index: 5, term: 5 })
    expect(storage.createSnapshot(5, CONF, NO_BYTES)).toBe('snapshot-out-of-date')
    expect(storage.snapshot()).toMatchObject({ index: 5, confState: CONF })
    expect(storage.initialState().confState).toEqual(CONF)
    expect(storage.firstIndex()).toBe(4)
  })

  test('that are applied replace the log', () => {
    const storage = sample()
    expect(storage.applySnapshot({ index: 9, term: 8, confState: CONF, data: NO_BYTES })).toBe('ok')
    expect([storage.firstIndex(), storage.lastIndex(), storage.term(9), storage.sizeBytes]).toEqual([
      10, 9, 8, 0
    ])
    expect(storage.applySnapshot({ index: 9, term: 8, confState: CONF, data: NO_BYTES })).toBe(
      'snapshot-out-of-date'
    )
  })

  test('come from the given source when there is one', () => {
    const storage = new MemoryStorage({ snapshotSource: () => 'temporarily-unavailable' })
    expect(storage.snapshot()).toBe('temporarily-unavailable')
  })
})
