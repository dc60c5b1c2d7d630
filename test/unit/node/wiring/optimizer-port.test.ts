import { expect, test } from 'vitest'
import { AppError } from '../../../../base/errors.ts'
import type { Learning } from '../../../../node/optimizer/learning.ts'
import { createOptimizerPort } from '../../../../node/wiring/optimizer-port.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import type { Draft } from '../../../../runtime/proposals/forwarder.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import { Advisor } from '../../../../optimizer/advice/advisor.ts'
import { byPriority } from '../../../../optimizer/advice/orders.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { PlannedNode } from '../../../../scheduler/planner/node-view.ts'
import { viewOfTask } from '../../../../scheduler/planner/task-view.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

/** The port of a node whose log takes what is proposed at once, with models 1 to `count`, the newest of which serves. */
function portWithModels(count: number) {
  const machine = new Machine().withNodes(1)
  const runtime = {
    state: machine.state,
    propose: (draft: Draft) => {
      const [event] = machine.apply({ ...draft, origin: machine.nextOrigin() } as Command).slice(-1)
      if (event?.type !== 'outcome') throw new Error('no outcome')
      const { outcome } = event
      if (!outcome.ok) return Promise.reject(new AppError(outcome.code, outcome.message))
      return Promise.resolve(outcome.value)
    }
  }
  const port = createOptimizerPort(runtime as unknown as NodeRuntime, {} as unknown as Learning)
  const nothing = new Uint8Array(1)
  for (let version = 1; version <= count; version++) {
    machine.now++
    machine.apply({ type: 'publish-model', weights: nothing, trainedOn: 1, evaluation: nothing })
    machine.apply({ type: 'judge-model', version, verdict: 'promote', toPrevious: false, reason: '' })
  }
  const states = (): string[] => port.models().map(({ version, state }) => `${version} ${state}`)
  return { port, states }
}

test('a roll-back that names its version is safe to repeat, one that names none takes the next one back', async () => {
  const { port, states } = portWithModels(3)
  for (let times = 2; times > 0; times--) {
    await port.rollBack(3, 'an operator')
    expect(states()).toEqual(['3 rolled-back', '2 serving', '1 retired'])
  }
  await expect(port.rollBack(1, 'an operator')).rejects.toMatchObject({ code: 'MODEL_STATE_INVALID' })
  await port.rollBack(undefined, 'an operator')
  expect(states()).toEqual(['3 rolled-back', '2 rolled-back', '1 serving'])
  await port.rollBack(undefined, 'an operator')
  await expect(port.rollBack(undefined, 'an operator')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' })
})

/** The port of a node that has seen `count` tasks of two names end; a last one of name slow runs on node 2, which takes three times as long. */
function portAfter(count: number) {
  const machine = new Machine().withNodes(2)
  const nodes = [...machine.state.nodes.values()].map((node) => new PlannedNode(node))
  const estimator = createLearnedEstimator({ rows: false })
  const advisor = new Advisor({
    state: machine.state,
    estimator,
    order: () => byPriority,
    predictedBy: () => 'statistics',
    seed: 1
  })
  machine.submit(
    Array.from({ length: count + 1 }, (_, index) => spec({ name: index % 2 === 0 ? 'slow' : 'fast' }))
  )
  for (let id = 1; id <= count; id++) {
    const task = viewOfTask({ ...machine.task(id)!, attempts: 1 })
    const node = nodes[(id >> 1) % 2]!
    const runMs = (task.name === 'slow' ? 9000 : 300) * (1 + (id % 5) / 10) * (node.id === 2 ? 3 : 1)
    const feedback = { task, node: node.id, end: 'succeeded', runMs, peakMemoryBytes: 0 } as const
    estimator.placed(task, node, id)
    estimator.observe(feedback)
    advisor.attemptEnded(feedback)
  }
  machine.place(count + 1, 2)
  const learning = { estimator, advisor } as unknown as Learning
  const port = createOptimizerPort({ state: machine.state } as unknown as NodeRuntime, learning)
  return { port, task: machine.task(count + 1)! }
}

test('calibration says how often each quantile held, by tenant too, from one source, and how wide they are', () => {
  const { reliability, tenants, spread99, count, coverage90, coverage99 } = portAfter(400).port.calibration()
  expect(count).toBe(400)
  expect(reliability.slice(-3)).toEqual([
    { level: 0.9, observed: coverage90 },
    { level: 0.95, observed: tenants[0]?.coverage95 },
    { level: 0.99, observed: coverage99 }
  ])
  expect(coverage90).toBeGreaterThan(0.8)
  expect(coverage99).toBeGreaterThan(0.95)
  expect(tenants).toHaveLength(1)
  expect(tenants[0]).toMatchObject({ count, coverage90, coverage99, spread99 })
  expect(tenants[0]?.pit.reduce((sum, tenth) => sum + tenth, 0)).toBe(400)
  expect(spread99).toBeGreaterThan(1)
})

test('before anything was judged, calibration and status leave their figures out', () => {
  const { port } = portAfter(0)
  expect(port.calibration()).toEqual({ count: 0, reliability: [], eta: { count: 0 }, tenants: [] })
})

test('an explanation leads from tasks of all kinds to the median on the node where the task runs', () => {
  const { port, task } = portAfter(400)
  const { typicalMs, contributions, nodes } = port.explain(task)
  const features = contributions.map(({ feature }) => feature)
  expect(features).toContain('name slow')
  expect(features.at(-1)).toBe('node 2')
  const led = contributions.reduce((ms, { factor }) => ms * factor, typicalMs)
  const onNode = nodes.find(({ node }) => node === 2)?.medianMs ?? 0
  expect(Math.abs(Math.log(led / onNode))).toBeLessThan(0.01)
})
