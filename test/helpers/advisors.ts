import { expect } from 'vitest'
import { nodeId } from '../../base/ids.ts'
import { Advisor } from '../../optimizer/advice/advisor.ts'
import { byPriority } from '../../optimizer/advice/orders.ts'
import { viewOfTask } from '../../scheduler/planner/task-view.ts'
import type { TaskSpec } from '../../scheduler/types.ts'
import { knowing, logNormal } from './forecasts.ts'
import { Machine, spec } from './scheduler.ts'

interface Advised {
  readonly machine: Machine
  readonly advisor: Advisor
  /** Makes a forecast. */
  readonly refresh: (now: number) => void
}

/** Tasks on a cluster of so many nodes and slots, and who advises about them. */
export function setUp(tasks: readonly Partial<TaskSpec>[], { nodes = 1, slots = 1 } = {}): Advised {
  const machine = new Machine().withNodes(nodes, { slots })
  machine.submit(tasks.map((task) => spec(task)))
  const estimator = knowing((task) => logNormal(task.name === 'long' ? 100_000 : 1000, 0.1))
  const advisor = new Advisor({
    state: machine.state,
    estimator,
    order: () => byPriority,
    predictedBy: () => 'statistics',
    seed: 1
  })
  const refresh = (now: number): void => {
    const steps = advisor.refresh(now)
    while (steps.next().done !== true);
  }
  return { machine, advisor, refresh }
}

/** The advisor of the state that came in its place. */
export function following(before: Advisor, { state }: Machine): Advisor {
  const estimator = knowing(() => logNormal(1000, 0.1))
  return new Advisor({
    state,
    estimator,
    order: () => byPriority,
    predictedBy: () => 'statistics',
    seed: 2,
    before
  })
}

/** Something has run. */
export function learn(machine: Machine, advisor: Advisor): void {
  const task = viewOfTask([...machine.state.tasks.values()][0]!)
  advisor.attemptEnded({ task, node: nodeId(1), end: 'succeeded', runMs: 1, peakMemoryBytes: 0 })
}

/** Within a fifth. */
export const near = (value: number | undefined, expected: number): void => {
  expect(Math.abs((value ?? 0) - expected)).toBeLessThan(expected * 0.2)
}
