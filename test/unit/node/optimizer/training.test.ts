import { expect, test, vi } from 'vitest'
import { createCpuBudget } from '../../../../node/optimizer/cpu-budget.ts'
import type { FromThread, ReplayRequest, ToThread } from '../../../../node/optimizer/protocol.ts'
import { SLICE_MS, Slices } from '../../../../node/optimizer/slices.ts'
import { startTraining } from '../../../../node/optimizer/training.ts'
import { createThreadProgram } from '../../../../node/optimizer/thread-program.ts'
import { lossWithoutModel, ModelScorer } from '../../../../node/optimizer/scoring.ts'
import { decodeModel } from '../../../../optimizer/estimator/weights.ts'
import { busyHistory, nodeFacts } from '../../optimizer/guard/fixture.ts'
import { NOTHING_UNENDED } from '../../../../optimizer/guard/unended.ts'
import { makeRows, opinionated } from './rows.ts'

type Message<T extends FromThread['type']> = Extract<FromThread, { type: T }>

/** The program of the thread, in this one. */
function start(): {
  tell: ReturnType<typeof createThreadProgram>
  next: <T extends FromThread['type']>(type: T) => Promise<Message<T>>
} {
  const waiting: { type: string; resolve: (message: FromThread) => void }[] = []
  const tell = createThreadProgram((message) => {
    for (const { resolve } of waiting.filter(({ type }) => type === message.type)) resolve(message)
  })
  const next = <T extends FromThread['type']>(type: T): Promise<Message<T>> =>
    new Promise((resolve) => {
      waiting.push({ type, resolve: resolve as (message: FromThread) => void })
    })
  return { tell, next }
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

test('training learns from rows that came before and after it was begun, and gives a model that predicts better', async () => {
  const { tell, next } = start()
  const model = next('model')
  const progress = next('progress')
  tell({ type: 'rows', rows: makeRows(1500) })
  tell({ type: 'want-model' })
  tell({ type: 'train', seed: 1, cpuShare: 1, weights: undefined, pastRows: 2000 })
  tell({ type: 'rows', rows: makeRows(500, 2) })
  expect((await progress).backend).toBe('wasm')
  const { weights, trainedOn, evaluation } = await model
  expect(trainedOn).toBe(2000)
  expect(evaluation).toMatchObject({ backend: 'wasm', judged: expect.any(Number) as number })
  const scorer = new ModelScorer(decodeModel(weights))
  const unseen = makeRows(300, 3)
  expect(mean(unseen.map((row) => scorer.loss(row)))).toBeLessThan(0.8 * mean(unseen.map(lossWithoutModel)))
})

test('training goes on from given weights', async () => {
  const { tell, next } = start()
  const model = next('model')
  tell({ type: 'train', seed: 1, cpuShare: 1, weights: opinionated(3), pastRows: 0 })
  tell({ type: 'want-model' })
  tell({ type: 'rows', rows: makeRows(256) })
  const scorer = new ModelScorer(decodeModel((await model).weights))
  const unseen = makeRows(300, 3)
  expect(mean(unseen.map((row) => scorer.loss(row)))).toBeLessThan(0.7 * mean(unseen.map(lossWithoutModel)))
})

test('who goes on from weights is not judged by rows that these may have been trained on', async () => {
  const { tell, next } = start()
  const model = next('model')
  tell({ type: 'train', seed: 1, cpuShare: 1, weights: opinionated(3), pastRows: 1280 })
  tell({ type: 'want-model' })
  tell({ type: 'rows', rows: makeRows(1280) })
  const { trainedOn, evaluation } = await model
  expect(trainedOn).toBe(1280)
  expect(evaluation).toMatchObject({ judged: 0 })
  expect(evaluation).not.toHaveProperty('loss')
})

test('a cluster that is always ahead of its training gets models, the first when the past was learned from', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const trainedOn: number[] = []
  const training = await startTraining(
    { type: 'train', seed: 1, cpuShare: 1, weights: undefined, pastRows: 640 },
    createCpuBudget(1, () => 0),
    () => 0,
    (message) => {
      if (message.type === 'model') trainedOn.push(message.trainedOn)
    }
  )
  training.add(makeRows(640))
  for (let step = 0; step < 20; step++) {
    training.wantModel()
    training.add(makeRows(100, step + 2))
    training.work()
  }
  vi.useRealTimers()
  expect(training.waitMs).toBeDefined()
  expect(trainedOn).toEqual([640, 896, 1152])
})

