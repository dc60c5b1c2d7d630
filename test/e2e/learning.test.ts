/** Learning in a cluster of processes: a model is trained, published and served, outlives its leader, and a bad one does not last. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRng } from '../../base/prng.ts'
import { createClient, type Client, type ModelStatus } from '../../client/index.ts'
import type { LocalCluster } from '../../node/dev/local-cluster.ts'
import { startNode, type RunningNode } from '../../node/wiring/start-node.ts'
import { HAZARDS_AT, initialWeights, LAYERS } from '../../optimizer/estimator/model.ts'
import { GATE_COUNT } from '../../optimizer/estimator/rows.ts'
import { encodeModel } from '../../optimizer/estimator/weights.ts'
import { LAN_TIMING } from '../../runtime/config.ts'
import { clientOf, LONG_TEST_MS, startTrio, until } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-learning-'))
const noise: string[] = []
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
let cluster: LocalCluster

const client = (): Client => clientOf(cluster)
const clientsOfAll = (): Client[] => cluster.nodes.map(({ url }) => createClient({ url, retries: 20 }))

/** On a busy machine each of two dozen batches takes many seconds. */
const WORK_MS = 300_000

/** Runs tasks of three classes, a few at a time, until the condition holds. */
async function workUntil<T>(what: string, condition: () => Promise<T | undefined>): Promise<T> {
  return await until(
    what,
    async () => {
      const found = await condition()
      if (found !== undefined) return found
      const tasks = Array.from({ length: 48 }, (_, index) => ({
        name: ['quick', 'quick', 'slow'][index % 3] ?? '',
        command: index % 3 === 2 ? 'sleep 0.05' : 'true'
      }))
      const { ids } = await client().submitMany(tasks)
      await Promise.all(ids.map((id) => client().wait(id)))
      return undefined
    },
    WORK_MS
  )
}

const stateOf = async (version: number): Promise<string | undefined> =>
  (await client().models()).find((model) => model.version === version)?.state

/** Waits until every node says that this model serves. Models are frozen; what was decided before may still come, and be overruled. */
async function allServe(version: number): Promise<void> {
  await until(`all nodes serve model ${version}`, async () => {
    if ((await stateOf(version)) !== 'serving') await client().promoteModel(version)
    const statuses = await Promise.all(clientsOfAll().map((each) => each.modelStatus()))
    return statuses.every(({ serving }) => serving?.version === version)
  })
}

/** Waits until a node says of itself that it leads, and this; leaders may change at any time. Returns its place in the cluster. */
async function leaderWhere(holds: (status: ModelStatus) => boolean, butNot = -1): Promise<number> {
  return await until('a node leads', async () => {
    const statuses = await Promise.all(
      clientsOfAll().map(async (each, index) =>
        index === butNot ? undefined : await each.modelStatus({ consistency: 'stale' })
      )
    )
    const found = statuses.findIndex((status) => status?.leading === true && holds(status))
    return found < 0 ? undefined : found
  })
}

beforeAll(async () => {
  cluster = await startTrio(folder, noise, {
    timing: 'lan',
    args: ['--train-after', '64', '--train-cpu', '1']
  })
})
afterAll(async () => {
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
})

test(
  'a model that the leader trained and its policy outlive the leader',
  async () => {
    const { version } = await workUntil('a model is published', async () => (await client().models())[0])
    await client().setModelMode('frozen')
    await client().setPolicy('learned')
    await allServe(version)
    const serves = ({ mode, serving }: ModelStatus): boolean =>
      mode === 'frozen' && serving?.version === version
    const index = await leaderWhere(serves)

    await cluster.signal(index, 'SIGKILL')
    await leaderWhere(serves, index)
    await client().wait((await client().submit({ command: 'true' })).id)
    await until('the policy places under the new leader', async () => {
      const others = clientsOfAll().filter((_, other) => other !== index)
      const views = await Promise.all(others.map((each) => each.policy({ consistency: 'stale' })))
      expect(views.map(({ current, fallbacks }) => [current, fallbacks])).toEqual([
        ['learned', 0],
        ['learned', 0]
      ])
      return views.some(({ running }) => running === 'learned')
    })
    await cluster.restart(index)
    await allServe(version)
    expect(noise).toEqual([])
  },
  LONG_TEST_MS
)

test(
  'poisoned models do not serve for long, and the cluster works on',
  async () => {
    await client().setModelMode('auto')
    const insider = await joinCluster()
    try {
      await until('the insider is a member', () => insider.runtime.open)
      const publish = async (weights: Uint8Array): Promise<number> => {
        const value = await insider.runtime.propose(
          { type: 'publish-model', weights, trainedOn: 1, evaluation: new Uint8Array(0) },
          60_000
        )
        return value.type === 'model' ? value.version : 0
      }
      const damaged = await publish(certainOfDays().fill(0xff, 2_000, 2_004))
      // The leader trains: a model of its own may take the place of this one before it is judged, or begin to serve meanwhile.
      const out = await until('the model that does not decode is out', async () =>
        (await client().models()).find(({ version, state }) => version === damaged && state !== 'shadow')
      )
      expect([out.state, out.reason]).toEqual(
        out.state === 'rejected'
          ? ['rejected', expect.any(String)]
          : ['retired', expect.stringContaining('was published')]
      )

      const wrong = await publish(certainOfDays())
      await client().promoteModel(wrong)
      // Regret takes it back, unless the leader has trained a better one meanwhile: that is promoted after fewer attempts.
      const { state, reason } = await workUntil('the model that is wrong is taken back', async () =>
        (await client().models()).find((model) => model.version === wrong && model.state !== 'serving')
      )
      expect([state, reason]).toEqual(
        state === 'rolled-back'
          ? ['rolled-back', expect.stringContaining('regret')]
          : ['retired', expect.stringContaining('took its place')]
      )
      await until('another model serves, or none', async () => {
        const statuses = await Promise.all(clientsOfAll().map((each) => each.modelStatus()))
        return statuses.every(({ serving }) => serving?.version !== wrong)
      })
    } finally {
      await insider.stop()
    }
  },
  LONG_TEST_MS
)

/** A model that is certain that everything takes longer than a month. */
function certainOfDays(): Uint8Array {
  const weights = initialWeights(createRng(1))
  // The biases of the head come last; its matrix begins as zeros.
  const biases = weights.subarray(weights.length - LAYERS[2][1])
  biases.fill(0)
  biases[GATE_COUNT - 1] = 30
  biases.fill(-30, HAZARDS_AT)
  return encodeModel(weights)
}

/** A member that runs in this process, so that it can propose what no user may. */
async function joinCluster(): Promise<RunningNode> {
  return await startNode({
    dataFolder: join(folder, 'insider'),
    join: cluster.nodes[0]!.addresses,
    ...{ httpHost: '127.0.0.1', httpPort: 0, peerHost: '127.0.0.1', peerPort: 0 },
    ...{ slots: 1, executors: [], zone: '', labels: {}, resources: {} },
    timing: LAN_TIMING,
    learning: { trains: false },
    version: 'test',
    logger: QUIET,
    onFatal: (error) => noise.push(error.message)
  })
}
