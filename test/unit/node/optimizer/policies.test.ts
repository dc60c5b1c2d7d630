import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { OFFERED_POLICIES, orderOf } from '../../../../node/optimizer/policies.ts'
import type { OfferedPolicy } from '../../../../node/optimizer/policies.ts'
import { forecast } from '../../../../optimizer/advice/eta.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import type { ForecastOrder } from '../../../../optimizer/advice/orders.ts'
import { LiveNode, LiveTask } from '../../../../optimizer/sim/view.ts'
import type { TaskView } from '../../../../scheduler/policy.ts'
import { knowing, logNormal } from '../../../helpers/forecasts.ts'
import { nodesOf, runPolicy, starts, taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

/** Two nodes of two slots and four cores. */
const CLUSTER = nodesOf([1, 1], 2).map((node) => ({ ...node, resources: { cpu: 4000 } }))

/**
 * A queue on which no two of the orders agree: long and short, wide and narrow, urgent and not, of tenants that wait for much and for little.
 * What is wide is not short: no room is held for it, of which forecasts know nothing.
 */
const QUEUE: readonly TaskSketch[] = [
  ...new Array<TaskSketch>(24).fill({ work: 1000, tenant: 'many' }),
  ...new Array<TaskSketch>(4).fill({ work: 400, tenant: 'many', cpu: 500 }),
  ...new Array<TaskSketch>(4).fill({ work: 700, tenant: 'many', cpu: 4000 }),
  ...new Array<TaskSketch>(3).fill({ work: 700, tenant: 'some', cpu: 1000 }),
  { work: 1000, tenant: 'many', priority: 5 },
  { work: 60, tenant: 'many' },
  { work: 1000, tenant: 'one' }
]

function workOf({ id }: Pick<TaskView, 'id'>): number {
  return QUEUE[id - 1]?.work ?? 0
}

/** Knows what each task takes. */
function knowsAll(): Estimator {
  const known = knowing((task) => logNormal(workOf(task), 0))
  return { ...known, classOf: (task) => `${workOf(task)}` }
}

function startsUnder({ factory }: OfferedPolicy): number[] {
  return starts(runPolicy(QUEUE, CLUSTER, factory(knowsAll(), true)(createRng(1))))
}

function startsForecast(order: ForecastOrder): number[] {
  const nodes = CLUSTER.map((node) => new LiveNode(node))
  const waiting = QUEUE.map((sketch, index) => ({
    task: new LiveTask(taskOf(sketch, index), []),
    waitsFor: [],
    notBefore: 0
  }))
  const source = { now: 0, nodes, running: [], waiting, eligible: () => true }
  const made = forecast(source, { estimator: knowsAll(), order, seed: 1 })
  return QUEUE.map((_, index) => made.task(taskId(index + 1))?.start?.p50At ?? Infinity)
}

/** Mean distance in milliseconds. */
function distance(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + Math.abs(value - b[index]!), 0) / a.length
}

test.each(OFFERED_POLICIES.map((policy) => [policy.name, policy] as const))(
  'under %s tasks start when its order says, and no other order says it better',
  (_, policy) => {
    const actual = startsUnder(policy)
    const own = distance(startsForecast(policy.order), actual)
    expect(own).toBeLessThan(Math.max(...actual) / 50)
    for (const { order } of OFFERED_POLICIES)
      expect(own).toBeLessThanOrEqual(distance(startsForecast(order), actual))
  }
)

test('a policy that is not offered is forecast as what places in its stead', () => {
  expect(orderOf('gone')).toBe(orderOf('least-loaded'))
})

test.each(['shortest-first', 'learned'])(
  'under %s what may take very long, for all that is known, is not forecast last for it',
  (name) => {
    const wild = logNormal(60, 4)
    const usual = logNormal(600, 0.1)
    expect(wild.meanMs).toBeGreaterThan(usual.meanMs)
    const order = orderOf(name)(CLUSTER.map((node) => new LiveNode(node)))
    const task = new LiveTask(taskOf({ work: 60 }, 0), [])
    expect(order.rank(task, wild)).toBeLessThan(order.rank(task, usual))
  }
)
