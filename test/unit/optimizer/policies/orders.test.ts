import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import { dolly } from '../../../../optimizer/policies/dolly.ts'
import { fifoPowerOfTwo, fifoRoundRobin, fifoStrict } from '../../../../optimizer/policies/fifo.ts'
import { late } from '../../../../optimizer/policies/late.ts'
import { lastTwo, oracle, runningMeanByInput, userLimit } from '../../../../optimizer/policies/predictors.ts'
import { random } from '../../../../optimizer/policies/random.ts'
import { shortestFirst } from '../../../../optimizer/policies/shortest-first.ts'
import { tenantFair } from '../../../../optimizer/policies/tenant-fair.ts'
import { tetris } from '../../../../optimizer/policies/tetris.ts'
import { LiveTask, simProgress } from '../../../../optimizer/sim/view.ts'
import { knowing, logNormal } from '../../../helpers/forecasts.ts'
import { machineOf, nodesOf, placed, runPolicy, taskOf } from '../../../helpers/workloads.ts'
import type { TaskView } from '../../../../scheduler/policy.ts'
import type { RunModel } from '../../../../optimizer/sim/types.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const WORKS = [5000, 3000, 1000, 4000, 2000]
const together: readonly TaskSketch[] = WORKS.map((work) => ({ work, limit: 10_000 - work, cpu: 1 }))

test('FIFO runs in order of arrival', () => {
  expect(placed(runPolicy(together, nodesOf([1]), fifoStrict()))).toEqual([1, 2, 3, 4, 5])
})

test('the truth runs the shortest first, limits run what claims to be shortest', () => {
  const byTruth = shortestFirst({ name: 'sjf', estimator: oracle((id) => WORKS[id - 1]!) })
  expect(placed(runPolicy(together, nodesOf([1]), byTruth))).toEqual([3, 5, 2, 4, 1])
  const byLimit = shortestFirst({ name: 'sjf', estimator: userLimit() })
  expect(placed(runPolicy(together, nodesOf([1]), byLimit))).toEqual([1, 4, 2, 5, 3])
})

test('a short task that may take very long, for all that is known, does not wait for everybody', () => {
  const predictions = [logNormal(1000, 0.1), logNormal(100, 3)]
  const works = [{ work: 1000 }, { work: 100 }]
  const estimator = { ...knowing(({ id }) => predictions[id - 1]!), classOf: ({ id }: TaskView) => `${id}` }
  expect(predictions[1]!.meanMs).toBeGreaterThan(predictions[0]!.meanMs)
  for (const live of [false, true]) {
    const policy = shortestFirst({ name: 'sjf', estimator, live })
    expect(placed(runPolicy(works, nodesOf([1]), policy))).toEqual([2, 1])
  }
})

test('shortest first weighs a task by the processors that it holds', () => {
  const tasks = [
    { work: 3000, cpu: 1000 },
    { work: 2000, cpu: 2000 }
  ]
  const policy = shortestFirst({ name: 'sjf', estimator: oracle((id) => tasks[id - 1]!.work) })
  expect(placed(runPolicy(tasks, machineOf(2000), policy))).toEqual([1, 2])
})

test('last two: the mean of a tenant’s last two run times, capped by the limit; before that the limit', () => {
  const estimator = lastTwo()
  const uncapped = lastTwo({ capped: false, unknownMs: 77 })
  const seen: number[][] = []
  runPolicy(
    [1000, 3000, 5000, 100].map((work, index) => ({ work, at: index * 10_000, limit: 3500 })),
    nodesOf([1]),
    watching(
      (task) => seen.push([estimator.predict(task).meanMs, uncapped.predict(task).meanMs]),
      [estimator, uncapped]
    )
  )
  expect(seen).toEqual([
    [3500, 77],
    [1000, 1000],
    [2000, 2000],
    [3500, 4000]
  ])
})

test('a live order moves waiting tasks when a sibling’s run time is known', () => {
  const tasks = [
    { work: 100, tenant: 'a', limit: 9000 },
    { work: 100, tenant: 'b', limit: 5000 },
    { work: 100, tenant: 'a', limit: 9000 }
  ]
  const order = (live: boolean): number[] =>
    placed(
      runPolicy(
        [{ work: 50, tenant: 'a', limit: 100 }, ...tasks],
        nodesOf([1]),
        shortestFirst({ name: 's', estimator: lastTwo(), live })
      )
    )
  expect(order(false)).toEqual([1, 3, 2, 4])
  expect(order(true)).toEqual([1, 2, 4, 3])
})

test('fair sharing among tenants gives the next slot to the tenant that holds least', () => {
  const tasks = ['a', 'a', 'a', 'b', 'b', 'c'].map((tenant) => ({ work: 1000, tenant }))
  expect(placed(runPolicy(tasks, nodesOf([1, 1, 1]), tenantFair())).slice(0, 3)).toEqual([1, 4, 6])
})

test('a tenant of twice the weight holds twice the slots', () => {
  const tasks = Array.from({ length: 12 }, (_, index) => ({ work: 1000, tenant: index < 6 ? 'a' : 'b' }))
  const policy = tenantFair({ weightOf: (tenant) => (tenant === 'b' ? 2 : 1) })
  const first = placed(runPolicy(tasks, nodesOf([1, 1, 1, 1, 1, 1]), policy)).slice(0, 6)
  expect(first.filter((id) => id > 6)).toHaveLength(4)
})

