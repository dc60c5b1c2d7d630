import { expect, test } from 'vitest'
import { ModelBook } from '../../../../node/optimizer/model-book.ts'
import { ModelGuard, type ModelDecision } from '../../../../node/optimizer/model-guard.ts'
import { judge, LOOKS } from '../../../../optimizer/guard/promotion.ts'
import { REST, WINDOW } from '../../../../optimizer/guard/watch.ts'
import type { Model } from '../../../../optimizer/estimator/weights.ts'
import { createState, type SchedulerState } from '../../../../scheduler/state.ts'
import type { ModelRecord, ModelState } from '../../../../scheduler/types.ts'
import { makeRows, opinionated } from './rows.ts'

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
const KNOWING = opinionated(3)
const WEAK = opinionated(1.5)
const INVERTED = opinionated(-3)
const NEUTRAL = opinionated(0)

/** A log of models without a log: verdicts take effect at once. */
class Bench {
  readonly state: SchedulerState = createState()
  readonly decisions: ModelDecision[] = []
  readonly used: (Model | undefined)[] = []
  readonly book = new ModelBook(QUIET, (model) => this.used.push(model))
  failing = false
  /** Judgements never end. */
  slow = false
  /** Judgements end after this. */
  judged = Promise.resolve()
  /** The log takes no verdict. */
  refuses = false
  /** Verdicts that the log was asked to take, and judgements that were asked for. */
  proposals = 0
  judgements = 0
  acts = true
  #seed = 1
  readonly guard = new ModelGuard({
    judge: ({ incumbent, challenger, last }) => {
      this.judgements++
      if (this.slow) return new Promise(() => undefined)
      if (this.failing) return Promise.reject(new Error('the thread is gone'))
      return this.judged.then(() => judge({ incumbent, challenger, replay: undefined }, last))
    },
    coverage: () => undefined,
    decide: (decision) => {
      this.proposals++
      if (this.refuses) return Promise.resolve(false)
      this.decisions.push(decision)
      const to = { promote: 'serving', reject: 'rejected', 'roll-back': 'rolled-back' } as const
      if (decision.verdict === 'promote')
        for (const model of this.state.models.values()) if (model.state === 'serving') model.state = 'retired'
      this.state.models.get(decision.version)!.state = to[decision.verdict]
      this.book.sync(this.state)
      return Promise.resolve(true)
    }
  })

  put(version: number, weights: Uint8Array, state: ModelState): void {
    const model: ModelRecord = {
      ...({ rowFlags: 0, hashA: 0, hashB: 0 } as const),
      ...{ version, weights, state, trainedOn: 0, reason: '', evaluation: new Uint8Array(0) },
      ...{ publishedAt: this.state.time, servedAt: this.state.time, changedAt: this.state.time }
    }
    this.state.models.set(version, model)
    this.book.sync(this.state)
  }

