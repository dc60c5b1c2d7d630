import { expect, test } from 'vitest'
import fc from 'fast-check'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import { PointPrediction, type Estimator } from '../../../../optimizer/estimate.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { Newcomers } from '../../../../optimizer/policies/learned/groups-newcomers.ts'
import { COLD, WARM, Warmth } from '../../../../optimizer/policies/learned/groups-warmth.ts'
import { shareOf } from '../../../../optimizer/policies/learned/parallelism.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { isSlower, Speculation } from '../../../../optimizer/policies/learned/speculation.ts'
import { known, oracle, runningMean } from '../../../../optimizer/policies/predictors.ts'
import type { RunModel, SimNode } from '../../../../optimizer/sim/types.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { nodesOf, placed, runPolicy, sketches, starts, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const policyOn = (estimator: Estimator): Policy => learnedPolicy(estimator)(createRng(1))
const truth = (tasks: readonly TaskSketch[], speeds: readonly number[] = []): Estimator =>
  oracle(
    (id) => tasks[id - 1]!.work,
    (node) => speeds[node - 1] ?? 1
  )

/** Nodes of one slot, each of a hardware class of its own. */
const mixed = (speeds: readonly number[]): SimNode[] =>
  nodesOf(speeds).map((node, index) => ({ ...node, profile: `p${index}` }))

test('a share is never below an equal one, grows with parallelism, and is never all for a group among many', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 1000, noNaN: true }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 100 }),
      (parallelism, slots, groups) => {
        const share = shareOf(parallelism, slots, groups)
        expect(share).toBeGreaterThanOrEqual(Math.min(slots, slots / groups))
        expect(share).toBeLessThanOrEqual(slots)
        expect(shareOf(2 * parallelism, slots, groups)).toBeGreaterThanOrEqual(share)
        expect(shareOf(parallelism, slots, groups + 1)).toBeLessThanOrEqual(share)
      }
    )
  )
  expect([1, 2, 8].map((groups) => shareOf(32, 50, groups))).toEqual([50, 25, 12])
})

/** A big group and, later, a small one; each is two stages. */
const TWO: readonly TaskSketch[] = [
  ...Array.from({ length: 8 }, () => ({ work: 1000, group: 1, name: 'big' })),
  { work: 1000, group: 1, name: 'big-end', needs: [1, 2, 3, 4, 5, 6, 7, 8] },
  { work: 1000, group: 10, name: 'small', at: 100 },
  { work: 1000, group: 10, name: 'small-end', needs: [10], at: 100 }
]

test('the group with less work left goes first, within its share', () => {
  const result = runPolicy(TWO, nodesOf([1, 1]), policyOn(known('known', () => 1000)))
  expect(starts(result).slice(9)).toEqual([1000, 2000])
})

test('a larger priority goes before less work', () => {
  const tasks = [
    { work: 1000 },
    { work: 5000, group: 2, priority: 1, name: 'a', at: 1 },
    { work: 10, group: 2, priority: 1, name: 'b', needs: [2], at: 1 },
    { work: 10, group: 4, name: 'c', at: 1 },
    { work: 10, group: 4, name: 'd', needs: [4], at: 1 },
    { work: 20, at: 1 }
  ]
  const result = runPolicy(tasks, nodesOf([1]), policyOn(truth(tasks)))
  // Among priority 0 the independent task has as much left as the whole other group, and goes first.
  expect(placed(result)).toEqual([1, 2, 3, 6, 4, 5])
})

test('what cold starts cost is learned by what a node ran last, and matters only where it is large', () => {
  const learn = (coldMs: number): Warmth => {
    const warmth = new Warmth(known('known', () => 100))
    const node = nodeId(1)
    let at = 0
    for (let id = 1; id <= 60; id++) {
      // Three tasks a group: the first finds the node cold, the others warm.
      const group = taskId(Math.ceil(id / 3) * 3)
      const task = new LiveTask({ ...taskOf({ work: 1 }, id - 1), group }, [])
      const kind = warmth.kindOn(task, node)
      warmth.started(task, warmth.classOf(task), node, at)
      at += kind === COLD ? coldMs : 100
      warmth.ended(task, 100, at)
    }
    return warmth
  }
  const task = new LiveTask({ ...taskOf({ work: 1 }, 0), group: taskId(99) }, [])
  expect(learn(1000).matters()).toBe(true)
  const warmth = learn(1000)
  expect(warmth.expectedMs(task, warmth.classOf(task), COLD)).toBeCloseTo(1000)
  expect(warmth.expectedMs(task, warmth.classOf(task), WARM)).toBeCloseTo(100)
  expect(learn(105).matters()).toBe(false)
  expect(new Warmth(known('known', () => 100)).matters()).toBe(false)
})

