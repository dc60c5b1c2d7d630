/** Predictions that mislead are replaced by plain class means while they do, and taken again afterwards; policies hear of either. */
import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { feedbackOf, viewOf } from '../../../../optimizer/guard/history.ts'
import { PROBATION, TrustedEstimator } from '../../../../optimizer/guard/trusted-estimator.ts'
import { poisoned } from '../../../../optimizer/lab/poisoned.ts'
import { LiveNode } from '../../../../optimizer/sim/view.ts'
import { finished } from './fixture.ts'

const host = new LiveNode({
  ...{ id: nodeId(1), labels: {}, zone: '', profile: 'any', slots: 8, resources: {}, speeds: {} }
})
const KINDS = 6
const typicalMs = (kind: number): number => 100 * 4 ** kind

class Bench {
  readonly turns: (string | undefined)[] = []
  isPoisoned = false
  readonly trusted = new TrustedEstimator(
    poisoned(createLearnedEstimator(), 'inverted', () => this.isPoisoned),
    (distrust) => this.turns.push(distrust)
  )
  readonly #rng = createRng(1)
  #id = 1
  #now = 0

  /** Attempts of classes from 0.1 s to 100 s, one after another. */
  run(count: number): void {
    for (let left = count; left > 0; left--) {
      const kind = Math.floor(KINDS * this.#rng.nextFloat())
      const runMs = Math.round(typicalMs(kind) * (0.5 + this.#rng.nextFloat()))
      const task = finished(this.#id++, { name: `kind ${kind}`, runMs })
      this.trusted.placed(viewOf(task), host, this.#now)
      this.#now += runMs
      this.trusted.advance(this.#now)
      this.trusted.observe(feedbackOf(task))
    }
  }

  /** Whether the class of 100 s is taken for longer than that of 0.1 s. */
  get knowsLong(): boolean {
    const medianMs = (kind: number, how: 'predict' | 'predictByClass'): number =>
      this.trusted[how](viewOf(finished(1_000_000, { name: `kind ${kind}` }))).medianMs
    const knows = (['predict', 'predictByClass'] as const).map(
      (how) => medianMs(KINDS - 1, how) > 100 * medianMs(0, how)
    )
    expect(knows[0]).toBe(knows[1])
    return knows[0] === true
  }
}

test('what turns bad in use is replaced within a hundred ends, and taken again when it is good for a while', () => {
  const bench = new Bench()
  bench.run(500)
  expect([bench.turns, bench.knowsLong]).toEqual([[], true])
  bench.isPoisoned = true
  expect(bench.knowsLong).toBe(false)
  bench.run(100)
  expect(bench.turns).toEqual([expect.stringContaining('worse than by plain class means')])
  expect([bench.trusted.distrust, bench.knowsLong]).toEqual([bench.turns[0], true])
  bench.run(3 * PROBATION)
  expect(bench.turns).toHaveLength(1)
  bench.isPoisoned = false
  bench.run(PROBATION + 100)
  expect([bench.turns.length, bench.trusted.distrust, bench.knowsLong]).toEqual([2, undefined, true])
})

test('at each turn, what was asked for is said to have moved', () => {
  const bench = new Bench()
  bench.run(500)
  bench.isPoisoned = true
  const waiting = Array.from({ length: KINDS }, (_, kind) =>
    viewOf(finished(2_000_000 + kind, { name: `kind ${kind}` }))
  )
  for (const task of waiting) bench.trusted.predict(task)
  while (bench.turns.length === 0) bench.run(1)
  const moved = [...bench.trusted.advance(1e12)]
  expect(moved).toEqual(expect.arrayContaining(waiting.map((task) => bench.trusted.classOf(task))))
})