test('history is replayed under other policies; the base has no gain over itself', async () => {
  const { tell, next } = start()
  const history = busyHistory(400)
  for (let at = 0; at < history.length; at += 150)
    tell({ type: 'history', tasks: history.slice(at, at + 150) })
  const answer = next('answer')
  const contenders = ['fifo', 'shortest-first'].map((name) => ({ name, policy: name, weights: undefined }))
  tell({
    type: 'request',
    id: 5,
    request: {
      type: 'replay',
      count: 300,
      nodes: [nodeFacts(1)],
      unended: NOTHING_UNENDED,
      contenders
    }
  })
  const { id, value } = await answer
  expect(id).toBe(5)
  expect(value).toMatchObject({ base: 'fifo', tasks: 300, leftOut: 0, failures: [] })
  if (!('results' in value)) throw new Error('no comparison')
  expect(value.results[0]?.jct.relative).toBe(0)
  expect(value.results[1]?.jct.relativeInterval.high).toBeLessThan(0)
})

test('replays between two steps of training are in the share of a core that is reported, at once', async () => {
  const { tell, next } = start()
  tell({ type: 'history', tasks: busyHistory(400) })
  const contenders = ['fifo', 'shortest-first'].map((name) => ({ name, policy: name, weights: undefined }))
  const replay: ReplayRequest = {
    type: 'replay',
    count: 300,
    nodes: [nodeFacts(1)],
    unended: NOTHING_UNENDED,
    contenders
  }
  // What answers is loaded by then.
  const loaded = next('answer')
  tell({ type: 'request', id: 1, request: replay })
  await loaded
  const begun = next('progress')
  tell({ type: 'train', seed: 1, cpuShare: 1, weights: undefined, pastRows: 0 })
  const before = await begun
  const reported = next('progress')
  tell({ type: 'request', id: 2, request: replay })
  expect((await reported).peakCpuShare).toBeGreaterThan(before.peakCpuShare)
})

test('what comes while a replay waits for its budget is taken meanwhile, another request after it', async () => {
  const contenders = ['fifo', 'learned'].map((name) => ({ name, policy: name, weights: undefined }))
  const request: ReplayRequest = {
    type: 'replay',
    count: 300,
    nodes: [nodeFacts(1)],
    unended: NOTHING_UNENDED,
    contenders
  }
  const inbox: ToThread[] = []
  const answers: { readonly id: number; readonly left: number }[] = []
  let told = (): void => undefined
  const both = new Promise<void>((resolve) => (told = resolve))
  let begun = (): void => undefined
  const training = new Promise<void>((resolve) => (begun = resolve))
  const tell = createThreadProgram(
    (message) => {
      if (message.type === 'progress') begun()
      if (message.type === 'answer') answers.push({ id: message.id, left: inbox.length })
      if (answers.length === 2) told()
    },
    () => inbox.shift()
  )
  tell({ type: 'history', tasks: busyHistory(400) })
  tell({ type: 'train', seed: 1, cpuShare: 0.9, weights: undefined, pastRows: 0 })
  await training
  inbox.push({ type: 'rows', rows: makeRows(64) }, { type: 'request', id: 2, request })
  tell({ type: 'request', id: 1, request })
  await both
  expect(answers).toEqual([
    { id: 1, left: 0 },
    { id: 2, left: 0 }
  ])
})

