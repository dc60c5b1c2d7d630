/** What is told of a node's log raises alarms: with the estimator that nodes have, over a task machine. */
import { afterEach, expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../../base/ids.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import type { Alarm } from '../../../../base/wire/forecast.ts'
import { Learning } from '../../../../node/optimizer/learning.ts'
import { createMetrics } from '../../../../node/wiring/metrics.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'
import { drainChanges } from '../../../../scheduler/records.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

type Row = readonly [key: Uint8Array, value: Uint8Array]

/** A node that hears of what a task machine does. */
class Live {
  readonly machine = new Machine().withNodes(1, { slots: 400 })
  learning = this.#attached()
  /** The store's rows of ended tasks, by rising key. */
  readonly #rows: Row[] = []

  /** The node starts again: all that it learned is gone, and the store is not. */
  async restart(): Promise<void> {
    await this.learning.close()
    this.learning = this.#attached()
  }

  #attached(): Learning {
    const learning = new Learning({
      logger: QUIET,
      seed: () => 1,
      now: () => performance.now(),
      trains: false
    })
    const newestFirst = async function* (rows: readonly Row[]): AsyncGenerator<Row> {
      for (const row of rows.toReversed()) yield await Promise.resolve(row)
    }
    const runtime = {
      state: this.machine.state,
      policyStatus: { running: undefined },
      store: { iterate: () => newestFirst(this.#rows) }
    }
    learning.attach(runtime as unknown as NodeRuntime)
    return learning
  }

  tell(events: readonly SchedulerEvent[]): void {
    this.learning.hooks().beforeEvents?.(events, 1)
  }

  /** Submits and places a task now. */
  begin(overrides: Partial<TaskSpec>): number {
    const id = this.machine.state.nextTaskId
    this.machine.submit([spec(overrides)])
    this.tell(
      this.machine.apply({
        type: 'place',
        taskId: taskId(id),
        node: nodeId(1),
        incarnation: incarnation(1)
      })
    )
    return id
  }

  end(id: number): void {
    const { placement } = this.machine.task(id)!
    const runMs = this.machine.now - placement!.placedAt
    this.tell(
      this.machine.complete(id, placement!.token, {
        startedAt: timestampMs(placement!.placedAt),
        finishedAt: timestampMs(this.machine.now),
        runMs: durationMs(runMs)
      })
    )
    for (const { key, value } of drainChanges(this.machine.state).puts)
      if (key.startsWith('ch')) this.#rows.push([new TextEncoder().encode(key), value])
  }

  run(overrides: Partial<TaskSpec>, runMs: number): void {
    const id = this.begin(overrides)
    this.pass(runMs)
    this.end(id)
  }

  /** Time passes, and the estimator is told. */
  pass(ms: number): void {
    this.machine.now += ms
    this.learning.estimator.advance(this.machine.now)
  }

  stuck(): (string | undefined)[] {
    return this.alarms()
      .filter(({ kind }) => kind === 'stuck')
      .map(({ id }) => id)
  }

  alarms(): Alarm[] {
    return this.learning.advisor.alarms(this.machine.now)
  }
}

const made: Live[] = []
async function live(): Promise<Live> {
  const cluster = new Live()
  made.push(cluster)
  await cluster.learning.warmUp()
  return cluster
}
afterEach(async () => {
  for (const { learning } of made.splice(0)) await learning.close()
})

test('what is predicted while history is read says so', async () => {
  const cluster = new Live()
  made.push(cluster)
  cluster.machine.submit([spec()])
  const predicted = (): unknown => cluster.learning.advisor.predicted(cluster.machine.task(1)!)
  expect([cluster.learning.catchingUp, predicted()]).toMatchObject([true, { catchingUp: true }])
  await cluster.learning.warmUp()
  expect(cluster.learning.catchingUp).toBe(false)
  expect(predicted()).not.toHaveProperty('catchingUp')
})

test('a scrape counts the alarms by kind, and makes no forecast', async () => {
  const cluster = await live()
  const { machine, learning } = cluster
  const runtime = {
    state: machine.state,
    raftStatus: () => ({ hardState: { term: 1 } }),
    metrics: () => ({ wal: { syncMs: {} } }),
    policyStatus: { decisions: {} }
  }
  const page = createMetrics(runtime as unknown as NodeRuntime, learning, () => machine.now)
  const scrape = async (): Promise<string> => (await page.render()).text
  cluster.run({ name: 'a' }, 100)
  expect(await scrape()).toMatch(/^dtss_alarms\{kind="stuck"\} 0$/m)
  const at = timestampMs(machine.now + 60_000)
  machine.submit([
    spec({ deadlineAt: at, nodeSelector: { x: 'y' } }),
    spec({ deadlineAt: timestampMs(machine.now + 1) })
  ])
  for (let round = 0; round < 30; round++) cluster.run({ name: 'b' }, 100)
  cluster.begin({ name: 'b' })
  cluster.pass(50_000)
  const text = await scrape()
  for (const [kind, count] of [
    ['deadline_at_risk', 1],
    ['deadline_missed', 1],
    ['stuck', 1],
    ['model', 0],
    ['policy', 0]
  ] as const)
    expect(text).toContain(`dtss_alarms{kind="${kind}"} ${count}\n`)
  expect(text).not.toMatch(/^dtss_forecast_age_seconds \d/m)
  const steps = learning.advisor.refresh(machine.now)
  while (steps.next().done !== true);
  machine.now += 3000
  expect(await scrape()).toMatch(/^dtss_forecast_age_seconds 3$/m)
})

test('attempts that hang are stuck however many of them do, and stay so', async () => {
  const cluster = await live()
  for (let round = 0; round < 120; round++) cluster.run({ name: 'sx' }, 80 + (round % 5) * 10)
  for (let round = 0; round < 300; round++) cluster.run({ name: 'sy' }, 80 + (round % 5) * 10)
  for (let round = 0; round < 300; round++) cluster.run({ name: 'sz' }, 80 + (round % 5) * 10)
  const began = cluster.machine.now
  const hung = ['sx', 'sx', 'sy', 'sz', 'sz', 'sz', 'sz', 'sz', 'sz'].map(
    (name) => `t-${cluster.begin({ name })}`
  )
  cluster.pass(9000)
  expect(cluster.stuck()).toEqual([])
  for (let second = 10; second < 95; second++) {
    cluster.pass(1001)
    expect(cluster.stuck().sort()).toEqual([...hung].sort())
  }
  for (const { since, kind } of cluster.alarms()) if (kind === 'stuck') expect(since).toBe(began + 10_000)
})

test('one that hangs among the first of a new class is held to what the others show', async () => {
  const cluster = await live()
  const first = Array.from({ length: 40 }, () => cluster.begin({ name: 'new' }))
  cluster.pass(100)
  for (const id of first.slice(1)) cluster.end(id)
  cluster.pass(30 * 60_000)
  expect(cluster.stuck()).toEqual(['t-1'])
})

test('a class that takes longer from now on is stuck only until its first attempt has come through', async () => {
  const cluster = await live()
  for (let round = 0; round < 120; round++) cluster.run({ name: 'a' }, 100)
  const [one, other] = [cluster.begin({ name: 'a' }), cluster.begin({ name: 'a' })]
  cluster.pass(60_000)
  expect(cluster.stuck()).toHaveLength(2)
  cluster.end(one)
  expect(cluster.stuck()).toEqual([])
  cluster.pass(61_000)
  expect(cluster.stuck()).toEqual([`t-${other}`])
})

test('after a restart, what still hangs is held to what history shows, whoever asks meanwhile', async () => {
  const cluster = await live()
  for (let round = 0; round < 120; round++) cluster.run({ name: 'a' }, 100)
  const hung = [cluster.begin({ name: 'a' }), cluster.begin({ name: 'a' })]
  cluster.pass(30 * 60_000)
  await cluster.restart()
  expect(cluster.stuck()).toEqual([])
  await cluster.learning.warmUp()
  expect(cluster.stuck()).toEqual(hung.map((id) => `t-${id}`))
  cluster.pass(30 * 60_000)
  expect(cluster.stuck()).toEqual(hung.map((id) => `t-${id}`))
})

test('one that hangs does not excuse those that begin beside it', async () => {
  const cluster = await live()
  for (let round = 0; round < 120; round++) cluster.run({ name: 'a' }, 100)
  const hung = [cluster.begin({ name: 'a' })]
  for (let minute = 1; minute <= 5; minute++) {
    cluster.pass(60_000)
    hung.push(cluster.begin({ name: 'a' }))
    for (let round = 0; round < 5; round++) cluster.run({ name: 'a' }, 100)
  }
  cluster.pass(10_000)
  expect(cluster.stuck().sort()).toEqual(hung.map((id) => `t-${id}`).sort())
})

test('what attempts are held to outlives the state that they were placed in', async () => {
  const cluster = await live()
  for (let round = 0; round < 120; round++) cluster.run({ name: 'a' }, 100)
  const hung = cluster.begin({ name: 'a' })
  const gone = cluster.begin({ name: 'a' })
  cluster.pass(60_000)
  cluster.machine.complete(gone, cluster.machine.task(gone)!.lastToken)
  // A snapshot: nobody says how the other one ended.
  cluster.learning.hooks().onReplaced?.()
  await cluster.learning.warmUp()
  expect(cluster.stuck()).toEqual([`t-${hung}`])
  expect(cluster.learning.advisor.suggestions('a')).toMatchObject([{ samples: 120 }])
  cluster.pass(30 * 60_000)
  expect(cluster.alarms()).toMatchObject([{ expectedMs: expect.closeTo(100, -2) as number }])
})
