import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { easy } from '../../../../optimizer/policies/easy.ts'
import { known, lastTwo, userLimit } from '../../../../optimizer/policies/predictors.ts'
import { fifoStrict } from '../../../../optimizer/policies/fifo.ts'
import { LiveNode, LiveTask, SimView } from '../../../../optimizer/sim/view.ts'
import { machineOf, nodesOf, runPolicy, starts, taskOf, wishing } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const second = 1000

/** A runs on 3 of 4 processors until 10 s; B needs all four; then narrow ones arrive. */
const QUEUE: readonly TaskSketch[] = [
  { work: 10 * second, limit: 10 * second, cpu: 3 },
  { work: 5 * second, limit: 5 * second, cpu: 4, at: 1 },
  { work: 20 * second, limit: 20 * second, cpu: 1, at: 2 },
  { work: 8 * second, limit: 8 * second, cpu: 1, at: 3 },
  { work: 1500, limit: 1500, cpu: 1, at: 4 }
]

test('strict FIFO lets nobody pass the first task', () => {
  expect(starts(runPolicy(QUEUE, machineOf(4), fifoStrict()))).toEqual([0, 10_000, 15_000, 15_000, 15_000])
})

test('EASY backfills what ends before the reservation, in order of arrival', () => {
  const policy = easy({ name: 'easy', estimator: userLimit(), shortestFirst: false })
  // The 20 s task would delay B's reservation at 10 s; the 8 s task does not, and then keeps the one free processor.
  expect(starts(runPolicy(QUEUE, machineOf(4), policy))).toEqual([0, 10_000, 15_000, 3, 8003])
})

test('EASY-SJBF backfills the shortest first', () => {
  // The processor becomes free at 5 s, when all three narrow tasks wait: the 2 s task goes first, then the 3 s task.
  const queue = [
    { work: 10 * second, limit: 10 * second, cpu: 3 },
    { work: 5 * second, limit: 5 * second, cpu: 1 },
    { work: 5 * second, limit: 5 * second, cpu: 4, at: 1 },
    { work: 3 * second, limit: 3 * second, cpu: 1, at: 2 },
    { work: 2 * second, limit: 2 * second, cpu: 1, at: 3 }
  ]
  const run = (shortestFirst: boolean): number[] =>
    starts(runPolicy(queue, machineOf(4), easy({ name: 'easy', estimator: userLimit(), shortestFirst })))
  expect(run(false)).toEqual([0, 0, 10_000, 5000, 8000])
  expect(run(true)).toEqual([0, 0, 10_000, 7000, 5000])
})

test('a task beside the reservation may run past it', () => {
  const queue = [
    { work: 10 * second, limit: 10 * second, cpu: 3 },
    { work: 5 * second, limit: 5 * second, cpu: 3, at: 1 },
    { work: 20 * second, limit: 20 * second, cpu: 1, at: 2 }
  ]
  // At 10 s there are four processors and the first waiting task needs three: one is to spare.
  const policy = easy({ name: 'easy', estimator: userLimit(), shortestFirst: false })
  expect(starts(runPolicy(queue, machineOf(4), policy))).toEqual([0, 10_000, 2])
})

test('a running task that outlives its prediction gets a later expected end', () => {
  // The tenant's last two took 1 s, so the 100 s task is expected to end after 1 s, and then after one more minute. The
  // 30 s task of another tenant may start only once the reservation has moved behind its own end.
  const queue = [
    { work: second, cpu: 1, tenant: 'a', limit: 200 * second },
    { work: second, cpu: 1, tenant: 'a', limit: 200 * second },
    { work: 100 * second, cpu: 3, tenant: 'a', at: 5 * second, limit: 200 * second },
    { work: 10 * second, cpu: 4, tenant: 'c', at: 5 * second, limit: 10 * second },
    { work: 30 * second, cpu: 1, tenant: 'b', at: 5 * second, limit: 30 * second }
  ]
  const policy = easy({ name: 'easy++', estimator: lastTwo(), shortestFirst: true })
  expect(starts(runPolicy(queue, machineOf(4), policy))).toEqual([0, 0, 5000, 105_000, 6000])
})

test('a first task that no node could run leaves the reservation to the next one, until its node is there', () => {
  const gpu = { ...nodesOf([1])[0]!, id: nodeId(2), labels: { gpu: 'yes' } }
  const queue: TaskSketch[] = [{ work: second, selector: { gpu: 'yes' } }, ...QUEUE]
  const run = (shortestFirst: boolean): number[] =>
    starts(
      runPolicy(
        queue,
        [...machineOf(4), gpu],
        easy({ name: 'easy', estimator: userLimit(), shortestFirst }),
        {
          outages: [{ node: gpu.id, from: 0, to: 100 * second }]
        }
      )
    )
  const without = starts(
    runPolicy(QUEUE, machineOf(4), easy({ name: 'easy', estimator: userLimit(), shortestFirst: false }))
  )
  expect(run(false)).toEqual([100 * second, ...without])
  // 20 s that pass whoever has no reservation would keep the wide task from its processors until 20 s.
  expect(without[1]).toBe(10 * second)
})

test('nobody is woken for a task that no node could run, however long others outlive what was expected', () => {
  const [a, b] = nodesOf([1, 1]).map((node, index) => ({ ...node, labels: { host: 'ab'[index]! } }))
  const tasks = [
    { work: 10 * second, selector: { host: 'a' } },
    { work: 10, at: 1, selector: { host: 'b' } }
  ]
  const policy = easy({ name: 'easy', estimator: known('known', () => second), shortestFirst: true })
  let asked = 0
  const counted = wishing(policy, (at, now) => {
    if (++asked > 100) throw new Error(`asked for ever at ${now}`)
    return at
  })
  const outages = [{ node: b!.id, from: 0, to: 3600 * second }]
  expect(starts(runPolicy(tasks, [a!, b!], counted, { outages }))).toEqual([0, 3600 * second])
})

test('a task whose placement was refused holds nothing that others could wait for', () => {
  const task = new LiveTask(taskOf({ work: 1 }, 0), [])
  const view = new SimView(
    [task],
    nodesOf([1]).map((node) => new LiveNode(node))
  )
  const policy = easy({ name: 'easy', estimator: known('known', () => second), shortestFirst: true })
  policy.reset(view)
  policy.onReady(task, view)
  expect(policy.next(view)).toEqual({ taskId: 1, node: 1 })
  policy.onGone(task.id, view)
  policy.onReady(task, view)
  expect(policy.wakeAt?.(view)).toBeUndefined()
})
