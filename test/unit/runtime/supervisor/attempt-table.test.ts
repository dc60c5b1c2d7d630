import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createAttemptTable } from '../../../../runtime/supervisor/attempt-table.ts'
import type { AttemptTable, Effect, Supervised } from '../../../../runtime/supervisor/attempt-table.ts'

const MARGIN = 10
const spec = (key: number, over: Partial<Supervised<number>> = {}): Supervised<number> => ({
  key,
  incarnation: 1,
  startToCloseMs: 0,
  killGraceMs: 50,
  onLeaseLoss: 'kill',
  ...over
})

/** A table whose incarnation 1 has a deadline of 1,000. */
function leased(): AttemptTable<number> {
  const table = createAttemptTable<number>({ leaseMarginMs: MARGIN })
  table.extendLease(1, 1000, 0)
  return table
}
function running(over: Partial<Supervised<number>> = {}): AttemptTable<number> {
  const table = leased()
  table.begin(spec(7, over), 0)
  table.launched(7, 0)
  return table
}
const KILL: Effect<number> = { type: 'kill', key: 7 }
const stopped = (reason: string): unknown => ({ type: 'exit', key: 7, ending: { type: 'stopped', reason } })
const ITSELF = { type: 'exit', key: 7, ending: { type: 'itself' } }
const NO_LEASE = { type: 'exit', key: 7, ending: { type: 'not-started', reason: 'lease' } }

test('nothing starts without a lease, within its margin, or after the incarnation ended', () => {
  const none = createAttemptTable<number>({ leaseMarginMs: MARGIN })
  expect(none.begin(spec(7), 0)).toEqual([NO_LEASE])
  expect(leased().begin(spec(7), 990)).toEqual([NO_LEASE])
  expect(leased().begin(spec(7), 989)).toEqual([{ type: 'launch', key: 7 }])
  const ended = leased()
  ended.endIncarnation(1)
  ended.extendLease(1, 5000, 0)
  expect(ended.begin(spec(7), 0)).toEqual([NO_LEASE])
})

test('what ends by itself is swept before it is reported', () => {
  const table = running()
  expect(table.ended(7)).toEqual([KILL])
  expect(table.gone(7)).toEqual([ITSELF])
  expect(table.size).toBe(0)
})

test('a stop asks, and kills when the grace is over', () => {
  const table = running()
  expect(table.stop(7, 'cancel', 100)).toEqual([{ type: 'ask', key: 7, reason: 'cancel' }])
  expect(table.nextWake()).toBe(150)
  expect(table.tick(149)).toEqual([])
  expect(table.tick(150)).toEqual([KILL])
  expect(table.gone(7)).toEqual([stopped('cancel')])
})

test('what obeys leaves the rest of its tree the rest of the grace', () => {
  const table = running()
  table.stop(7, 'drain', 100)
  expect(table.ended(7)).toEqual([{ type: 'watch', key: 7 }])
  expect(table.tick(150)).toEqual([KILL])
  expect(table.gone(7)).toEqual([stopped('drain')])
})

test('what had ended before the request reached it ended by itself', () => {
  const table = running()
  table.stop(7, 'cancel', 100)
  table.ended(7, { beforeAsk: true })
  expect(table.gone(7)).toEqual([ITSELF])
})

test('an attempt that runs too long is asked to stop for its timeout', () => {
  const table = running({ startToCloseMs: 30 })
  expect(table.nextWake()).toBe(30)
  expect(table.tick(29)).toEqual([])
  expect(table.tick(30)).toEqual([{ type: 'ask', key: 7, reason: 'timeout' }])
  expect(table.tick(80)).toEqual([KILL])
})

test('the timeout counts from the launch, not from the begin', () => {
  const table = leased()
  table.begin(spec(7, { startToCloseMs: 30 }), 0)
  expect(table.tick(500)).toEqual([])
  table.launched(7, 500)
  expect(table.nextWake()).toBe(530)
})

test('at the margin everything of the incarnation is killed, unless it may outlive its lease', () => {
  const table = running()
  table.begin(spec(8, { onLeaseLoss: 'continue' }), 0)
  expect(table.nextWake()).toBe(990)
  expect(table.tick(989)).toEqual([])
  expect(table.tick(990)).toEqual([KILL])
  expect(table.gone(7)).toEqual([stopped('lease')])
  expect(table.endIncarnation(1)).toEqual([{ type: 'kill', key: 8 }])
})

