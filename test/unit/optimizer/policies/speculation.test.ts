/** Copies of single idempotent tasks that hang, by what is learned of their class. */
import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import type { Rng } from '../../../../base/prng.ts'
import { timestampMs } from '../../../../base/units.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { learnedPolicy } from '../../../../optimizer/policies/learned/index.ts'
import { Speculation } from '../../../../optimizer/policies/learned/speculation.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import type { RunModel } from '../../../../optimizer/sim/types.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { nodesOf, runPolicy, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'
import { ended, node, task } from '../estimator/support.ts'

const SLOTS = 4
const PAST = 180
/** An attempt after the first takes this long. */
const AGAIN_MS = 1200
const again: RunModel = {
  start: (task, _node, { attempt }, plan) => {
    plan.runMs = attempt === 1 ? task.workMs : AGAIN_MS
  }
}

/** A class of which many have ended, and a minute later these, each alone on an idle cluster of twelve slots. */
function run(
  drawMs: (rng: Rng) => number,
  lastMs: readonly number[],
  model = again,
  wrap = (policy: Policy): Policy => policy
): { tookMs: number[]; copies: number } {
  const rng = createRng(3)
  const tasks: TaskSketch[] = Array.from({ length: PAST }, (_, index) => ({
    work: drawMs(rng),
    at: Math.floor(index / 12) * 2000
  }))
  lastMs.forEach((work, index) => tasks.push({ work, at: 3_000_000 + index * 600_000, idempotent: true }))
  const policy = wrap(learnedPolicy(createLearnedEstimator())(createRng(1)))
  const result = runPolicy(tasks, nodesOf([1, 1, 1], SLOTS), policy, { model })
  const tookMs = lastMs.map(
    (_, index) => (result.finishedAt[PAST + index] ?? 0) - (tasks[PAST + index]?.at ?? 0)
  )
  return { tookMs, copies: result.attemptCount - tasks.length }
}

/** So many tasks that are expected to take 100 ms, and two nodes on which that many copies are allowed. */
function scene(count: number): { view: SimView; speculation: Speculation } {
  const sketch = { work: 100, idempotent: true }
  const tasks = Array.from({ length: count }, (_, index) => new LiveTask(taskOf(sketch, index), []))
  const nodes = nodesOf([1, 1], 100).map((each) => new LiveNode(each))
  return { view: new SimView(tasks, nodes), speculation: new Speculation(known('known', () => 100)) }
}

/** Mostly around 1.2 s; one in twelve takes up to 3 s. */
function mostlyMs(rng: Rng): number {
  return rng.nextFloat() < 0.08 ? 2000 + 1000 * rng.nextFloat() : 1100 + 200 * rng.nextFloat()
}

test.each([12_000, 40_000, 300_000])(
  'alone on an idle cluster, an attempt that hangs for %i ms is copied',
  (hangsMs) => {
    const { tookMs, copies } = run(mostlyMs, [hangsMs])
    // The p99 is 3 s: it is copied before three times that, and the copy takes its time.
    expect(tookMs[0]).toBeLessThan(3 * 3000 + AGAIN_MS)
    expect(copies).toBe(1)
  }
)

test('what hung before does not keep the next from being copied', () => {
  const hangs = [12_000, 20_000, 45_000, 40_000, 40_000]
  const { tookMs, copies } = run((rng) => 1100 + 200 * rng.nextFloat(), hangs)
  expect(Math.max(...tookMs)).toBeLessThan(3 * 1300 + AGAIN_MS)
  expect(copies).toBe(hangs.length)
})

test('an attempt that is merely long for a class that takes from one second to two minutes is not copied', () => {
  const wide = (rng: Rng): number => 1000 * Math.exp(Math.log(120) * rng.nextFloat())
  expect(run(wide, [20_000, 60_000, 90_000]).copies).toBe(0)
})

test('a copy that fails keeps neither its task nor others from being copied', () => {
  // Both hang together for most of an hour, and one copy at a time is allowed.
  const hangs = [3_600_000, 3_600_000]
  const { tookMs, copies } = run(mostlyMs, hangs, {
    start: (task, on, clock, plan) => {
      again.start(task, on, clock, plan)
      plan.succeeds = task.id !== taskId(PAST + 1) || clock.attempt !== 2
    }
  })
  expect(Math.max(...tookMs)).toBeLessThan(4 * 3000 + 2 * AGAIN_MS)
  expect(copies).toBe(3)
})

test('attempts that it is time for are looked at in the order in which they were heard of', () => {
  const { view, speculation } = scene(4)
  for (const [id, at] of [100, 0, 50, 0].entries())
    speculation.started(view.task(taskId(id + 1))!, nodeId(1), at, view)
  expect(speculation.wakeAt(view)).toBe(100)
  view.now = timestampMs(900)
  speculation.ended(taskId(3), nodeId(1))
  const copied: (number | undefined)[] = []
  for (let asked = 0; asked < 4; asked++) copied.push(speculation.peek(view)?.taskId)
  expect(copied).toEqual([1, 2, 4, undefined])
})

test('a copy that ended has its attempt looked at again, unless that is over as well', () => {
  const { view, speculation } = scene(2)
  for (const id of [1, 2]) speculation.started(view.task(taskId(id))!, nodeId(1), 0, view)
  view.now = timestampMs(500)
  expect(speculation.peek(view)).toEqual({ taskId: 1, node: 2 })
  expect(speculation.peek(view)).toEqual({ taskId: 2, node: 2 })
  expect(speculation.wakeAt(view)).toBeUndefined()
  speculation.ended(taskId(1), nodeId(1))
  speculation.ended(taskId(1), nodeId(2))
  expect(speculation.wakeAt(view)).toBeUndefined()
  speculation.ended(taskId(2), nodeId(2))
  expect(speculation.wakeAt(view)).toBe(750)
  view.now = timestampMs(750)
  expect(speculation.peek(view)).toEqual({ taskId: 2, node: 2 })
})

test('what is kept of attempts is as much as run, though nobody ever asks for a copy', () => {
  const { view, speculation } = scene(2)
  const [hung, short] = [view.task(taskId(1))!, view.task(taskId(2))!]
  speculation.started(hung, nodeId(1), 0, view)
  for (let at = 0; at < 10_000; at++) {
    speculation.started(short, nodeId(1), at, view)
    speculation.over(short.id)
  }
  expect(speculation.kept).toBeLessThan(100)
  view.now = timestampMs(10_000)
  expect(speculation.peek(view)).toEqual({ taskId: 1, node: 2 })
})

test('what a fresh attempt would take does not follow the age of one that hangs', () => {
  const rng = createRng(5)
  const estimator = createLearnedEstimator()
  const on = node(1)
  let now = 0
  for (let id = 1; id <= PAST; id++) {
    const each = task(id)
    estimator.placed(each, on, now)
    now += mostlyMs(rng)
    estimator.advance(now)
    estimator.observe(ended(each, mostlyMs(rng)))
  }
  const hung = task(1000)
  estimator.placed(hung, on, now)
  const p95 = (): number => estimator.predictFresh(hung, on).quantileMs(0.95)
  const before = p95()
  for (let ageMs = 0; ageMs <= 40_000; ageMs += 100) estimator.advance(now + ageMs)
  expect(p95()).toBe(before)
  expect(before).toBeLessThan(3500)
})

/** Begins anew before every decision, as leaders would that take over in turn. */
function restless(inner: Policy): Policy {
  return {
    name: inner.name,
    reset: (view) => {
      inner.reset(view)
    },
    onReady: (task, view) => {
      inner.onReady(task, view)
    },
    onGone: (id, view) => {
      inner.onGone(id, view)
    },
    onEnded: (feedback, view) => inner.onEnded?.(feedback, view),
    onFinished: (id, view) => inner.onFinished?.(id, view),
    next: (view) => {
      inner.reset(view)
      return inner.next(view)
    },
    wakeAt: (view) => inner.wakeAt?.(view)
  }
}

test('a leader that takes over copies no single task that has a copy', () => {
  const { copies } = run(mostlyMs, [40_000], again, restless)
  expect(copies).toBe(1)
})

test('a leader that takes over copies no task of a DAG that has a copy', () => {
  const nodes = nodesOf([1, 1, 1]).map((node, index) => ({ ...node, profile: `p${index}` }))
  const roots = [40_000, 1000, 1000].map((work) => ({ work, group: 1, name: 'root', idempotent: true }))
  const tasks = [...roots, { work: 10, group: 1, name: 'last', needs: [1, 2, 3] }]
  const policy = restless(learnedPolicy(known('known', () => 1000))(createRng(1)))
  const result = runPolicy(tasks, nodes, policy, { model: again })
  expect(result.endedAt).toBeLessThan(10_000)
  expect(result.attemptCount).toBe(tasks.length + 1)
})
