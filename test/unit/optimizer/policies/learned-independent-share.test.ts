import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { timestampMs } from '../../../../base/units.ts'
import { ArrivalShare } from '../../../../optimizer/policies/learned/arrival-share.ts'
import { allows, ExpectedEnds } from '../../../../optimizer/policies/learned/reservation.ts'
import { SimView, LiveNode, LiveTask } from '../../../../optimizer/sim/view.ts'
import type { LiveAttempt } from '../../../../optimizer/sim/view.ts'
import { machineOf, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

/** A machine of 4,000 slots, one for each thousandth of a processor, and tasks that a test places by hand. */
function scene(sketches: readonly TaskSketch[]): {
  view: SimView
  ends: ExpectedEnds
  task: (id: number) => LiveTask
  place: (share: ArrivalShare, id: number, meanMs: number) => LiveAttempt
} {
  const tasks = sketches.map((sketch, index) => new LiveTask(taskOf(sketch, index), []))
  const view = new SimView(
    tasks,
    machineOf(4000).map((node) => new LiveNode(node))
  )
  const ends = new ExpectedEnds()
  const task = (id: number): LiveTask => view.task(taskId(id))!
  const place = (share: ArrivalShare, id: number, meanMs: number): LiveAttempt => {
    const placed = task(id)
    const host = view.allNodes[0]!
    const attempt: LiveAttempt = {
      kind: 'attempt',
      taskId: placed.id,
      node: host.id,
      placedAt: view.now,
      task: placed,
      host,
      attempt: 1,
      startedAt: view.now,
      endsAt: Infinity,
      succeeds: true,
      slot: -1
    }
    view.addAttempt(attempt)
    ends.began(placed, host.id, view.now, meanMs)
    share.started(placed.id, meanMs, meanMs * (placed.resources['cpu'] ?? 0))
    return attempt
  }
  return { view, ends, task, place }
}

const narrow = { work: 1, cpu: 1000 }
const wide = { work: 1, cpu: 4000 }

test('the earliest of the highest priority is owed, once it has waited and there is credit', () => {
  const { view, ends, task, place } = scene([narrow, narrow, narrow, { ...narrow, priority: 3 }])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 1 })
  for (const id of [1, 2, 3]) share.ready(task(id))
  expect(share.owed(view)).toBeUndefined()
  place(share, 1, 1000)
  view.now = timestampMs(999)
  expect(share.owed(view)).toBeUndefined()
  view.now = timestampMs(1000)
  expect(share.owed(view)?.id).toBe(2)
  share.ready(task(4))
  expect(share.owed(view)?.id).toBe(4)
  share.gone(taskId(4))
  expect(share.owed(view)?.id).toBe(2)
  place(share, 2, 1000)
  // It cost what it and the first have earned, half each: the credit is spent.
  expect(share.owed(view)).toBeUndefined()
})

test('a reservation is when those that run leave room, and lets pass what ends before or needs nothing of it', () => {
  const { view, ends, task, place } = scene([narrow, narrow, wide, narrow])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3, 4]) share.ready(task(id))
  place(share, 1, 1000)
  place(share, 2, 5000)
  const reservation = share.room.reserve(task(3), view)!
  expect(reservation).toMatchObject({ taskId: 3, node: 1, at: 5000 })
  const node = view.allNodes[0]!
  expect(allows(reservation, task(4), node, 5000)).toBe(true)
  expect(allows(reservation, task(4), node, 5001)).toBe(false)
})

test('what the owed task will not need is for all', () => {
  const { view, ends, task, place } = scene([
    { work: 1, cpu: 2000 },
    narrow,
    { work: 1, cpu: 2000 },
    narrow,
    wide
  ])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3, 4, 5]) share.ready(task(id))
  place(share, 1, 1000)
  place(share, 2, 5000)
  const reservation = share.room.reserve(task(3), view)!
  expect(reservation.at).toBe(1000)
  expect(allows(reservation, task(4), view.allNodes[0]!, Infinity)).toBe(true)
  expect(allows(reservation, task(5), view.allNodes[0]!, Infinity)).toBe(false)
})

test('an attempt that outlives its end moves the reservation on', () => {
  const { view, ends, task, place } = scene([wide, wide])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  share.ready(task(1))
  share.ready(task(2))
  place(share, 1, 1000)
  expect(share.room.reserve(task(2), view)?.at).toBe(1000)
  view.now = timestampMs(3000)
  expect(share.room.reserve(task(2), view)?.at).toBe(4500)
})

test('room that stands idle for a reservation is paid for, until there is no credit left', () => {
  const { view, ends, task, place } = scene([narrow, wide, narrow])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3]) share.ready(task(id))
  place(share, 1, 10_000)
  expect(share.owed(view)?.id).toBe(2)
  share.room.refused(view.allNodes[0]!, view.now)
  // Credit is half of 10 s; three of four processors stand idle.
  view.now = timestampMs(1600)
  expect(share.owed(view)?.id).toBe(2)
  share.room.refused(view.allNodes[0]!, view.now)
  view.now = timestampMs(1700)
  expect(share.owed(view)).toBeUndefined()
})

