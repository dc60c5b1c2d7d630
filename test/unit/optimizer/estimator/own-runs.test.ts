import { expect, test } from 'vitest'
import { EXPERTS, ExpertMasses } from '../../../../optimizer/estimator/experts.ts'
import type { ExpertName } from '../../../../optimizer/estimator/experts.ts'
import { weighByRecord } from '../../../../optimizer/estimator/mixture.ts'
import { GUESS } from '../../../../optimizer/estimator/statistics.ts'

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
