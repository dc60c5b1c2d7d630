/** Node leases across a change of leader, step by step: the cases that random faults meet rarely. */
import { expect, test } from 'vitest'
import { taskId } from '../../base/ids.ts'
import { durationMs, timestampMs } from '../../base/units.ts'
import type { Submission } from '../../scheduler/submission.ts'
import { resultOf } from '../../sim/checkers/content.ts'
import { SimCluster } from '../../sim/cluster.ts'
import type { SimNode } from '../../sim/sim-node.ts'

const NO_BYTES = new Uint8Array(0)
const NAME = 'long'

/** Five nodes, and a task on each of them that runs for 30 s. */
async function busyCluster(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster({
    seed,
    nodes: 5,
    slots: 2,
    behaviour: ({ taskId: task, token }) => ({
      runMs: 30_000,
      end: { outcome: 'succeeded', result: resultOf(task, token) },
      obeyMs: 10
    })
  })
  await cluster.start()
  const task = {
    ...{ name: NAME, tenant: 'default', executor: 'js', handler: 'work', params: NO_BYTES, input: NO_BYTES },
    ...{
      needs: [],
      priority: 0,
      resources: {},
      nodeSelector: {},
      idempotent: false,
      notBefore: timestampMs(0),
      deadlineAt: timestampMs(0)
    },
    retry: { maxAttempts: 9, baseDelayMs: durationMs(10), maxDelayMs: durationMs(10) },
    ...{ scheduleToStartMs: durationMs(0), startToCloseMs: durationMs(0), killGraceMs: durationMs(100) },
    ...({ delivery: 'at-least-once', onLeaseLoss: 'kill', isolation: 'process' } as const)
  }
  const submission: Submission = { tasks: Array.from({ length: 5 }, () => task) }
  const runtime = cluster.nodes[0]?.runtime
  if (runtime === undefined) throw new Error('the first node is up')
  await cluster.finish(runtime.propose({ type: 'submit', submission }, 5_000))
  await cluster.until(() => cluster.checkers.ledger.entries.length === 5, 5_000, 'all tasks run')
  return cluster
}

function split(cluster: SimCluster, leader: SimNode): SimNode[] {
  const others = cluster.nodes.filter((node) => node !== leader)
  const [friend] = others
  if (friend === undefined) throw new Error('a cluster of five')
  cluster.network.partition([[leader.peer, friend.peer], others.slice(1).map(({ peer }) => peer)])
  return [leader, friend]
}

function leaderOf(cluster: SimCluster): SimNode {
  const leader = cluster.leader()
  if (leader === undefined) throw new Error('the cluster has a leader')
  return leader
}

test.each([1, 2, 3])('a deposed leader that wakes up extends no lease (seed %i)', async (seed) => {
  const cluster = await busyCluster(seed)
  const leader = leaderOf(cluster)
  split(cluster, leader)
  leader.pause()
  await cluster.run(() => false, 2_500)
  leader.resume()
  await cluster.run(() => false, 8_000)
  expect(cluster.checkers.violations()).toEqual([])
  const moved = cluster.checkers.ledger.entries.length - 5
  expect(moved, 'what ran in the minority was placed again').toBeGreaterThan(0)
})

test.each([1, 2, 3])('a failover kills no attempt on a surviving node (seed %i)', async (seed) => {
  const cluster = await busyCluster(seed)
  const leader = leaderOf(cluster)
  leader.crash(true)
  await cluster.run(() => false, 8_000)
  const survivors = cluster.checkers.ledger.entries
    .slice(0, 5)
    .filter(({ machine }) => machine !== `n${leader.id}`)
  expect(survivors.map(({ endedAt }) => endedAt)).toEqual([undefined, undefined, undefined, undefined])
  expect(cluster.checkers.ledger.entries).toHaveLength(6)
  expect(cluster.checkers.violations()).toEqual([])
})

test('a node that only its process was paused on has its attempts killed by its supervisor', async () => {
  const cluster = await busyCluster(4)
  const leader = leaderOf(cluster)
  const node = cluster.nodes.find((other) => other !== leader)
  if (node === undefined) throw new Error('a cluster of five')
  node.pause()
  await cluster.run(() => false, 6_000)
  const [first, again] = cluster.checkers.ledger.entries.filter(
    ({ taskId: id }) =>
      id === cluster.checkers.ledger.entries.find(({ machine }) => machine === `n${node.id}`)?.taskId
  )
  expect(first?.endedAt).toBeLessThan(again?.startedAt ?? 0)
  node.resume()
  await cluster.run(() => node.runtime?.open === true, 5_000)
  await cluster.until(() => cluster.checkers.tasks.endedTasks === 5, 60_000, 'all tasks end')
  expect(cluster.checkers.tasks.succeeded()).toContain(taskId(first?.taskId ?? 0))
  expect(cluster.checkers.violations()).toEqual([])
})
