/** What is first in order and fits nowhere, beside a backlog of long tasks that take every processor that is freed. */
import { expect, test, vi } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { second } from '../../../../base/units.ts'
import { HeadRoom } from '../../../../optimizer/policies/learned/head-room.ts'
import { learnedIndependent } from '../../../../optimizer/policies/learned/independent.ts'
import { ExpectedEnds } from '../../../../optimizer/policies/learned/reservation.ts'
import { oracle } from '../../../../optimizer/policies/predictors.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { machineOf, nodesOf, runPolicy, starts, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const PROCESSORS = 4
const LONG = 100 * second
const BACKLOG = 300
/** One of the backlog ends each quarter of this. */
const BACKLOG_ENDS = (BACKLOG / PROCESSORS) * LONG

/**
 * Start times of `late` tasks beside the backlog; room is held for nobody by order of arrival. Run times are predicted to be `factor` times as
 * long as they are.
 */
function startsOf(late: readonly TaskSketch[], headShare?: number, factor = 1): number[] {
  const backlog = Array.from({ length: BACKLOG }, (_, index) => ({
    work: index < PROCESSORS ? ((index + 1) / PROCESSORS) * LONG : LONG,
    cpu: 1000
  }))
  const tasks = [...backlog, ...late]
  const policy = learnedIndependent(
    oracle((id) => factor * tasks[id - 1]!.work),
    { share: 0, ...(headShare !== undefined && { headShare }) }
  )
  return starts(runPolicy(tasks, machineOf(PROCESSORS * 1000), policy)).slice(BACKLOG)
}

/** The four that run then end at 4,025 s, 4,050 s, 4,075 s and 4,100 s. */
const at = 4010 * second
const allEnded = 4100 * second
const wide = { work: second, at, cpu: PROCESSORS * 1000, name: 'wide' }

test('a short task that needs the whole machine waits for what runs, not for the backlog', () => {
  expect(startsOf([wide])).toEqual([allEnded])
  expect(startsOf([wide], 0)[0]).toBeGreaterThanOrEqual(BACKLOG_ENDS)
})

test('room that comes sooner than expected is taken at once', () => {
  expect(startsOf([wide], undefined, 1.5)).toEqual([allEnded])
})

test('what is free until then is for short tasks that come meanwhile', () => {
  const short = Array.from({ length: 10 }, (_, index) => ({
    work: 2 * second,
    at: at + 30 * second + index * 5 * second,
    cpu: 1000,
    name: 'short'
  }))
  const [first, ...others] = startsOf([wide, ...short])
  expect(first).toBe(allEnded)
  expect(others).toEqual(short.map((task) => task.at))
})

test('room is held for what is surely no longer than what runs, by area', () => {
  const tasks = [wide, wide].map((sketch, index) => new LiveTask(taskOf(sketch, index), []))
  const host = new LiveNode(machineOf(PROCESSORS * 1000)[0]!)
  const view = new SimView(tasks, [host])
  const ends = new ExpectedEnds()
  const head = new HeadRoom(ends)
  const [runs, waits] = tasks
  ends.began(runs!, host.id, 0, LONG)
  // Of two attempts of which one is as long and three times as large, the mean by area is 77.5 s.
  head.began(LONG, 3 * LONG)
  head.began(0.1 * LONG, LONG)
  const held = (medianMs: number, lnError: number, meanMs = medianMs): boolean =>
    head.reserve(waits!, { ln: Math.log(medianMs), lnError, meanMs }, view) !== undefined
  expect(held(77 * second, 0)).toBe(true)
  expect(held(78 * second, 0)).toBe(false)
  expect(held(second, 0, 78 * second)).toBe(false)
  // e² is 7.4.
  expect(held(10 * second, 1)).toBe(true)
  expect(held(11 * second, 1)).toBe(false)
})

test('what has not been earned is not spent: an early one waits once its credit is used up', () => {
  // Those that run then end at 100 s to 175 s, and 150 processor-seconds would stand idle; 2 % of 550 have been earned.
  const early = { ...wide, at: 90 * second }
  const [start] = startsOf([early])
  expect(start).toBeGreaterThan(175 * second)
  // A larger share affords the same room at once.
  expect(startsOf([early], 0.5)).toEqual([175 * second])
})

test('what is to spare beside the room that is held is for one task, not for each that comes', () => {
  // Of 64 processors one is freed each 1.5625 s, and 24 at 601 s: the wide one needs all then but one.
  const narrow = 64
  const tasks: TaskSketch[] = Array.from({ length: 20 * narrow }, (_, index) => ({
    work: index < narrow ? ((index + 1) / narrow) * LONG : LONG,
    cpu: 1000
  }))
  const beside = { work: 601 * second, cpu: 24_000, priority: 1 }
  const head = { work: second, at: 500 * second, cpu: (narrow + 23) * 1000, name: 'wide' }
  tasks.push(beside, head)
  const policy = learnedIndependent(
    oracle((id) => tasks[id - 1]!.work),
    { share: 0, headShare: 1 }
  )
  const begun = starts(runPolicy(tasks, machineOf((narrow + 24) * 1000), policy))
  expect(begun.at(-1)).toBe(601 * second)
  expect(begun.filter((at) => at > 501 * second && at < 601 * second)).toHaveLength(1)
})

test('where nothing fits no room is looked for, whoever is first', () => {
  const reserve = vi.spyOn(ExpectedEnds.prototype, 'reserve')
  // Of two shapes, so that there is always somebody who could pass.
  const short = Array.from({ length: 40 }, (_, index) => ({
    work: second + index,
    at,
    cpu: index % 2 === 0 ? 1000 : 999,
    name: `short ${index}`
  }))
  expect(Math.max(...startsOf(short))).toBeLessThan(BACKLOG_ENDS)
  expect(reserve).not.toHaveBeenCalled()
  startsOf([wide])
  expect(reserve).toHaveBeenCalled()
  reserve.mockRestore()
})

test('room that was held on a node that leaves is held on another at once', () => {
  const slots = 32
  const pooled = (pool: string): Pick<TaskSketch, 'selector'> => ({ selector: { pool } })
  const backlog = Array.from({ length: 2 * BACKLOG }, (_, index) => ({
    work: index < slots ? ((index + 1) / slots) * LONG : LONG,
    cpu: 1000,
    ...pooled('many')
  }))
  const left = 1007 * second
  // The node with the earlier room leaves; of the other one task ends each 3.125 s, the last that run then at 1,106.25 s.
  const beside = { work: 20 * second, at: 1000 * second, cpu: slots * 1000, ...pooled('one') }
  const head = { work: second, at: 1005 * second, cpu: slots * 1000, name: 'wide' }
  const tasks: TaskSketch[] = [...backlog, beside, head]
  const nodes = nodesOf([1, 1]).map((node, index) => ({
    ...node,
    slots: index === 0 ? 1 : slots,
    resources: { cpu: slots * 1000 },
    labels: { pool: index === 0 ? 'one' : 'many' }
  }))
  const policy = learnedIndependent(
    oracle((id) => tasks[id - 1]!.work),
    { share: 0, headShare: 1 }
  )
  const outages = [{ node: nodeId(1), from: left, to: BACKLOG_ENDS }]
  expect(starts(runPolicy(tasks, nodes, policy, { outages })).at(-1)).toBe(1106.25 * second)
})
