import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { easy } from '../../../../optimizer/policies/easy.ts'
import { sharing } from '../../../../optimizer/policies/fair.ts'
import { fifoStrict } from '../../../../optimizer/policies/fifo.ts'
import { dynamicHeft } from '../../../../optimizer/policies/heft.ts'
import { lastTwo, runningMean, userLimit } from '../../../../optimizer/policies/predictors.ts'
import { random } from '../../../../optimizer/policies/random.ts'
import { shortestFirst } from '../../../../optimizer/policies/shortest-first.ts'
import { srpt } from '../../../../optimizer/policies/srpt.ts'
import { tenantFair } from '../../../../optimizer/policies/tenant-fair.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { disturbedRunTimes, fixedRunTimes } from '../../../../optimizer/sim/run-models.ts'
import type { SimResult } from '../../../../optimizer/sim/types.ts'
import { machineOf, nodesOf, runPolicy, sketches, workloadOf } from '../../../helpers/workloads.ts'

const PROCESSORS = 6
const fifoFit = (): Policy => policyFactory('fifo')(createRng(1))
/** Policies that never leave a slot idle which a ready task could use. */
const CONSERVING: Readonly<Record<string, () => Policy>> = {
  'fifo-fit': fifoFit,
  random: () => random(createRng(7)),
  'tenant-fair': () => tenantFair(),
  sjf: () => shortestFirst({ name: 'sjf', estimator: lastTwo() }),
  'sjf-live': () => shortestFirst({ name: 'sjf-live', estimator: lastTwo(), live: true }),
  'fifo-group': () => sharing({ name: 'fifo-group', alpha: 'fifo' }),
  srpt: () => srpt({ name: 'srpt', estimator: runningMean() })
}
const ALL: Readonly<Record<string, () => Policy>> = {
  ...CONSERVING,
  fifo: fifoStrict,
  easy: () => easy({ name: 'easy', estimator: userLimit(), shortestFirst: false }),
  'easy++': () => easy({ name: 'easy++', estimator: lastTwo(), shortestFirst: true }),
  'heft-dynamic': () => dynamicHeft({ name: 'heft-dynamic', estimator: runningMean() })
}

test.each(Object.keys(ALL))(
  '%s finishes every task once, after its dependencies, within capacity',
  (name) => {
    fc.assert(
      fc.property(sketches(PROCESSORS), (tasks) => {
        const result = runPolicy(tasks, machineOf(PROCESSORS), ALL[name]!())
        expect(result.attempts.filter(({ end }) => end === 'succeeded')).toHaveLength(tasks.length)
        tasks.forEach((task, index) => {
          const started = result.startedAt[index]!
          expect(started).toBeGreaterThanOrEqual(task.at ?? 0)
          for (const need of task.needs ?? [])
            expect(started).toBeGreaterThanOrEqual(result.finishedAt[need - 1]!)
        })
        expect(mostInUse(result)).toBeLessThanOrEqual(PROCESSORS)
      }),
      { numRuns: 40 }
    )
  }
)

test.each(Object.keys(CONSERVING))('%s leaves no ready task waiting that fits', (name) => {
  fc.assert(
    fc.property(sketches(PROCESSORS), (tasks) => {
      const result = runPolicy(tasks, machineOf(PROCESSORS), CONSERVING[name]!())
      for (const { endedAt } of result.attempts) {
        const free = PROCESSORS - inUseAt(result, endedAt)
        const waiting = result.workload.tasks.filter(
          (_, index) => result.readyAt[index]! <= endedAt && result.startedAt[index]! > endedAt
        )
        for (const task of waiting) expect(task.resources['cpu']).toBeGreaterThan(free)
      }
    }),
    { numRuns: 40 }
  )
})

test('the same seed gives the same run, and another seed another one', () => {
  const tasks = Array.from({ length: 200 }, (_, index) => ({
    work: 500 + ((index * 37) % 400),
    at: index * 50
  }))
  const run = (seed: number): SimResult =>
    runPolicy(tasks, nodesOf([1, 2, 0.5]), random(createRng(seed)), {
      model: disturbedRunTimes({ seed, stragglers: { probability: 0.1, factor: 5 }, failureProbability: 0.1 })
    })
  expect(run(3).attempts).toEqual(run(3).attempts)
  expect(run(3).attempts).not.toEqual(run(4).attempts)
})

test('an attempt meets the same luck whichever policy starts it', () => {
  const tasks = Array.from({ length: 50 }, (_, index) => ({ work: 1000 + index, at: 0 }))
  const runs = [fifoFit(), random(createRng(5))].map((policy) =>
    runPolicy(tasks, nodesOf([1, 1]), policy, {
      model: disturbedRunTimes({ seed: 9, stragglers: { probability: 0.3, factor: 4 } })
    })
  )
  const times = runs.map((result) =>
    Array.from(result.finishedAt, (end, index) => Math.round(end - result.startedAt[index]!))
  )
  expect(times[0]).toEqual(times[1])
  expect(new Set(times[0]!.map((ms) => ms > 2000)).size).toBe(2)
})