test('time alone lets go of what stands idle when the credit is gone or the reservation is due, whichever comes first', () => {
  const held = (running: readonly number[], meanMs: number): { share: ArrivalShare; view: SimView } => {
    const { view, ends, task, place } = scene([narrow, wide, narrow, narrow])
    const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
    for (const id of [2, ...running]) share.ready(task(id))
    for (const id of running) place(share, id, meanMs)
    share.room.reserve(share.owed(view)!, view)
    expect(share.room.idleUntil).toBe(Infinity)
    share.room.refused(view.allNodes[0]!, view.now)
    return { share, view }
  }
  // Half of 10 s on one processor pays for three that stand idle.
  const { share, view } = held([1], 10_000)
  expect(share.room.idleUntil).toBe(1667)
  view.now = timestampMs(1667)
  expect(share.owed(view)).toBeUndefined()
  expect(share.room.idleUntil).toBe(Infinity)
  // Half of three times 1 s pays for one for longer than they run.
  expect(held([1, 3, 4], 1000).share.room.idleUntil).toBe(1000)
})

test('what could be had now but is not taken ends with the credit, not at once and again', () => {
  const { view, ends, task, place } = scene([narrow, wide, narrow])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 3]) share.ready(task(id))
  place(share, 1, 1000)
  expect(share.room.reserve(task(3), view)?.at).toBe(0)
  share.room.refused(view.allNodes[0]!, view.now)
  expect(share.room.idleUntil).toBe(167)
})

test('a reservation that used up the credit in vain is held again only when it can be paid for until its time', () => {
  const { view, ends, task, place } = scene([narrow, wide, narrow, narrow])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3, 4]) share.ready(task(id))
  place(share, 1, 10_000)
  expect(share.owed(view)?.id).toBe(2)
  expect(share.room.reserve(task(2), view)?.at).toBe(10_000)
  share.room.refused(view.allNodes[0]!, view.now)
  view.now = timestampMs(1700)
  expect(share.owed(view)).toBeUndefined()
  // Two processors would stand idle for 8.3 s; the half of 1 s on one has been earned, less what was overdrawn.
  place(share, 3, 1000)
  expect(share.owed(view)?.id).toBe(2)
  expect(share.room.reserve(task(2), view)).toBeUndefined()
  view.now = timestampMs(9900)
  expect(share.room.reserve(task(2), view)?.at).toBe(10_000)
  // Another task's is another try.
  view.now = timestampMs(1700)
  expect(share.room.reserve(task(4), view)).toMatchObject({ taskId: 4, at: 1700 })
})

test('where nodes have changed room is looked for anew', () => {
  const { view, ends, task, place } = scene([narrow, wide])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2]) share.ready(task(id))
  place(share, 1, 1000)
  const before = share.room.reserve(task(2), view)
  expect(share.room.reserve(task(2), view)).toBe(before)
  share.nodesChanged()
  expect(share.room.reserve(task(2), view)).not.toBe(before)
})

test('without credit no room is held, for whomever', () => {
  const { view, ends, task, place } = scene([narrow, wide])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2]) share.ready(task(id))
  place(share, 1, 1000)
  expect(share.room.reserve(task(2), view)?.at).toBe(1000)
  share.room.spend(share.room.credit)
  expect(share.room.reserve(task(2), view)).toBeUndefined()
})

test('predictions that are no number cost no credit, and bring none', () => {
  const { view, ends, task, place } = scene([narrow, narrow, narrow, narrow, wide])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 1 })
  for (const id of [1, 2, 3, 4, 5]) share.ready(task(id))
  place(share, 1, NaN)
  place(share, 2, Infinity)
  expect(share.room.credit).toBe(0)
  place(share, 3, 1000)
  expect(share.room.credit).toBe(500_000)
  view.now = timestampMs(1000)
  expect(share.owed(view)?.id).toBe(4)
  place(share, 4, NaN)
  expect(share.room.credit).toBe(500_000)
})

test('a share of 0 owes nothing to anybody', () => {
  const { view, ends, task, place } = scene([narrow, narrow])
  const share = new ArrivalShare(ends, { share: 0 })
  share.ready(task(1))
  share.ready(task(2))
  place(share, 1, 1)
  view.now = timestampMs(1_000_000)
  expect(share.owed(view)).toBeUndefined()
})

test('who cannot be placed is passed over until nodes change, whatever its priority', () => {
  const { view, ends, task, place } = scene([narrow, { ...narrow, priority: 3 }, narrow, narrow])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3, 4]) share.ready(task(id))
  place(share, 1, 1000)
  const absent = new Set([2, 3])
  const asked: number[] = []
  const placeable = (id: number): boolean => {
    asked.push(id)
    return !absent.has(id)
  }
  expect(share.owed(view, placeable)?.id).toBe(4)
  expect(share.owed(view, placeable)?.id).toBe(4)
  // Those two were asked about once.
  expect(asked.filter((id) => absent.has(id))).toEqual([3, 2])
  absent.clear()
  share.nodesChanged()
  expect(share.owed(view, placeable)?.id).toBe(2)
  share.gone(taskId(2))
  expect(share.owed(view, placeable)?.id).toBe(3)
})