test('an extension that arrives after the margin was reached saves nobody', () => {
  const table = running()
  expect(table.extendLease(1, 5000, 995)).toEqual([KILL])
  table.gone(7)
  expect(table.begin(spec(9), 996)).toEqual([{ type: 'launch', key: 9 }])
})

test('an extension in time moves the deadline, and an older one does not move it back', () => {
  const table = running()
  table.extendLease(1, 2000, 500)
  table.extendLease(1, 1500, 501)
  expect(table.nextWake()).toBe(1990)
})

test('an attempt that had not begun is withdrawn with the reason it was stopped for', () => {
  const table = leased()
  table.begin(spec(7), 0)
  table.stop(7, 'cancel', 1)
  expect(table.withdrawn(7)).toEqual([
    { type: 'exit', key: 7, ending: { type: 'not-started', reason: 'cancel' } }
  ])
})

test('a second stop, a stop of the unknown and a stop after a kill do nothing', () => {
  const table = running()
  table.stop(7, 'cancel', 0)
  expect(table.stop(7, 'drain', 0)).toEqual([])
  expect(table.stop(8, 'drain', 0)).toEqual([])
  table.tick(50)
  expect(table.stop(7, 'drain', 60)).toEqual([])
  expect(table.gone(7)).toEqual([stopped('cancel')])
})

test('what no lease limits lives on when leases lapse and incarnations end', () => {
  const table = leased()
  expect(table.begin(spec(5, { incarnation: 0 }), 99_999)).toEqual([{ type: 'launch', key: 5 }])
  expect(table.tick(99_999)).toEqual([])
  expect(table.endIncarnation(1)).toEqual([])
  table.rebind(5, 2, 'kill')
  table.extendLease(2, 200_000, 99_999)
  expect(table.tick(199_990)).toEqual([{ type: 'kill', key: 5 }])
})

type Step =
  | { readonly do: 'begin' | 'launched' | 'ended' | 'gone' | 'withdrawn' | 'stop'; readonly key: number }
  | { readonly do: 'tick' | 'extend'; readonly ms: number }
  | { readonly do: 'end' }
const key = fc.integer({ min: 1, max: 4 })
const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constantFrom('begin' as const, 'launched' as const, 'ended' as const, 'gone' as const),
      key
    }),
    fc.record({ do: fc.constantFrom('withdrawn' as const, 'stop' as const), key }),
    fc.record({
      do: fc.constantFrom('tick' as const, 'extend' as const),
      ms: fc.integer({ min: 0, max: 400 })
    }),
    fc.record({ do: fc.constant('end' as const) })
  ),
  { maxLength: 60 }
)

test('whatever the order of events, each begin has one exit, and a late tick leaves nothing unkilled', () => {
  fc.assert(
    fc.property(steps, (script: Step[]) => {
      const table = leased()
      let now = 0
      let used = 0
      const begun = new Map<number, number>()
      const exits = new Map<number, number>()
      const kills = new Set<number>()
      const note = (effects: readonly Effect<number>[]): void => {
        for (const effect of effects) {
          if (effect.type === 'exit') exits.set(effect.key, (exits.get(effect.key) ?? 0) + 1)
          if (effect.type === 'kill') kills.add(effect.key)
        }
      }
      const current = (slot: number): number => begun.get(slot) ?? -1
      for (const step of script) {
        switch (step.do) {
          case 'begin':
            begun.set(step.key, ++used)
            note(table.begin(spec(used, { startToCloseMs: 30 * step.key }), now))
            break
          case 'launched':
          case 'stop':
            note(
              step.do === 'stop'
                ? table.stop(current(step.key), 'cancel', now)
                : table.launched(current(step.key), now)
            )
            break
          case 'ended':
          case 'gone':
          case 'withdrawn':
            note(table[step.do](current(step.key)))
            break
          case 'tick':
            now += step.ms
            note(table.tick(now))
            break
          case 'extend':
            note(table.extendLease(1, now + step.ms, now))
            break
          case 'end':
            note(table.endIncarnation(1))
        }
      }
      // Whatever is left is killed at the latest when the lease has run out and the grace is over.
      note(table.tick(now + 10_000))
      note(table.tick(now + 20_000))
      for (let token = 1; token <= used; token++) {
        if (table.has(token)) {
          expect(kills.has(token)).toBe(true)
          note(table.gone(token))
        }
        expect(exits.get(token)).toBe(1)
      }
      expect(table.size).toBe(0)
      expect(table.hasIncarnation(1)).toBe(false)
      expect(table.nextWake()).toBeUndefined()
    })
  )
})
