import { expect, test } from 'vitest'
import { DagTimes } from '../../../../optimizer/policies/learned/dag-times.ts'
import { known } from '../../../../optimizer/policies/predictors.ts'
import type { Estimator } from '../../../../optimizer/estimate.ts'
import { LiveNode, LiveTask } from '../../../../optimizer/sim/view.ts'
import { nodesOf, taskOf } from '../../../helpers/workloads.ts'

const CLASSES = 30
const SPEEDS = Array.from({ length: 40 }, (_, index) => 1 + index / 40)
const nodes = nodesOf(SPEEDS).map((node) => new LiveNode(node))
const tasks = Array.from(
  { length: CLASSES },
  (_, index) => new LiveTask(taskOf({ work: 1, name: `n${index}` }, index), [])
)

function timesOf(estimator: Estimator): DagTimes {
  const times = new DagTimes(estimator)
  times.nodesChanged(nodes)
  return times
}

/** An estimator whose answers are `scale` seconds, that counts questions about classes and about nodes. */
function counting(): { estimator: Estimator; scale: number; asked: number; compared: number } {
  const counter = { scale: 1, asked: 0, compared: 0, estimator: known('', () => 0) }
  const inner = known(
    'known',
    () => counter.scale * 1000,
    (node) => SPEEDS[node - 1]!
  )
  counter.estimator = {
    ...inner,
    classOf: ({ name }) => name,
    predict: (task, node) => {
      if (node === undefined) counter.asked++
      else counter.compared++
      return inner.predict(task, node)
    }
  }
  return counter
}

test('after completions a decision asks again about a few classes, and the others have their turn in the next ones', () => {
  const counter = counting()
  const times = new DagTimes(counter.estimator)
  for (const task of tasks) expect(times.typical(task)).toBe(1000)
  for (const task of tasks) times.ended(task)
  counter.scale = 2
  counter.asked = 0
  times.decide()
  for (const task of tasks) times.typical(task)
  const first = counter.asked
  expect(first).toBeGreaterThan(0)
  expect(first).toBeLessThanOrEqual(CLASSES / 3)
  for (let decision = 0; decision < CLASSES; decision++) {
    times.decide()
    for (const task of tasks) times.typical(task)
  }
  expect(counter.asked).toBe(CLASSES)
  for (const task of tasks) expect(times.typical(task)).toBe(2000)
})

test('nodes differ for a new class as for another until it is its turn, and each is asked about in the end', () => {
  const counter = counting()
  const times = timesOf(counter.estimator)
  const [first, second] = tasks
  const speedOf = (index: number): number => SPEEDS[index]!
  nodes.forEach((node, index) => {
    expect(times.onNode(first!, node)).toBeCloseTo(1000 / speedOf(index), 6)
  })
  const before = counter.compared
  expect(before).toBe(nodes.length)
  nodes.forEach((node, index) => {
    expect(times.onNode(second!, node)).toBeCloseTo(1000 / speedOf(index), 6)
  })
  expect(counter.compared).toBe(before)
  for (let decision = 0; decision < 3; decision++) {
    times.decide()
    times.row(second!, nodes)
  }
  expect(counter.compared).toBe(before + nodes.length)
})

test('without spread an attempt that turns out long ends when it is expected to, in time or overdue', () => {
  const times = timesOf(known('known', () => 1000))
  const [task] = tasks
  const [node] = nodes
  const running = times.begin(task!, { node, id: node!.id, at: 0, isCopy: false })
  const view = { now: 100, node: () => node } as unknown as Parameters<DagTimes['lateEndOf']>[2]
  expect(times.lateEndOf(task!, running, view)).toBe(1000)
  const late = { ...view, now: 3000 } as typeof view
  expect(times.lateEndOf(task!, running, late)).toBe(times.endOf(task!, running, late))
  expect(running.endsAt).toBe(5000)
})

test('how nodes differ for a class is asked for once, however many tasks of the class wait and decisions are made', () => {
  const counter = counting()
  const times = timesOf(counter.estimator)
  const alike = Array.from(
    { length: 20 },
    (_, index) => new LiveTask(taskOf({ work: 1, name: 'same' }, index), [])
  )
  for (let decision = 0; decision < 5; decision++) {
    times.decide()
    for (const task of alike) times.row(task, nodes)
  }
  expect(counter.compared).toBe(nodes.length)
  const { typicalMs, factors, least } = times.row(alike[0]!, nodes)
  nodes.forEach((node, index) => {
    expect(typicalMs * factors[index]!).toBe(times.onNode(alike[0]!, node))
  })
  expect(least).toBe(Math.min(...factors))
})

test('of tasks that are over nothing is kept, also where one stood for its class', () => {
  const times = timesOf(known('known', () => 1000))
  for (const task of tasks) {
    times.row(task, nodes)
    times.over(task.id)
    times.typical(task)
  }
  expect(times.remembered).toBe(0)
})

test('an estimator that keeps what classes took apart is asked for that', () => {
  const inner = known('known', () => 1000)
  const byClass = known('class', () => 10)
  const times = new DagTimes({ ...inner, predictByClass: (task, node) => byClass.predict(task, node) })
  expect(times.typical(tasks[0]!)).toBe(10)
  expect(new DagTimes(inner).typical(tasks[0]!)).toBe(1000)
})
