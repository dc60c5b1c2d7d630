import { expect, test } from 'vitest'
import { outcomesOf, PROGRESS, scores } from '../../../helpers/eta-trials.ts'

/** Not those that constants were chosen on. */
const SEEDS = Array.from({ length: 24 }, (_, index) => 5001 + index)

test('the end of a run of classes that differ thirtyfold is forecast within a factor of two from its first tenth on', () => {
  const all = scores({ kind: 'even' }, SEEDS)
  expect(all).toHaveLength(PROGRESS.length)
  const [first, ...later] = all
  expect(first?.errorLn).toBeLessThan(0.35)
  expect(first?.width).toBeLessThan(5)
  for (const { errorLn, by90, width } of later) {
    expect(errorLn).toBeLessThan(0.2)
    expect(by90).toBeGreaterThan(0.9)
    expect(width).toBeLessThan(1.5)
  }
})

test('after twenty of three hundred tasks a run of half a minute is not said to take an hour', () => {
  const ratios = SEEDS.map((seed) => {
    const [made] = outcomesOf({ kind: 'even', seed, progress: [20 / 300] })
    return (made?.p50Ms ?? Infinity) / (made?.actualMs ?? 1)
  }).sort((a, b) => a - b)
  expect(ratios[SEEDS.length >> 1]).toBeLessThan(4)
  expect(ratios[0]).toBeGreaterThan(0.5)
})

test.each(['logNormal', 'pareto'] as const)(
  'a run whose tasks are %s is done by its p90 in most cases, and its p50 is within a factor of two',
  (kind) => {
    const all = scores({ kind }, SEEDS)
    const mean = (of: (score: (typeof all)[number]) => number): number =>
      all.reduce((sum, score) => sum + of(score), 0) / all.length
    expect(mean(({ by90 }) => by90)).toBeGreaterThan(0.78)
    for (const { errorLn } of all) expect(errorLn).toBeLessThan(Math.LN2)
  }
)
