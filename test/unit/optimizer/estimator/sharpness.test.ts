import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import type { LearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { ended, node, task } from './support.ts'

/** Has the estimator see one run after another. */
function history(estimator: LearnedEstimator): (name: string, tenant: string, runMs: number) => void {
  let now = 0
  let id = 1
  return (name, tenant, runMs) => {
    const one = task(id++, { name, tenant })
    estimator.advance(now)
    estimator.predict(one)
    estimator.placed(one, node(1), now)
    now += runMs
    estimator.observe(ended(one, runMs))
    now += 5
  }
}

test('a class that takes 50 to 110 ms is promised that, whatever else its tenant and others run', () => {
  const estimator = createLearnedEstimator()
  const ran = history(estimator)
  const rng = createRng(5)
  for (let index = 0; index < 600; index++) {
    const [name, typical] = ([['a', 1500] as const, ['b', 8000] as const, ['c', 300] as const] as const)[
      index % 3
    ]!
    ran(name, 'others', typical * (0.8 + 0.4 * rng.nextFloat()))
  }
  for (let index = 0; index < 64; index++) {
    ran('tight', 'ann', 51 + 59 * rng.nextFloat() ** 2)
    ran('long', 'ann', 2000 * (0.8 + 0.4 * rng.nextFloat()))
  }
  const prediction = estimator.predict(task(5000, { name: 'tight', tenant: 'ann' }))
  expect(prediction.quantileMs(0.9)).toBeLessThan(150)
  expect(prediction.quantileMs(0.99)).toBeLessThan(250)
  expect(estimator.predict(task(5001, { name: 'long', tenant: 'ann' })).quantileMs(0.1)).toBeGreaterThan(1000)
})
