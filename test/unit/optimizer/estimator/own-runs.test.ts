import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { EXPERTS, ExpertMasses } from '../../../../optimizer/estimator/experts.ts'
import type { ExpertName } from '../../../../optimizer/estimator/experts.ts'
import { DecayedHistogram } from '../../../../optimizer/estimator/histogram.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { weighByRecord } from '../../../../optimizer/estimator/mixture.ts'
import { GUESS } from '../../../../optimizer/estimator/statistics.ts'
import { ended, node, task } from './support.ts'

const OF_OWN: readonly ExpertName[] = [
  'chain',
  'name',
  'class',
  'class-fast',
  'class-slow',
  'name-fast',
  'last'
]

/** The weight of experts that are made of a class's own runs, when records tell nothing of any. */
function ofOwn(share: number): number {
  const weights = new Float64Array(EXPERTS.length)
  const records = new Float32Array(EXPERTS.length)
  const own = share === 0 ? undefined : { records, runs: 5 * share, share }
  weighByRecord(weights, new Float32Array(EXPERTS.length), new ExpertMasses(GUESS), {
    records,
    own,
    siblings: []
  })
  return OF_OWN.reduce((sum, expert) => sum + (weights[EXPERTS.indexOf(expert)] ?? 0), 0)
}

test('where records tell nothing apart, a class that has run goes by its own runs, the more the more it has', () => {
  expect(ofOwn(0)).toBeLessThan(0.5)
  expect(ofOwn(0.4)).toBeGreaterThan(ofOwn(0))
  expect(ofOwn(1)).toBeGreaterThan(0.65)
})

test('no quantile is beyond the last run, however short the memory and near 1 the share', () => {
  const rng = createRng(1)
  for (const decay of [0.5, 0.98, 0.999]) {
    const runs = new DecayedHistogram()
    let furthest = 0
    for (let run = 0; run < 5000; run++) {
      runs.addLn(Math.log(700 + 600 * rng.nextFloat()), decay)
      furthest = Math.max(furthest, runs.quantileLn(1 - 1e-12), runs.quantileLn(1))
    }
    expect(Math.exp(furthest)).toBeLessThan(1300 * 1.5)
  }
})

test('a class of a hundred milliseconds is never promised a p99 of seconds for what its tenant runs beside it', () => {
  const estimator = createLearnedEstimator({ rows: false })
  const rng = createRng(5)
  const host = node(1)
  let furthest = 0
  let id = 1
  for (let now = 2000; now <= 2_400_000; now += 2000) {
    for (const [name, runMs] of [
      ['wild', Math.exp(4 + 12 * rng.nextFloat())],
      ['steady', 50 + 60 * rng.nextFloat()]
    ] as const) {
      const run = task(id++, { name, attempts: 1 })
      estimator.placed(run, host, now)
      estimator.observe(ended(run, runMs))
    }
    Array.from(estimator.advance(now))
    if (now < 800_000) continue
    furthest = Math.max(
      furthest,
      estimator.predict(task(id, { name: 'steady', attempts: 1 }), host).quantileMs(0.99)
    )
  }
  expect(furthest).toBeLessThan(1000)
})