test('the line behind a task that waits for ever is as long as what waits, and keeps its order', () => {
  const count = 10_000
  const { view, ends, task, place } = scene(Array.from({ length: count }, () => ({ work: 1, cpu: 1 })))
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3]) share.ready(task(id))
  place(share, 1, 1000)
  for (let id = 4; id < count; id++) {
    share.ready(task(id))
    // Nothing but the latest can be placed.
    expect(share.owed(view, (other) => other === id)?.id).toBe(id)
    share.gone(taskId(id))
  }
  expect(share.places).toBeLessThan(1100)
  share.nodesChanged()
  share.ready(task(count))
  const owed: unknown[] = []
  for (let id = share.owed(view)?.id; id !== undefined; id = share.owed(view)?.id) {
    owed.push(id)
    share.gone(id)
  }
  expect(owed).toEqual([2, 3, count])
})

test('a task that waits again while one before it cannot be placed is not passed over with it', () => {
  const { view, ends, task, place } = scene([narrow, narrow, narrow, narrow])
  const share = new ArrivalShare(ends, { share: 0.5, patience: 0 })
  for (const id of [1, 2, 3]) share.ready(task(id))
  place(share, 2, 1000)
  const placeable = (id: number): boolean => id !== 1
  expect(share.owed(view, placeable)?.id).toBe(3)
  share.ready(task(2))
  share.gone(taskId(3))
  expect(share.owed(view, placeable)?.id).toBe(2)
})

const event = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('ready'), value: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('gone'), value: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('started'), value: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('nodes'), value: fc.nat(3) }) }
)

test('owed is whom one finds who goes through all that wait, whatever came, left or could be placed', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100, size: 'max' }), (events) => {
      const sketches = events.map(({ value }) => ({ ...narrow, priority: value % 3 }))
      const { view, ends, task } = scene(sketches)
      const share = new ArrivalShare(ends, { share: 0.5, patience: 1 })
      const waiting: LiveTask[] = []
      let modulus = 0
      const isPlaceable = (id: number): boolean => modulus === 0 || id % (modulus + 1) > 0
      view.now = timestampMs(1000)
      for (const [index, { what, value }] of events.entries()) {
        // What is placed otherwise earns credit for all that will be owed.
        share.started(taskId(1_000_000), 1, 1_000)
        if (what === 'ready') {
          waiting.push(task(index + 1))
          share.ready(task(index + 1))
        } else if (what === 'nodes') {
          modulus = value
          share.nodesChanged()
        } else {
          const [left] = waiting.splice(value % Math.max(1, waiting.length), 1)
          if (left !== undefined && what === 'gone') share.gone(left.id)
          else if (left !== undefined) share.started(left.id, 1, 1)
        }
        const placeable = waiting.filter(({ id }) => isPlaceable(id))
        const highest = Math.max(...placeable.map(({ priority }) => priority))
        const expected = placeable.find(({ priority }) => priority === highest)
        expect(share.owed(view, isPlaceable)?.id).toBe(expected?.id)
      }
    })
  )
})

test('a reservation is the first moment at which one finds room who lets attempts end one by one', () => {
  const attempt = fc.record({ cpu: fc.integer({ min: 100, max: 2000 }), ms: fc.integer({ min: 1, max: 9 }) })
  fc.assert(
    fc.property(
      fc.array(attempt, { maxLength: 12 }),
      fc.integer({ min: 1, max: 4000 }),
      fc.integer({ min: 0, max: 6 }),
      (drawn, wanted, elapsedMs) => {
        const { view, ends, task, place } = scene(
          [...drawn, { cpu: wanted }].map(({ cpu }) => ({ work: 1, cpu }))
        )
        const share = new ArrivalShare(ends)
        const placed = drawn.flatMap(({ cpu, ms }, index) => {
          if (view.allNodes[0]!.free('cpu') < cpu) return []
          place(share, index + 1, ms)
          return [{ cpu, ms }]
        })
        view.now = timestampMs(elapsedMs)
        // One that has outlived its end goes on for half of its age, a millisecond at least.
        const endOf = (ms: number): number => (ms > elapsedMs ? ms : elapsedMs + Math.max(1, elapsedMs / 2))
        const freeAt = (at: number): number =>
          placed.reduce((left, { cpu, ms }) => (at < endOf(ms) ? left - cpu : left), 4000)
        const moments = [elapsedMs, ...placed.map(({ ms }) => endOf(ms))].sort((a, b) => a - b)
        const found = ends.reserve(task(drawn.length + 1), view)
        expect(found?.at).toBe(moments.find((at) => freeAt(at) >= wanted))
      }
    )
  )
})
