import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyBatch } from '../../scheduler/apply/index.ts'
import { decodeBatch, encodeBatch } from '../../scheduler/codec.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Row } from '../../scheduler/keys.ts'
import { isHotKey } from '../../scheduler/keys.ts'
import {
  drainChanges,
  loadState,
  recomputeChecksum,
  rowsChecksum,
  stateChecksum
} from '../../scheduler/records.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import { createState } from '../../scheduler/state.ts'
import { InvariantChecker } from '../helpers/scheduler-invariants.ts'
import { generateLog } from '../helpers/scheduler-log.ts'

/** A store that takes drains as the runtime does: deletes, then puts. */
class Store {
  readonly rows = new Map<string, Uint8Array>()

  drain(state: SchedulerState): void {
    const { deletes, puts } = drainChanges(state)
    for (const key of deletes) this.rows.delete(key)
    for (const { key, value } of puts) this.rows.set(key, value)
  }

  hot(): Row[] {
    const keys = [...this.rows.keys()].filter(isHotKey).sort()
    return keys.map((key) => ({ key, value: this.rows.get(key) ?? new Uint8Array(0) }))
  }
}

const seeds = fc.integer({ min: 0, max: 2 ** 31 })

test('two machines, and a third from a snapshot in the middle, agree whatever is applied and drained when', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 150 }), seeds, (seed, cut, drains) => {
      const whole = createState()
      const other = createState()
      let resumed: SchedulerState | undefined
      const store = new Store()
      const otherStore = new Store()
      const resumedStore = new Store()
      let index = 0
      for (const generated of generateLog(seed, 160)) {
        const batch = decodeBatch(encodeBatch(generated))
        expect(batch).toEqual(generated)
        applyBatch(whole, batch, [])
        applyBatch(other, batch, [])
        if (resumed !== undefined) applyBatch(resumed, batch, [])
        index++
        if (((drains >>> (index % 31)) & 1) === 1) otherStore.drain(other)
        if (((drains >>> (index % 29)) & 1) === 1 && resumed !== undefined) resumedStore.drain(resumed)
        if (index === cut) {
          otherStore.drain(other)
          const rows = otherStore.hot()
          for (const [key, value] of otherStore.rows) resumedStore.rows.set(key, value)
          resumed = loadState(rows)
          expect(stateChecksum(resumed)).toBe(stateChecksum(other))
        }
      }
      store.drain(whole)
      otherStore.drain(other)
      if (resumed !== undefined) resumedStore.drain(resumed)
      expect(stateChecksum(other)).toBe(stateChecksum(whole))
      expect(resumed === undefined ? '' : stateChecksum(resumed)).toBe(stateChecksum(whole))
      expect(recomputeChecksum(whole)).toBe(stateChecksum(whole))
      expect(rowsChecksum(otherStore.hot())).toBe(stateChecksum(whole))
      // Cold rows too: history, its index and blobs are the same whenever they were drained.
      expect([...otherStore.rows.keys()].sort()).toEqual([...store.rows.keys()].sort())
      expect([...resumedStore.rows.keys()].sort()).toEqual([...store.rows.keys()].sort())
    }),
    { numRuns: 40 }
  )
})

test('the invariants hold after every entry of any log', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const state = createState()
      const checker = new InvariantChecker()
      for (const batch of generateLog(seed, 150)) {
        const events: SchedulerEvent[] = []
        applyBatch(state, batch, events)
        checker.check(state, events)
      }
    }),
    { numRuns: 60 }
  )
})

test('events are the same on every machine', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const first = createState()
      const second = createState()
      for (const batch of generateLog(seed, 60)) {
        const a: SchedulerEvent[] = []
        const b: SchedulerEvent[] = []
        applyBatch(first, batch, a)
        applyBatch(second, decodeBatch(encodeBatch(batch)), b)
        expect(b.map((event) => event.type)).toEqual(a.map((event) => event.type))
      }
    }),
    { numRuns: 15 }
  )
})