test('a stage that nobody has run is judged by its name, then by its kind, and as a mean', () => {
  const newcomers = new Newcomers()
  const guessMs = 60_000
  const stage = (name: string, source: boolean): { nameKey: string; source: boolean } => ({
    nameKey: name,
    source
  })
  for (let seen = 0; seen < 40; seen++) {
    const group = taskId(seen + 1)
    newcomers.firstEnded(stage(`source ${seen}`, true), group, guessMs, Math.log(3000))
    // Inner stages take 20 or 500 ms: what is expected of another is a mean, above the median of 100 ms.
    newcomers.firstEnded(stage(`inner ${seen}`, false), group, guessMs, Math.log(seen % 2 === 0 ? 20 : 500))
  }
  const expected = (name: string, source: boolean): number =>
    newcomers.expectedMs(stage(name, source), taskId(99)) ?? guessMs
  expect(expected('other', true)).toBeGreaterThan(2000)
  expect(expected('other', true)).toBeLessThan(4000)
  expect(expected('other', false)).toBeGreaterThan(150)
  expect(expected('other', false)).toBeLessThan(500)
  expect(expected('inner 0', false)).toBeLessThan(expected('other', false) / 2)
  expect(expected('inner 1', false)).toBeGreaterThan(2 * expected('inner 0', false))
})

test('the stages of its own group say more of a new stage than those of others', () => {
  const newcomers = new Newcomers()
  for (let seen = 1; seen <= 200; seen++) {
    const ms = seen % 2 === 1 ? 10 : 1000
    newcomers.firstEnded({ nameKey: `${seen}`, source: false }, taskId(1 + (seen % 2)), 1e6, Math.log(ms))
  }
  const expected = (group: number): number =>
    newcomers.expectedMs({ nameKey: 'new', source: false }, taskId(group)) ?? 0
  expect(expected(2)).toBeLessThan(30)
  expect(expected(1)).toBeGreaterThan(500)
  expect(expected(77)).toBeGreaterThan(60)
  expect(expected(77)).toBeLessThan(200)
})

test('an estimator that foresees first completions is believed', () => {
  const newcomers = new Newcomers()
  for (let seen = 0; seen < 20; seen++) {
    const ms = 10 ** (1 + (seen % 4))
    newcomers.firstEnded({ nameKey: `${seen}`, source: true }, taskId(seen + 1), ms, Math.log(ms))
  }
  expect(newcomers.expectedMs({ nameKey: 'new', source: true }, taskId(99))).toBeUndefined()
})

test('a vote follows what is learned of its class later', () => {
  const newcomers = new Newcomers()
  const stage = { nameKey: 'a', source: true }
  for (let seen = 0; seen < 10; seen++) newcomers.firstEnded(stage, taskId(1), 60_000, Math.log(1000))
  const before = newcomers.expectedMs(stage, taskId(2)) ?? 0
  for (let seen = 0; seen < 10; seen++) newcomers.moved(stage, taskId(1), Math.log(2))
  expect((newcomers.expectedMs(stage, taskId(2)) ?? 0) / before).toBeCloseTo(2, 1)
})

/** Three groups that nobody knows: a stage each, then one task that ends the group. */
test('what one group shows of a stage moves a group that waits with the same stage on other input', () => {
  const group = (
    id: number,
    name: string,
    count: number,
    work: number,
    inputBytes: number,
    at: number
  ): TaskSketch[] => [
    ...Array.from({ length: count }, () => ({ work, group: id, name, inputBytes, at })),
    { work: 10, group: id, name: 'end', needs: Array.from({ length: count }, (_, index) => id + index), at }
  ]
  const tasks = [
    ...group(1, 'short', 8, 100, 1, 0),
    ...group(10, 'long', 8, 10_000, 1, 0),
    ...group(19, 'medium', 8, 3000, 1, 0),
    // On more input, with more tasks of the short kind than of the long.
    ...group(28, 'long', 4, 10_000, 1000, 1),
    ...group(33, 'short', 8, 100, 1000, 1)
  ]
  const result = runPolicy(tasks, nodesOf([1]), policyOn(createLearnedEstimator()))
  expect(result.finishedAt[40]).toBeLessThan(result.finishedAt[31]!)
})

test('where nodes differ, a DAG waits for a fast node that is busy', () => {
  const speeds = [1, 10]
  const tasks = [
    { work: 10_000, group: 1 },
    { work: 9000, group: 1 },
    { work: 10, group: 1, needs: [1, 2] }
  ]
  const result = runPolicy(tasks, mixed(speeds), policyOn(truth(tasks, speeds)))
  expect(Array.from(result.finishedAt)).toEqual([1000, 1900, 1901])
})

test('a slow attempt is copied when nothing waits, and the copy ends it', () => {
  // Its class takes a second; the first attempt takes a minute.
  const model: RunModel = {
    start: (task, _node, { attempt }, plan) => {
      plan.runMs = attempt === 1 ? task.workMs : 1000
    }
  }
  const run = (idempotent: boolean): number =>
    runPolicy([{ work: 60_000, idempotent }], nodesOf([1, 1]), policyOn(known('known', () => 1000)), {
      model
    }).endedAt
  expect(run(true)).toBeLessThan(10_000)
  expect(run(false)).toBe(60_000)
})

