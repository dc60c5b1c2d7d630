/** The log made of storage and unstable tail against a plain array of entries. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SILENT_LOGGER } from '../../consensus/config.ts'
import { entriesSize, entrySize } from '../../consensus/entry-size.ts'
import { RaftLog } from '../../consensus/log.ts'
import { MemoryStorage } from '../../consensus/memory-storage.ts'
import type { Entry } from '../../consensus/types.ts'
import { entriesOf } from '../helpers/raft-peer.ts'

type Step =
  | { readonly kind: 'append'; readonly back: number; readonly count: number }
  | { readonly kind: 'accept' | 'stabilize' | 'commit' | 'apply' | 'compact'; readonly amount: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('append' as const), back: fc.nat(4), count: fc.nat(5) })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('accept', 'stabilize', 'commit', 'apply', 'compact'),
      amount: fc.nat(4)
    })
  }
)

/** Storage, log and their model, driven by the same steps. */
class Driver {
  readonly storage = new MemoryStorage()
  readonly log = new RaftLog(this.storage, Infinity, SILENT_LOGGER)
  /** All entries ever; index i + 1 at i. Compaction is only a number. */
  model: Entry[] = []
  compacted = 0
  committed = 0
  applied = 0
  private term = 1
  private writing: Entry[][] = []

  run(step: Step): void {
    switch (step.kind) {
      case 'append':
        this.append(Math.max(this.committed, this.model.length - step.back), step.count)
        return
      case 'accept':
        this.writing.push([...this.log.unstable.nextEntries()])
        this.log.unstable.acceptInProgress()
        return
      case 'stabilize':
        this.stabilize()
        return
      case 'commit':
        this.committed = Math.min(this.model.length, this.committed + step.amount)
        this.log.commitTo(this.committed)
        return
      case 'apply':
        this.apply(step.amount)
        return
      case 'compact':
        this.compact(step.amount)
    }
  }

  /** All that is still to be written reaches storage. */
  finish(): void {
    this.run({ kind: 'accept', amount: 0 })
    while (this.writing.length > 0) this.stabilize()
  }

  private append(after: number, count: number): void {
    if (after < this.model.length) this.term++
    const entries = entriesOf(new Array<number>(count).fill(this.term), after + 1)
    if (count > 0) this.model = [...this.model.slice(0, after), ...entries]
    this.log.append(entries)
  }

  /** The oldest write reaches storage; it counts only if nothing replaced it since. */
  private stabilize(): void {
    const entries = this.writing.shift()
    if (entries === undefined) return
    this.storage.append(entries)
    const last = entries.at(-1)
    const replaced = this.writing.some((later) => (later[0]?.index ?? Infinity) <= (last?.index ?? 0))
    if (last !== undefined && !replaced) this.log.unstable.stableTo(last.index, last.term)
  }

  private apply(count: number): void {
    const next = this.log.nextCommitted(true).slice(0, count)
    expect(next).toEqual(this.model.slice(this.log.applying, this.log.applying + next.length))
    const last = next.at(-1)
    if (last === undefined) return
    this.applied = last.index
    this.log.acceptApplying(last.index, entriesSize(next), true)
    this.log.appliedTo(last.index, entriesSize(next))
  }

  private compact(amount: number): void {
    const index = Math.min(
      this.compacted + amount,
      this.applied,
      this.storage.lastIndex(),
      this.log.unstable.offset - 1
    )
    if (index <= this.compacted) return
    this.storage.compact(index)
    this.compacted = index
  }
}

function checkAgainstModel({ log, storage, model, compacted, committed, applied }: Driver): void {
  expect(log.firstIndex).toBe(compacted + 1)
  expect(log.lastIndex).toBe(model.length)
  expect(log.lastTerm).toBe(model.at(-1)?.term ?? 0)
  expect(log.committed).toBe(committed)
  expect(log.applied).toBe(applied)
  for (let index = compacted; index <= model.length; index++) {
    expect(log.term(index)).toBe(index === 0 ? 0 : model[index - 1]?.term)
  }
  expect(log.term(model.length + 1)).toBe('unavailable')
  if (compacted > 0) expect(log.term(compacted - 1)).toBe('compacted')
  expect(log.entries(compacted + 1, Infinity)).toEqual(model.slice(compacted))
  const held = storage.entries(storage.firstIndex(), storage.lastIndex() + 1, Infinity)
  expect(storage.sizeBytes).toBe(entriesSize(held as readonly Entry[]))
}

test('storage and unstable tail together read like one array', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const driver = new Driver()
      for (const one of steps) {
        driver.run(one)
        checkAgainstModel(driver)
      }
    }),
    { numRuns: 300 }
  )
})

test('what is handed out for writing makes storage equal to the log, whatever was replaced meanwhile', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const driver = new Driver()
      for (const one of steps) driver.run(one)
      driver.finish()
      const { storage, log, model, compacted } = driver
      expect(log.unstable.length).toBe(0)
      expect(storage.entries(compacted + 1, storage.lastIndex() + 1, Infinity)).toEqual(
        model.slice(compacted)
      )
    }),
    { numRuns: 300 }
  )
})

test('a page of the log is its longest prefix within the limit, and never empty', () => {
  fc.assert(
    fc.property(fc.nat(12), fc.nat(12), fc.nat(400), (stored, unstable, limit) => {
      const storage = new MemoryStorage({ entries: entriesOf(new Array<number>(stored).fill(1)) })
      const log = new RaftLog(storage, Infinity, SILENT_LOGGER)
      log.append(entriesOf(new Array<number>(unstable).fill(1), stored + 1))
      const all = entriesOf(new Array<number>(stored + unstable).fill(1))
      for (let lo = 1; lo <= all.length; lo++) {
        let size = 0
        const expected = all.slice(lo - 1).filter((entry, at) => {
          size += entrySize(entry)
          return at === 0 || size <= limit
        })
        expect(log.entries(lo, limit)).toEqual(expected)
      }
    }),
    { numRuns: 50 }
  )
})

test('an append of a leader leaves the log equal to the leader’s up to its end, if they agreed before it', () => {
  const terms = fc
    .array(fc.integer({ min: 1, max: 4 }), { maxLength: 8 })
    .map((list) => list.sort((a, b) => a - b))
  fc.assert(
    fc.property(terms, terms, fc.nat(8), fc.nat(10), (ours, theirs, prevAt, leaderCommit) => {
      const log = new RaftLog(new MemoryStorage({ entries: entriesOf(ours) }), Infinity, SILENT_LOGGER)
      const prev = Math.min(prevAt, theirs.length)
      const prevTerm = prev === 0 ? 0 : (theirs[prev - 1] ?? 0)
      const agree = prev <= ours.length && (prev === 0 || ours[prev - 1] === prevTerm)
      const sent = entriesOf(theirs).slice(prev)
      const result = log.maybeAppend(prev, prevTerm, sent, leaderCommit)
      expect(result).toBe(agree ? theirs.length : undefined)
      if (!agree) {
        expect(log.entries(1, Infinity)).toEqual(entriesOf(ours))
        return
      }
      expect(log.committed).toBe(Math.min(leaderCommit, theirs.length))
      const now = log.entries(1, Infinity) as readonly Entry[]
      expect(now.slice(prev, theirs.length)).toEqual(sent)
      // What follows is only cut off by a conflict: a late append must not remove newer entries.
      const conflict = theirs.some((term, at) => at >= prev && at < ours.length && ours[at] !== term)
      expect(now.length).toBe(conflict ? theirs.length : Math.max(ours.length, theirs.length))
    })
  )
})
