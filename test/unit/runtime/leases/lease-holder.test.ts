import { expect, test } from 'vitest'
import { incarnation } from '../../../../base/ids.ts'
import { monotonicMs, timestampMs } from '../../../../base/units.ts'
import { LeaseHolder } from '../../../../runtime/leases/lease-holder.ts'

const LEASE_MS = 3_000

function opened(number = 1): LeaseHolder {
  const holder = new LeaseHolder()
  holder.open(incarnation(number))
  return holder
}

function grant(holder: LeaseHolder, t0: number, now: number, number = 1): boolean {
  return holder.granted(
    { incarnation: incarnation(number), t0: monotonicMs(t0), leaseMs: LEASE_MS },
    monotonicMs(now)
  )
}

test('a lease counts from when it was asked for, not from when it was granted', () => {
  const holder = opened()
  expect(holder.valid(monotonicMs(0))).toBe(false)
  expect(grant(holder, 1_000, 1_900)).toBe(true)
  expect([holder.valid(monotonicMs(3_999)), holder.valid(monotonicMs(4_000))]).toEqual([true, false])
})

test('a grant that arrives after its own end is void', () => {
  const holder = opened()
  expect(grant(holder, 1_000, 4_000)).toBe(false)
  expect(holder.valid(monotonicMs(4_000))).toBe(false)
  expect(holder.lapsed(monotonicMs(4_000))).toBe(false)
})

test('no grant revives a lease that has lapsed, for attempts were killed', () => {
  const holder = opened()
  grant(holder, 1_000, 1_100)
  expect(holder.lapsed(monotonicMs(4_000))).toBe(true)
  expect(grant(holder, 3_900, 4_000)).toBe(false)
  expect(holder.valid(monotonicMs(4_000))).toBe(false)
})

test('an older grant does not shorten a lease', () => {
  const holder = opened()
  grant(holder, 2_000, 2_100)
  expect(grant(holder, 1_000, 2_200)).toBe(false)
  expect(holder.deadline).toBe(5_000)
})

test('a grant for another incarnation is void, and a new incarnation begins without a lease', () => {
  const holder = opened()
  expect(grant(holder, 1_000, 1_100, 2)).toBe(false)
  grant(holder, 1_000, 1_100)
  holder.open(incarnation(2))
  expect(holder.valid(monotonicMs(1_200))).toBe(false)
  expect(grant(holder, 1_000, 1_200, 1)).toBe(false)
  expect(grant(holder, 1_150, 1_200, 2)).toBe(true)
})

test('opening the same incarnation again keeps its lease', () => {
  const holder = opened()
  grant(holder, 1_000, 1_100)
  holder.open(incarnation(1))
  expect(holder.valid(monotonicMs(1_200))).toBe(true)
})

test('a closed lease is not valid, asks for nothing and takes no grant', () => {
  const holder = opened()
  grant(holder, 1_000, 1_100)
  holder.close()
  expect(holder.valid(monotonicMs(1_200))).toBe(false)
  expect(grant(holder, 1_150, 1_200)).toBe(false)
  expect(holder.renewal(monotonicMs(9_000), timestampMs(0), 0, 1)).toBeUndefined()
})

test('renewals keep their interval', () => {
  const holder = opened()
  const ask = (now: number): number | undefined =>
    holder.renewal(monotonicMs(now), timestampMs(0), 5, 300)?.t0
  expect([ask(1_000), ask(1_299), ask(1_300)]).toEqual([1_000, undefined, 1_300])
})