test('a replay between the arming of a step and its time puts the step off', async () => {
  // Whether loading may begin is asked once; for a step, when it is armed, and each time when it was told to be due.
  const answers = [0, 0, 5, 5, 5]
  const asked: number[] = []
  let stepped = (): void => undefined
  const step = new Promise<void>((resolve) => (stepped = resolve))
  const budget = {
    ...{ charge: () => undefined, spent: () => undefined, share: 0, peakShare: 0 },
    get waitMs() {
      return answers.shift() ?? 0
    },
    spend: (work: () => void) => {
      work()
      asked.push(answers.length)
      stepped()
      return 0
    }
  }
  const training = await startTraining(
    { type: 'train', seed: 1, cpuShare: 1, weights: undefined, pastRows: 0 },
    budget,
    () => 0,
    () => undefined
  )
  expect(training.waitMs).toBeUndefined()
  training.add(makeRows(1))
  await step
  expect(asked).toEqual([0])
  expect(training.waitMs).toBeUndefined()
})

test('steps are made in the pauses of a replay, when training has rows, and none is made twice', async () => {
  const told: FromThread[] = []
  let cpu = 0
  const budget = createCpuBudget(
    1,
    () => 0,
    () => (cpu += 10)
  )
  const training = await startTraining(
    { type: 'train', seed: 1, cpuShare: 1, weights: undefined, pastRows: 0 },
    budget,
    () => 0,
    (message) => told.push(message)
  )
  training.add(makeRows(128))
  const slices = new Slices({
    budget,
    ...{ now: () => (cpu += SLICE_MS), cpuNow: () => cpu, block: () => undefined, alive: () => undefined },
    other: () => training
  })
  slices.run(() => {
    for (let at = 0; at < 20; at++) slices.pace()
  })
  expect(training.waitMs).toBeUndefined()
  training.report()
  expect(told.at(-1)).toMatchObject({ steps: 2, rows: 128 })
})

test.each([
  ['an unknown policy', { contenders: [{ name: 'x', policy: 'x', weights: undefined }] }, 'policy: got "x"'],
  ['too little history', { count: 3 }, 'got 3 ended tasks'],
  ['no node that could run anything', { nodes: [] }, 'got 0 ended tasks']
])('a replay of %s is refused', async (_, changes: Partial<ReplayRequest>, expected) => {
  const { tell, next } = start()
  tell({ type: 'history', tasks: busyHistory(100) })
  const refused = next('refused')
  const request: ReplayRequest = {
    type: 'replay',
    count: 50,
    nodes: [nodeFacts(1)],
    unended: NOTHING_UNENDED,
    contenders: [{ name: 'fifo', policy: 'fifo', weights: undefined }],
    ...changes
  }
  tell({ type: 'request', id: 1, request })
  expect(await refused).toMatchObject({
    code: 'INVALID_REQUEST',
    message: expect.stringContaining(expected) as string
  })
})

test('a shadow is judged with a replay of the policy in use', async () => {
  const { tell, next } = start()
  tell({ type: 'history', tasks: busyHistory(200) })
  const answer = next('answer')
  const replay: ReplayRequest = {
    type: 'replay',
    count: 100,
    nodes: [nodeFacts(1)],
    unended: NOTHING_UNENDED,
    contenders: [
      { name: 'serving', policy: 'shortest-first', weights: undefined },
      { name: 'shadow', policy: 'shortest-first', weights: opinionated(0) }
    ]
  }
  const losses = (level: number): Float64Array =>
    Float64Array.from({ length: 128 }, (_, at) => level + (at % 7) / 10)
  tell({
    type: 'request',
    id: 1,
    request: { type: 'judge', incumbent: losses(2), challenger: losses(3), last: false, replay }
  })
  expect((await answer).value).toMatchObject({ verdict: 'reject' })
})
