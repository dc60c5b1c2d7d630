import { beforeEach, expect, test } from 'vitest'
import type { OptimizerThreadOptions } from '../../../../node/optimizer/optimizer-thread.ts'
import type { ToThread, TrainedModel } from '../../../../node/optimizer/protocol.ts'
import { Trainer } from '../../../../node/optimizer/trainer.ts'
import { finished } from '../../optimizer/guard/fixture.ts'
import { NOTHING_UNENDED } from '../../../../optimizer/guard/unended.ts'
import { makeRows } from './rows.ts'

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** A thread that is no thread: what it is told is written down, what it says is said by hand. */
class Puppet {
  readonly told: ToThread[] = []
  readonly options: OptimizerThreadOptions
  ended = false

  constructor(options: OptimizerThreadOptions) {
    this.options = options
  }
  post(message: ToThread): void {
    this.told.push(message)
  }
  ask(): Promise<never> {
    return Promise.reject(new Error('gone'))
  }
  end(): Promise<void> {
    this.ended = true
    return Promise.resolve()
  }
}

let now: number
let threads: Puppet[]
let models: TrainedModel[]
let trainer: Trainer

beforeEach(() => {
  now = 0
  threads = []
  models = []
  trainer = new Trainer({
    logger: QUIET,
    now: () => now,
    cpuShare: 0.1,
    seed: () => 7,
    onModel: (model) => models.push(model),
    thread: (options) => {
      const thread = new Puppet(options)
      threads.push(thread)
      return thread
    }
  })
})

test('a long history is passed on in small messages, in order, and then what is new', () => {
  const rows = makeRows(450)
  const tasks = Array.from({ length: 300 }, (_, index) => finished(index + 1))
  expect(trainer.begin(undefined, rows, tasks)).toBe(true)
  expect(trainer.begin(undefined, rows, tasks)).toBe(false)
  for (let beat = 0; beat < 4; beat++) trainer.feed(makeRows(1, beat), [])
  const [first, ...others] = threads[0]!.told
  expect(first).toEqual({ type: 'train', seed: 7, cpuShare: 0.1, weights: undefined, pastRows: 450 })
  expect(
    Math.max(...others.map((m) => ('rows' in m ? m.rows.length : 'tasks' in m ? m.tasks.length : 0)))
  ).toBe(200)
  const passed = others.flatMap((message) => (message.type === 'rows' ? message.rows : []))
  expect(passed.slice(0, 450)).toEqual(rows)
  expect(passed).toHaveLength(454)
  expect(
    others.flatMap((message) => (message.type === 'history' ? message.tasks.map(({ id }) => id) : []))
  ).toEqual(tasks.map(({ id }) => id))
})

test('a thread that fails is begun again later each time, and in the end not at all until the next reign', async () => {
  const waits: number[] = []
  for (let failure = 1; failure <= 5; failure++) {
    const failedAt = now
    while (!trainer.begin(undefined, [], [])) now += 1_000
    waits.push(now - failedAt)
    threads.at(-1)!.options.onFailed?.('it hangs')
    expect(trainer.running).toBe(false)
  }
  expect(waits).toEqual([0, 10_000, 20_000, 40_000, 80_000])
  expect(trainer.failed).toBe(true)
  expect(trainer.restarts).toBe(5)
  now += 1e9
  expect(trainer.begin(undefined, [], [])).toBe(false)
  await trainer.end()
  expect(trainer.begin(undefined, [], [])).toBe(true)
  expect(trainer.restarts).toBe(5)
})

test('failures that lie far apart are each the first', () => {
  for (let failure = 1; failure <= 7; failure++) {
    expect(trainer.begin(undefined, [], [])).toBe(true)
    now += 3_600_000
    threads.at(-1)!.options.onFailed?.('out of memory')
    expect(trainer.mayBegin).toBe(false)
    now += 10_000
  }
  expect(trainer.restarts).toBe(7)
  expect(trainer.begin(undefined, [], [])).toBe(true)
})

test('with the reign the thread ends, and nothing is told to nobody', async () => {
  trainer.begin(new Uint8Array(3), makeRows(3), [])
  await trainer.end()
  expect(threads[0]!.ended).toBe(true)
  expect(trainer.running).toBe(false)
  trainer.feed(makeRows(3), [])
  trainer.wantModel()
  expect(threads[0]!.told).toHaveLength(1)
  expect(
    await trainer.ask({
      type: 'replay',
      count: 1,
      nodes: [],
      unended: NOTHING_UNENDED,
      contenders: []
    })
  ).toBeUndefined()
})

test('models and progress reach the owner', () => {
  trainer.begin(undefined, [], [])
  const { onMessage } = threads[0]!.options
  onMessage?.({ type: 'progress', backend: 'wasm', steps: 3, rows: 200, cpuShare: 0.05, peakCpuShare: 0.05 })
  expect(trainer.progress).toMatchObject({ backend: 'wasm', steps: 3, cpuShare: 0.05, peakCpuShare: 0.05 })
  onMessage?.({ type: 'model', weights: new Uint8Array(2), trainedOn: 200, evaluation: {} })
  expect(models).toMatchObject([{ trainedOn: 200 }])
})