  /** Attempts end, a few at a time, as they would between two beats. */
  async end(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 64) {
      const rows = makeRows(Math.min(64, left), this.#seed++)
      this.guard.observe(rows, this.book.serving, this.book.shadow, this.acts)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  get verdicts(): string[] {
    return this.decisions.map(({ version, verdict }) => `${verdict} ${version}`)
  }
}

test('a shadow that knows more is promoted, and predicts from then on', async () => {
  const bench = new Bench()
  bench.put(1, KNOWING, 'shadow')
  expect(bench.book.serving).toBeUndefined()
  await bench.end(256)
  expect(bench.verdicts).toEqual(['promote 1'])
  expect(bench.book.serving?.version).toBe(1)
  expect(bench.used).toHaveLength(1)
  expect(bench.used[0]?.weights).toHaveLength(bench.book.serving?.model?.weights.length ?? 0)
})

test('a judgement that ends after models were frozen promotes nothing, and is made anew when they change again', async () => {
  const bench = new Bench()
  let end = (): void => undefined
  bench.judged = new Promise((resolve) => (end = resolve))
  bench.put(1, KNOWING, 'shadow')
  await bench.end(256)
  bench.acts = false
  await bench.end(1)
  end()
  await bench.end(1)
  expect(bench.verdicts).toEqual([])
  bench.acts = true
  await bench.end(1)
  expect(bench.verdicts).toEqual(['promote 1'])
})

test('a shadow whose predictions are inverted is rejected and never predicts', async () => {
  const bench = new Bench()
  bench.put(1, INVERTED, 'shadow')
  await bench.end(256)
  expect(bench.verdicts).toEqual(['reject 1'])
  expect(bench.used).toEqual([])
})

test('a shadow that says the same of everything is not promoted over one that knows', async () => {
  const bench = new Bench()
  bench.put(1, KNOWING, 'serving')
  bench.put(2, NEUTRAL, 'shadow')
  await bench.end(LOOKS.at(-1)! + 64)
  expect(bench.verdicts).toEqual(['reject 2'])
  expect(bench.book.serving?.version).toBe(1)
})

test.each([
  ['not a model at all', new Uint8Array(10)],
  ['of another format', KNOWING.slice().fill(9, 4, 6)],
  ['damaged', KNOWING.slice().fill(1, 1_000, 1_001)],
  ['NaN', KNOWING.slice().fill(0xff, 100, 104)]
])(
  'a shadow that is %s is rejected at once; forced to serve, it predicts nothing and is rolled back',
  async (_, weights) => {
    const shadow = new Bench()
    shadow.put(1, weights, 'shadow')
    await shadow.end(1)
    expect(shadow.verdicts).toEqual(['reject 1'])
    const serving = new Bench()
    serving.put(1, weights, 'serving')
    expect(serving.used).toEqual([undefined])
    expect(serving.book.serving?.problem).toMatch(/got .*, expected/)
    await serving.end(1)
    expect(serving.verdicts).toEqual(['roll-back 1'])
  }
)

test('a serving model that predicts the inverse is rolled back, and none is promoted for a while', async () => {
  const bench = new Bench()
  bench.put(1, INVERTED, 'serving')
  await bench.end(WINDOW / 2)
  expect(bench.verdicts).toEqual(['roll-back 1'])
  expect(bench.decisions[0]?.reason).toContain('regret')
  bench.put(2, KNOWING, 'shadow')
  await bench.end(256)
  expect(bench.verdicts).toEqual(['roll-back 1'])
  await bench.end(REST)
  expect(bench.verdicts).toEqual(['roll-back 1', 'promote 2'])
})

test('a serving model is taken back while a judgement takes its time', async () => {
  const bench = new Bench()
  bench.slow = true
  bench.put(1, INVERTED, 'serving')
  bench.put(2, KNOWING, 'shadow')
  await bench.end(WINDOW / 2)
  expect(bench.verdicts).toEqual(['roll-back 1'])
})

test('a roll-back that the log refused is proposed again', async () => {
  const bench = new Bench()
  bench.refuses = true
  bench.put(1, INVERTED, 'serving')
  await bench.end(WINDOW / 2)
  bench.refuses = false
  await bench.end(1)
  expect(bench.verdicts).toEqual(['roll-back 1'])
})

test.each([
  ['promotion', 'promote', undefined, KNOWING],
  ['rejection at the last look', 'reject', KNOWING, NEUTRAL]
] as const)(
  'a %s that the log refused is proposed again, and counted once',
  async (_, verdict, serving, shadow) => {
    const bench = new Bench()
    if (serving !== undefined) bench.put(1, serving, 'serving')
    bench.put(2, shadow, 'shadow')
    bench.refuses = true
    await bench.end(LOOKS.at(-1)! + 64)
    expect(bench.proposals).toBeGreaterThan(1)
    expect(bench.guard.counts[verdict]).toBe(0)
    const { judgements } = bench
    bench.refuses = false
    await bench.end(1)
    expect(bench.verdicts).toEqual([`${verdict} 2`])
    expect(bench.guard.counts[verdict]).toBe(1)
    // What was decided stands: it is not judged again.
    expect(bench.judgements).toBe(judgements)
  }
)

test('after a promotion none follows for a while', async () => {
  const bench = new Bench()
  bench.put(1, KNOWING, 'shadow')
  await bench.end(256)
  bench.put(2, INVERTED, 'shadow')
  await bench.end(REST - 256)
  expect(bench.verdicts).toEqual(['promote 1'])
  await bench.end(REST)
  expect(bench.verdicts).toEqual(['promote 1', 'reject 2'])
})

test.each([
  ['rolls back', 'rolled-back', undefined],
  ['has another model serve', 'retired', WEAK]
] as const)('after an operator %s none is promoted for a while', async (_, state, other) => {
  const bench = new Bench()
  bench.put(1, WEAK, 'serving')
  await bench.end(64)
  bench.put(1, WEAK, state)
  if (other !== undefined) bench.put(2, other, 'serving')
  bench.put(3, KNOWING, 'shadow')
  await bench.end(REST - 64)
  expect(bench.verdicts).toEqual([])
  await bench.end(128)
  expect(bench.verdicts).toEqual(['promote 3'])
})

test('a new leader takes what served before it for no change', async () => {
  const bench = new Bench()
  bench.put(1, WEAK, 'serving')
  bench.guard.observe([], bench.book.serving, undefined, true)
  bench.guard.forget()
  bench.put(2, WEAK, 'serving')
  bench.put(1, WEAK, 'retired')
  bench.put(3, KNOWING, 'shadow')
  await bench.end(256)
  expect(bench.verdicts).toEqual(['promote 3'])
})

test('frozen models are scored and left alone', async () => {
  const bench = new Bench()
  bench.acts = false
  bench.put(1, INVERTED, 'serving')
  bench.put(2, KNOWING, 'shadow')
  await bench.end(2 * WINDOW)
  expect(bench.decisions).toEqual([])
  expect(bench.guard.alarms.join()).toContain('regret')
})

test('a judge that fails is asked again at the next chance', async () => {
  const bench = new Bench()
  bench.failing = true
  bench.put(1, KNOWING, 'shadow')
  await bench.end(256)
  expect(bench.decisions).toEqual([])
  bench.failing = false
  await bench.end(64)
  expect(bench.verdicts).toEqual(['promote 1'])
})

test('with a new reign, scores begin anew', async () => {
  const bench = new Bench()
  bench.put(1, KNOWING, 'shadow')
  await bench.end(64)
  expect(bench.guard.shadowScored).toBe(64)
  bench.guard.forget()
  await bench.end(64)
  expect(bench.guard.shadowScored).toBe(64)
})
