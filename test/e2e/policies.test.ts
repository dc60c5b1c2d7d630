/** The learned policy in a cluster of processes: a copy of an attempt that hangs wins, and `auto` goes over and comes back. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient, type Client, type PolicyView } from '../../client/index.ts'
import type { LocalCluster } from '../../node/dev/local-cluster.ts'
import { startNode } from '../../node/wiring/start-node.ts'
import { LAN_TIMING } from '../../runtime/config.ts'
import { clientOf, LONG_TEST_MS, startTrio, until } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-policies-'))
const handlers = join(folder, 'handlers')
const noise: string[] = []
let cluster: LocalCluster

const client = (): Client => clientOf(cluster)

/** Waits; with `hang` the first attempt hangs until it is stopped, and others go on when they may, and say that they got through. */
const PATIENT = `
import { appendFileSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
export default async ({ ms, hang, marker }, { signal, fencingToken }) => {
  if (hang) {
    let isFirst = true
    try {
      openSync(marker, 'wx')
    } catch {
      isFirst = false
    }
    if (isFirst) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      writeFileSync(marker + '.stopped', String(fencingToken))
      throw new Error('stopped')
    }
    while (!existsSync(marker + '.go')) await setTimeout(10)
    appendFileSync(marker + '.done', fencingToken + '\\n')
  }
  await setTimeout(ms)
  return 'done'
}
`

beforeAll(async () => {
  mkdirSync(handlers)
  writeFileSync(join(handlers, 'patient.mjs'), PATIENT)
  // Leases of ten seconds: on a busy machine shorter ones lapse now and then, and an attempt that was to hang is tried again.
  cluster = await startTrio(folder, noise, { timing: 'default', handlersFolder: handlers })
})
afterAll(async () => {
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
})

test(
  'a copy of an attempt that hangs succeeds on another node, counts once, and the loser is stopped',
  async () => {
    await client().setPolicy('learned')
    const usual = Array.from({ length: 40 }, () => ({ name: 'lame', handler: 'patient', input: { ms: 1 } }))
    const { ids } = await client().submitMany(usual)
    await Promise.all(ids.map((id) => client().wait(id)))

    const marker = join(folder, 'marker')
    const input = { ms: 1, hang: true, marker }
    const { id } = await client().submit({ name: 'lame', handler: 'patient', idempotent: true, input })
    const [first, copy] = await until('there is a copy', async () => {
      const task = await client().get(id)
      return task.placement === undefined || task.copy === undefined
        ? undefined
        : ([task.placement, task.copy] as const)
    })
    expect(existsSync(marker)).toBe(true)
    expect(copy.node).not.toBe(first.node)
    writeFileSync(`${marker}.go`, '')
    const ended = await client().wait(id)
    expect(ended).toMatchObject({ status: 'succeeded', result: 'done', node: copy.node })
    await until('the loser is stopped', () => existsSync(`${marker}.stopped`))
    expect(readFileSync(`${marker}.stopped`, 'utf8')).toBe(String(first.fencingToken))
    expect(readFileSync(`${marker}.done`, 'utf8')).toBe(`${copy.fencingToken}\n`)
    await until('its slot is free', async () => {
      const nodes = await client().nodes()
      return nodes.every(({ usedSlots }) => usedSlots === 0)
    })
    // What the loser reported when it was stopped changed nothing.
    expect(await client().get(id)).toMatchObject({ status: 'succeeded', result: 'done', node: copy.node })
    expect(noise).toEqual([])
  },
  LONG_TEST_MS
)

test('a node that knows built-in policies alone places all the same, and says what it does not use', async () => {
  const node = await startNode({
    dataFolder: join(folder, 'careful'),
    join: [],
    ...{ httpHost: '127.0.0.1', httpPort: 0, peerHost: '127.0.0.1', peerPort: 0 },
    ...{ slots: 1, executors: ['shell'], zone: '', labels: {}, resources: {} },
    timing: LAN_TIMING,
    learning: { trains: false },
    builtInPolicies: true,
    version: 'test',
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    onFatal: (error) => noise.push(error.message)
  })
  try {
    const alone = createClient({ url: node.url, retries: 20 })
    await until('it takes tasks', () => node.runtime.open)
    expect(await alone.setPolicy('learned')).toMatchObject({ current: 'learned' })
    const { id } = await alone.submit({ command: 'true' })
    expect(await alone.wait(id)).toMatchObject({ status: 'succeeded' })
    expect(await alone.policy()).toMatchObject({ current: 'learned', running: 'least-loaded' })
    expect(await alone.alarms()).toMatchObject([
      { kind: 'policy', message: expect.stringMatching(/learned unknown/) as string }
    ])
  } finally {
    await node.stop()
  }
})

/**
 * Classes of tasks, half of them short; each is met once a round, so that nobody finds out in time that it changed. A round is more than a
 * replay holds, or it would hold as much that was foreseen as misled, and twice as many tasks as there are between two looks, so that one
 * falls where most of a round has ended and little of the next.
 */
const CLASSES = 2200
/** So few that what a replay compares, a twentieth of its tasks at a time, is of whole queues: who came first in one always has it better. */
const QUEUE = 50
const ROUNDS = 12
/** An answer comes from a replay in a thread of its own, some seconds after its task has ended; or after the next round. */
const ANSWER_MS = 5_000
/** On a busy machine a thousand tasks take most of a minute. */
const WORK_MS = 300_000

/** Runs each class once, in queues that come one after another. `flipped`: what was short is long. */
async function work(flipped: boolean): Promise<void> {
  const tasks = Array.from({ length: CLASSES }, (_, index) => {
    const isShort = (index % 2 === 0) !== flipped
    return { name: `class-${index}`, handler: 'patient', input: { ms: isShort ? 5 : 150 } }
  })
  for (let first = 0; first < CLASSES; first += QUEUE) {
    await client().submitMany(tasks.slice(first, first + QUEUE))
    await until(
      'all have ended',
      async () => {
        const { tasks: counts } = await client().cluster()
        return counts.pending + counts.ready + counts.placed + counts.running === 0
      },
      WORK_MS
    )
  }
}

/** Works until this policy places, `misleading`: each time every class takes what the others took. Returns the change. */
async function workUntil(
  policy: string,
  misleading: boolean
): Promise<NonNullable<PolicyView['lastSwitch']>> {
  for (let round = 1; round <= ROUNDS; round++) {
    await work(misleading && round % 2 === 1)
    try {
      return await until(
        `${policy} places`,
        async () => {
          const { current, lastSwitch } = await client().policy()
          return current === policy ? lastSwitch : undefined
        },
        ANSWER_MS
      )
    } catch (error) {
      if (round === ROUNDS) throw error
    }
  }
  throw new Error('not reached')
}

test(
  'in mode auto the leader goes over to the learned policy where that is better, and back when it misleads, models frozen or not',
  async () => {
    await client().setModelMode('frozen')
    await client().setPolicy('least-loaded')
    await client().setPolicy('auto')
    const over = await workUntil('learned', false)
    expect(over).toMatchObject({ from: 'least-loaded' })
    expect(over.reason).toMatch(/would have taken .* less than under least-loaded/)

    // Each class is met too seldom to find out in time that it changed, and class means know no better: a replay says so.
    const back = await workUntil('least-loaded', true)
    expect(back).toMatchObject({ from: 'learned', returns: over.returns + 1 })
    expect(back.reason).toMatch(/less than under learned/)
    expect((await client().policy()).mode).toBe('auto')
    expect(noise).toEqual([])
  },
  2 * LONG_TEST_MS
)
