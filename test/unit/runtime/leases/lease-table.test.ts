import { expect, test } from 'vitest'
import { incarnation, nodeId } from '../../../../base/ids.ts'
import { monotonicMs, timestampMs } from '../../../../base/units.ts'
import { LeaseTable } from '../../../../runtime/leases/lease-table.ts'

const NODE = nodeId(2)
const LEASE_MS = 3_000
const MARGIN_MS = 200

/** The leader of a cluster where node 2 has opened incarnation 1; times are the leader's. */
function table(): LeaseTable {
  const leases = new LeaseTable()
  leases.opened(NODE, incarnation(1), monotonicMs(LEASE_MS + MARGIN_MS))
  return leases
}

function renew(leases: LeaseTable, t0: number, receivedAt: number, number = 1): void {
  const renewal = { incarnation: incarnation(number), t0: monotonicMs(t0), wall: timestampMs(0), applied: 9 }
  leases.received(NODE, renewal, { monotonic: receivedAt, wall: 25 })
}

test('a renewal is granted only by a round that began after its receipt', () => {
  const leases = table()
  renew(leases, 500, 100)
  expect(leases.beginRound()).toBe(true)
  renew(leases, 600, 200)
  const first = leases.confirmRound(LEASE_MS, MARGIN_MS)
  expect(first).toEqual([{ node: NODE, grant: { incarnation: 1, t0: 500, leaseMs: LEASE_MS } }])
  expect(leases.beginRound()).toBe(true)
  expect(leases.confirmRound(LEASE_MS, MARGIN_MS).map(({ grant }) => grant.t0)).toEqual([600])
})

test('nothing is granted without a confirmed round', () => {
  const leases = table()
  renew(leases, 500, 100)
  expect(leases.confirmRound(LEASE_MS, MARGIN_MS)).toEqual([])
  expect(leases.remainingMs(NODE, monotonicMs(0))).toBe(LEASE_MS + MARGIN_MS)
})

test('a round that was given up grants nothing late; the next one covers its renewals', () => {
  const leases = table()
  renew(leases, 500, 100)
  leases.beginRound()
  leases.abandonRound()
  expect(leases.confirmRound(LEASE_MS, MARGIN_MS)).toEqual([])
  expect(leases.beginRound()).toBe(true)
  expect(leases.confirmRound(LEASE_MS, MARGIN_MS)).toHaveLength(1)
})

test("the leader's view ends a margin after the lease that it granted", () => {
  const leases = table()
  renew(leases, 500, 100)
  leases.beginRound()
  leases.confirmRound(LEASE_MS, MARGIN_MS)
  expect(leases.takeExpired(monotonicMs(100 + LEASE_MS + MARGIN_MS - 1))).toEqual([])
  expect(leases.holds(NODE, incarnation(1), monotonicMs(100 + LEASE_MS + MARGIN_MS - 1))).toBe(true)
  expect(leases.holds(NODE, incarnation(1), monotonicMs(100 + LEASE_MS + MARGIN_MS))).toBe(false)
  expect(leases.takeExpired(monotonicMs(100 + LEASE_MS + MARGIN_MS))).toHaveLength(1)
})

test('a new leader presumes every open incarnation alive for a whole lease', () => {
  const leases = new LeaseTable()
  leases.reset([{ node: NODE, incarnation: incarnation(4) }], monotonicMs(10_000))
  expect(leases.takeExpired(monotonicMs(9_999))).toEqual([])
  expect(leases.takeExpired(monotonicMs(10_000))).toEqual([{ node: NODE, incarnation: 4 }])
})

test('an expired incarnation is told once and gets no grant any more', () => {
  const leases = table()
  renew(leases, 500, 100)
  leases.beginRound()
  expect(leases.takeExpired(monotonicMs(9_999))).toHaveLength(1)
  expect(leases.takeExpired(monotonicMs(9_999))).toEqual([])
  expect(leases.confirmRound(LEASE_MS, MARGIN_MS)).toEqual([])
  renew(leases, 9_000, 9_999)
  expect(leases.beginRound()).toBe(false)
  expect(leases.holds(NODE, incarnation(1), monotonicMs(0))).toBe(false)
})

test('a renewal of another incarnation is not granted', () => {
  const leases = table()
  renew(leases, 500, 100, 2)
  expect(leases.beginRound()).toBe(false)
  renew(leases, 500, 100)
  leases.beginRound()
  leases.opened(NODE, incarnation(2), monotonicMs(9_000))
  expect(leases.confirmRound(LEASE_MS, MARGIN_MS)).toEqual([])
})

test('the end of an incarnation drops its lease, not that of its successor', () => {
  const leases = table()
  leases.opened(NODE, incarnation(2), monotonicMs(9_000))
  leases.ended(NODE, incarnation(1))
  expect(leases.holds(NODE, incarnation(2), monotonicMs(0))).toBe(true)
  leases.ended(NODE, incarnation(2))
  expect(leases.holds(NODE, incarnation(2), monotonicMs(0))).toBe(false)
})

test('every renewal says how far the node is and how its clock stands', () => {
  const leases = table()
  renew(leases, 500, 100, 7)
  expect(leases.report(NODE)).toEqual({ applied: 9, clockOffsetMs: -25, heardAt: 100 })
})