test('a prediction that was wild when an attempt began does not put its copy off for as long', () => {
  // An hour is expected until anything is known, then 100 ms. The second task hangs; its copy would take 100 ms.
  let isKnown = false
  const estimator: Estimator = {
    name: 'wild',
    classOf: () => 'all',
    predict: () => new PointPrediction().of(isKnown ? 100 : 3_600_000),
    observe: () => {
      isKnown = true
    }
  }
  const tasks: TaskSketch[] = [
    { work: 100, idempotent: true },
    { work: 3_000_000, idempotent: true }
  ]
  const model: RunModel = {
    start: (task, _node, { attempt }, plan) => {
      plan.runMs = attempt === 1 ? task.workMs : 100
    }
  }
  const { finishedAt, attemptCount } = runPolicy(tasks, nodesOf([1, 1, 1]), policyOn(estimator), { model })
  expect(attemptCount).toBe(3)
  expect(finishedAt[1]).toBeLessThan(5000)
})

test('who asks late when to look at an attempt again is told to look now, and not at all while nothing may be copied', () => {
  const estimator = known('known', () => 100)
  const task = new LiveTask({ ...taskOf({ work: 100, idempotent: true }, 0) }, [])
  const view = new SimView(
    [task],
    nodesOf([1, 1]).map((node) => new LiveNode(node))
  )
  const speculation = new Speculation(estimator)
  expect(speculation.wakeAt(view)).toBeUndefined()
  speculation.started(task, nodeId(1), 0, view)
  expect(speculation.wakeAt(view)).toBe(100)
  // A leader asks once a tick: time may have passed.
  view.now = timestampMs(140)
  expect(speculation.wakeAt(view)).toBe(140)
  const alone = new SimView([task], [new LiveNode(nodesOf([1])[0]!)])
  alone.now = view.now
  expect(speculation.wakeAt(alone)).toBeUndefined()
  // What is expected to be left is less than a copy would take.
  expect(speculation.peek(view)).toBeUndefined()
  expect(speculation.wakeAt(view)).toBe(210)
  view.now = timestampMs(500)
  expect(speculation.peek(view)).toEqual({ taskId: 1, node: 2 })
  expect(speculation.wakeAt(view)).toBeUndefined()
  // Where no copy came of it, it is looked at again when the attempt is half as old again.
  speculation.notCopied(task.id)
  expect(speculation.peek(view)).toBeUndefined()
  expect(speculation.wakeAt(view)).toBe(750)
  view.now = timestampMs(750)
  expect(speculation.peek(view)).toEqual({ taskId: 1, node: 2 })
})

test('where several copies are allowed, one that was refused is tried again as well', () => {
  const task = new LiveTask({ ...taskOf({ work: 100, idempotent: true }, 0) }, [])
  const view = new SimView(
    [task],
    nodesOf([1, 1], 20).map((node) => new LiveNode(node))
  )
  const speculation = new Speculation(known('known', () => 100))
  speculation.started(task, nodeId(1), 0, view)
  view.now = timestampMs(500)
  expect(speculation.peek(view)).toEqual({ taskId: 1, node: 2 })
  // The planner asks on, and hears of the refusal later.
  expect(speculation.peek(view)).toBeUndefined()
  speculation.notCopied(task.id)
  expect(speculation.wakeAt(view)).toBe(750)
  view.now = timestampMs(750)
  expect(speculation.peek(view)).toEqual({ taskId: 1, node: 2 })
})

test('a copy needs to be all but sure to win', () => {
  const uniform = {
    meanMs: 500,
    medianMs: 500,
    quantileMs: (q: number) => 1000 * q,
    remainingMs: (ms: number) => Math.max(1, (1000 - ms) / 2),
    failureProbability: 0,
    memoryBytes: () => 0
  }
  expect(isSlower(uniform, 0, 50)).toBe(true)
  expect(isSlower(uniform, 0, 150)).toBe(false)
  expect(isSlower(uniform, 900, 50)).toBe(false)
})

test.each(['alike', 'mixed'])('every workload ends, on nodes that are %s', (kind) => {
  fc.assert(
    fc.property(sketches(1), (drafts) => {
      const tasks = drafts.map((draft, index) => ({
        ...draft,
        cpu: 1,
        name: `n${index % 4}`,
        priority: index % 2,
        idempotent: index % 3 === 0,
        group: Math.floor(index / 5) * 5 + 1
      }))
      const cluster = kind === 'alike' ? nodesOf([1, 1, 1], 2) : mixed([0.5, 1, 2])
      const result = runPolicy(tasks, cluster, policyOn(runningMean()), {
        outages: [{ node: cluster[0]!.id, from: 300, to: 900 }]
      })
      expect(result.finishedAt.every((at) => at >= 0)).toBe(true)
    }),
    { numRuns: 60 }
  )
})
