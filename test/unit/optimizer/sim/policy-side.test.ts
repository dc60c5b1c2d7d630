/** The policy's side of the simulator: what its time is counted as, and what it gets to see. */
import { expect, test } from 'vitest'
import { fifoStrict } from '../../../../optimizer/policies/fifo.ts'
import { simProgress } from '../../../../optimizer/sim/view.ts'
import type { ClusterView, Policy, RunningView } from '../../../../scheduler/policy.ts'
import { nodesOf, runPolicy } from '../../../helpers/workloads.ts'

const second = 1000

/** FIFO, each call of which moves the clock by so many microseconds. */
function costing(costs: Readonly<Record<string, number>>): { policy: Policy; clockUs: () => number } {
  let now = 0
  const inner = fifoStrict()
  const spend = (name: string): void => void (now += costs[name] ?? 0)
  const policy: Policy = {
    name: 'costing',
    reset: (view) => {
      spend('reset')
      inner.reset(view)
    },
    onReady: (task, view) => {
      spend('onReady')
      inner.onReady(task, view)
    },
    onGone: (task, view) => {
      spend('onGone')
      inner.onGone(task, view)
    },
    onEnded: (feedback, view) => {
      spend('onEnded')
      inner.onEnded?.(feedback, view)
    },
    onFinished: (taskId, view) => {
      spend('onFinished')
      inner.onFinished?.(taskId, view)
    },
    onNodesChanged: (view) => {
      spend('onNodesChanged')
      inner.onNodesChanged?.(view)
    },
    wakeAt: () => {
      spend('wakeAt')
      return undefined
    },
    next: (view) => {
      const choice = inner.next(view)
      spend(choice === undefined ? 'nothing' : 'placing')
      return choice
    }
  }
  return { policy, clockUs: () => now }
}

const COSTS = { reset: 1e8, onReady: 1e7, onGone: 1e6, onEnded: 1e5, onFinished: 1e4, wakeAt: 1e3 }

test('each call of next is a decision, whether it places something or not, and all hooks are the policy’s time', () => {
  const { policy, clockUs } = costing({ ...COSTS, placing: 10, nothing: 1 })
  // One slot: three tasks, the last of which needs the second. Turns at 0, 1, 2 and 3 s.
  const sketches = [{ work: second }, { work: second }, { work: second, needs: [2] }]
  const result = runPolicy(sketches, nodesOf([1]), policy, { clockUs })
  expect([...result.decisionUs].sort((a, b) => a - b)).toEqual([1, 1, 1, 1, 10, 10, 10])
  expect(result.policyUs).toBe(1e8 + 3e7 + 3e6 + 3e5 + 3e4 + 4e3 + 34)
})

test('retries, outages and lost attempts are counted once each', () => {
  const { policy, clockUs } = costing({ ...COSTS, wakeAt: 0, onNodesChanged: 1000 })
  const [node] = nodesOf([1])
  const outages = [{ node: node!.id, from: 500, to: 2000 }]
  const result = runPolicy([{ work: second }], [node!], policy, { clockUs, outages })
  // Ready, placed, lost, ready again, placed, ended; the node goes and comes.
  expect(result.policyUs).toBe(1e8 + 2e7 + 2e6 + 2e5 + 1e4 + 2e3)
  expect([...result.attemptsOf]).toEqual([2])
})

test('without a clock nothing is measured', () => {
  const { policyUs, decisionUs } = runPolicy([{ work: second }], nodesOf([1]), fifoStrict())
  expect([policyUs, decisionUs.length]).toEqual([0, 0])
})

test('what policies are handed does not say when or how an attempt ends, or what a task takes', () => {
  const seen = new Set<string>()
  const progress: (number | undefined)[] = []
  const look = (view: ClusterView): void => {
    for (const attempt of view.running()) {
      for (const key of Object.keys(attempt)) seen.add(key)
      for (const key of Object.keys(view.task(attempt.taskId)!)) seen.add(key)
      progress.push(simProgress(attempt, view.now))
    }
    for (const node of view.nodes()) for (const key of Object.keys(node)) seen.add(key)
  }
  const inner = fifoStrict()
  const policy: Policy = {
    name: 'curious',
    reset: (view) => {
      inner.reset(view)
    },
    onReady: (task, view) => {
      look(view)
      inner.onReady(task, view)
    },
    onGone: (task, view) => {
      inner.onGone(task, view)
    },
    next: (view) => inner.next(view)
  }
  runPolicy([{ work: 4 * second }, { work: second, at: second }], nodesOf([0.5, 1]), policy)
  expect(seen).toContain('placedAt')
  for (const secret of ['endsAt', 'startedAt', 'succeeds', 'workMs', 'spec', 'speeds'])
    expect(seen).not.toContain(secret)
  // LATE's source of it: 1 of 8 s.
  expect(progress).toEqual([1 / 8])
  expect(simProgress({ ...({} as RunningView) }, 0)).toBeUndefined()
})