test('round robin takes nodes in turn, also after one was passed over', () => {
  const tasks = [0, 1, 2, 3].map((at) => ({ work: at === 0 ? 10_000 : 1, at: at * 10 }))
  expect(Array.from(runPolicy(tasks, nodesOf([1, 1, 1]), fifoRoundRobin()).node)).toEqual([1, 2, 3, 2])
})

test('power of two spreads tasks more evenly than one random choice', () => {
  const tasks = Array.from({ length: 400 }, () => ({ work: 1000 }))
  const worst = (make: typeof random): number => {
    const counts = new Map<number, number>()
    for (const node of runPolicy(tasks, nodesOf(new Array<number>(20).fill(1), 40), make(createRng(3)))
      .node) {
      counts.set(node, (counts.get(node) ?? 0) + 1)
    }
    return Math.max(...counts.values())
  }
  expect(worst(fifoPowerOfTwo)).toBeLessThan(worst(random))
})

test('Tetris sends a task to the node that has most left of what it asks', () => {
  const cluster = nodesOf([1, 1], 8).map((node) => ({ ...node, resources: { cpu: 10, memory: 10 } }))
  const tasks = [{ cpu: 4 }, { cpu: 1, memory: 4 }, { cpu: 4 }].map((resources) => ({ work: 10, resources }))
  const run = (policy: ReturnType<typeof fifoStrict>): number[] =>
    Array.from(runPolicy(tasks, cluster, policy).node)
  expect(run(tetris({ name: 'tetris' }))).toEqual([1, 2, 2])
  // By slots alone both nodes are as full.
  expect(run(policyFactory('least-loaded')(createRng(1)))).toEqual([1, 2, 1])
})

test('LATE copies the slowest task once nothing else is to be placed, and the copy wins', () => {
  const tasks = Array.from({ length: 8 }, () => ({ work: 10_000, idempotent: true }))
  const cluster = nodesOf([1, 1, 1, 1, 1, 1, 1, 0.1, 1, 1])
  const inner = (): ReturnType<typeof fifoStrict> => policyFactory('fifo')(createRng(1))
  expect(runPolicy(tasks, cluster, inner()).endedAt).toBe(100_000)
  const result = runPolicy(tasks, cluster, late(inner(), simProgress))
  expect(result.endedAt).toBeLessThan(15_000)
  expect(result.attempts.filter(({ end }) => end === 'stopped').map(({ node }) => node)).toEqual([8])
})

test('LATE never copies a task that is not idempotent', () => {
  const result = runPolicy([{ work: 50_000 }], nodesOf([1, 1]), late(fifoStrict(), simProgress))
  expect(result.attemptCount).toBe(1)
})

function watching(
  onReady: (task: Parameters<ReturnType<typeof fifoStrict>['onReady']>[0]) => unknown,
  estimators: readonly ReturnType<typeof lastTwo>[]
): ReturnType<typeof fifoStrict> {
  const inner = fifoStrict()
  return {
    name: 'watch',
    reset: (view) => {
      inner.reset(view)
    },
    onReady: (task, view) => {
      onReady(task)
      inner.onReady(task, view)
    },
    onGone: (id, view) => {
      inner.onGone(id, view)
    },
    onEnded: (feedback, view) => {
      for (const estimator of estimators) estimator.observe(feedback)
      inner.onEnded?.(feedback, view)
    },
    next: (view) => inner.next(view)
  }
}

test('a running mean by input falls back to the name, then to all', () => {
  const mean = runningMeanByInput(7)
  const view = (name: string, inputBytes: number): LiveTask =>
    new LiveTask(taskOf({ work: 1, name, inputBytes }, 0), [])
  const learn = (name: string, inputBytes: number, runMs: number): void => {
    mean.observe({
      task: view(name, inputBytes),
      node: nodeId(1),
      end: 'succeeded',
      runMs,
      peakMemoryBytes: 0
    })
  }
  expect(mean.predict(view('a', 1)).meanMs).toBe(7)
  learn('a', 1, 100)
  learn('a', 1000, 300)
  learn('b', 0, 800)
  expect(mean.predict(view('a', 1)).meanMs).toBe(100)
  expect(mean.predict(view('a', 1023)).meanMs).toBe(300)
  expect(mean.predict(view('a', 64)).meanMs).toBe(200)
  expect(mean.predict(view('c', 1)).meanMs).toBe(400)
})

test('a small job is cloned from the start within the budget, a large one never, and only what may be repeated', () => {
  const model: RunModel = {
    start: (task, _node, { attempt }, plan) => {
      plan.runMs = attempt === 1 ? task.workMs : 1000
    }
  }
  const run = (count: number, idempotent: boolean): { endedAt: number; attempts: number } => {
    const tasks = Array.from({ length: count }, () => ({ work: 60_000, group: 1, idempotent }))
    const result = runPolicy(tasks, nodesOf(Array.from({ length: 40 }, () => 1)), dolly(fifoStrict()), {
      model
    })
    return { endedAt: result.endedAt, attempts: result.attemptCount }
  }
  expect(run(2, true)).toEqual({ endedAt: 1000, attempts: 4 })
  // Two of forty slots may hold clones.
  expect(run(3, true)).toEqual({ endedAt: 60_000, attempts: 5 })
  expect(run(11, true)).toEqual({ endedAt: 60_000, attempts: 11 })
  expect(run(2, false)).toEqual({ endedAt: 60_000, attempts: 2 })
})