test('a node that goes away loses its attempts, and they run again elsewhere', () => {
  const result = runPolicy([{ work: 1000 }, { work: 1000 }], nodesOf([1, 1]), fifoFit(), {
    outages: [{ node: nodeId(2), from: 400, to: 5000 }]
  })
  const lost = result.attempts.filter(({ end }) => end === 'lost')
  expect(lost).toMatchObject([{ node: 2, endedAt: 400 }])
  expect(Math.max(...result.finishedAt)).toBe(2000)
  expect(result.wastedMs).toBe(400)
})

test('a failing task is retried after a delay, and given up with its dependents after the last attempt', () => {
  const result = runPolicy(
    [{ work: 1000 }, { work: 10, needs: [1] }, { work: 10 }],
    nodesOf([1]),
    fifoFit(),
    {
      model: {
        start: (task, _node, _context, plan) => {
          plan.runMs = task.workMs
          plan.succeeds = task.id !== 1
        }
      },
      maxAttempts: 2,
      retryDelayMs: 500
    }
  )
  expect(result.attempts.filter(({ task }) => task === 1).map(({ placedAt }) => placedAt)).toEqual([0, 1500])
  expect(Array.from(result.succeeded)).toEqual([0, 0, 1])
  expect(result.finishedAt[1]).toBe(-1)
})

test('the first success of two copies wins and the other is stopped', () => {
  const speculating: Policy = {
    name: 'copies',
    reset: () => undefined,
    onReady: () => undefined,
    onGone: () => undefined,
    next: (view) => {
      const task = view.task(taskId(1))
      if (task === undefined || task.attempts >= 2) return undefined
      return { taskId: task.id, node: nodeId(task.attempts + 1) }
    }
  }
  const result = runPolicy([{ work: 1000, idempotent: true }], nodesOf([1, 2]), speculating)
  expect(result.attempts.map(({ node, end, endedAt }) => [node, end, endedAt])).toEqual([
    [2, 'succeeded', 500],
    [1, 'stopped', 500]
  ])
  expect(result.wastedMs).toBe(500)
})

test('reading an input from another node costs time, from the same node none', () => {
  const tasks = workloadOf([{ work: 100 }, { work: 100, needs: [1] }])
  const withBytes = {
    ...tasks,
    tasks: tasks.tasks.map((task) => ({ ...task, transferBytes: task.needs.map(() => 5000) }))
  }
  const end = (slots: number): number =>
    simulate(withBytes, nodesOf([1, 1], slots), policyFactory('fifo')(createRng(1)), {
      model: disturbedRunTimes({ seed: 1, transfer: { latencyMs: 20, bytesPerMs: 100 } })
    }).endedAt
  // The production policy takes nodes in turn, so the second task runs on the other node.
  expect(end(1)).toBe(100 + 20 + 50 + 100)
})

test('a policy that places a task where it does not fit is stopped', () => {
  const greedy: Policy = {
    name: 'greedy',
    reset: () => undefined,
    onReady: () => undefined,
    onGone: () => undefined,
    next: () => ({ taskId: taskId(2), node: nodeId(1) })
  }
  expect(() => runPolicy([{ work: 1 }, { work: 1, cpu: 9 }], machineOf(4), greedy)).toThrow(/cannot take it/)
})

test('a policy that places nothing is reported instead of running forever', () => {
  const idle: Policy = { ...fifoFit(), name: 'idle', next: () => undefined }
  expect(() => runPolicy([{ work: 1 }], nodesOf([1]), idle)).toThrow(/idle left 1 tasks/)
})

test('a task that is submitted after its dependency has finished becomes ready when it is submitted', () => {
  const result = simulate(
    workloadOf([{ work: 10 }, { work: 10, at: 500, needs: [1] }]),
    nodesOf([1]),
    fifoFit(),
    {
      model: fixedRunTimes()
    }
  )
  expect(Array.from(result.startedAt)).toEqual([0, 500])
})

function inUseAt(result: SimResult, time: number): number {
  return result.attempts
    .filter(({ placedAt, endedAt }) => placedAt <= time && endedAt > time)
    .reduce((sum, { task }) => sum + (result.workload.tasks[task - 1]!.resources['cpu'] ?? 0), 0)
}

function mostInUse(result: SimResult): number {
  return Math.max(...result.attempts.map(({ placedAt }) => inUseAt(result, placedAt)))
}
