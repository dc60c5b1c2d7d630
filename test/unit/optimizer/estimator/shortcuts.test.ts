import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { BinnedPrediction, FINE_BINS, quantileLn } from '../../../../optimizer/estimator/bins.ts'
import { ClassTree } from '../../../../optimizer/estimator/class-tree.ts'
import { RunningSiblings } from '../../../../optimizer/estimator/running-siblings.ts'
import { task } from './support.ts'

/** Masses of which most are 0, as histograms' are. */
const distribution = fc
  .array(
    fc.tuple(fc.integer({ min: 0, max: FINE_BINS - 1 }), fc.double({ min: 1e-6, max: 1, noNaN: true })),
    {
      minLength: 1,
      maxLength: 20
    }
  )
  .map((parts) => {
    const masses = new Float64Array(FINE_BINS)
    for (const [bin, mass] of parts) masses[bin]! += mass
    const sum = masses.reduce((total, mass) => total + mass, 0)
    return masses.map((mass) => mass / sum)
  })

test('a prediction’s quantiles are those of its masses to the last digit, also after these have changed', () => {
  fc.assert(
    fc.property(
      distribution,
      distribution,
      fc.array(fc.double({ min: 0.001, max: 0.999, noNaN: true }), { minLength: 1 }),
      (first, second, levels) => {
        const masses = Float64Array.from(first)
        const prediction = new BinnedPrediction(masses).refresh(1, 0)
        for (const [index, now] of [first, second, first].entries()) {
          if (index > 0) {
            masses.set(now)
            prediction.changed()
          }
          for (const q of levels)
            expect(prediction.quantileMs(q)).toBe(Math.max(1, Math.exp(quantileLn(now, q))))
          expect(prediction.meanMs).toBe(new BinnedPrediction(now).refresh(1, 0).meanMs)
        }
      }
    )
  )
})

test('a task’s class is its own although another task’s number ends alike, or is the same in another run', () => {
  const tree = new ClassTree(() => 0, 10)
  const resources = { cpu: 1 }
  const ann = task(1, { resources })
  const [alike, again] = [task(1 + 4096, { name: 'alike', resources }), task(1, { name: 'again', resources })]
  const first = tree.of(ann)
  expect(tree.of(alike).nameKey).toBe('ann\nalike')
  expect(tree.of(again).nameKey).toBe('ann\nagain')
  expect(tree.of(ann)).toBe(first)
})

test('a class that was forgotten is made anew when its task is asked about again', () => {
  const tree = new ClassTree(() => 0, 2)
  const old = task(1)
  const { key } = tree.of(old)
  for (const id of [2, 3, 4]) tree.of(task(id, { name: `other-${id}` }))
  expect(tree.byKey(key)).toBeUndefined()
  const made = tree.of(old)
  expect(tree.byKey(made.key)).toBe(made)
})

test('who asks of running siblings twice in a moment hears what began or ended in between', () => {
  const running = new RunningSiblings()
  running.begin(taskId(1), 7, 0, 1000, 0)
  const counts = (): number[] => running.groups(7, 5000, 0).map(({ count }) => count)
  expect(counts()).toEqual([1])
  expect(counts()).toEqual([1])
  running.begin(taskId(2), 7, 0, 1000, 0)
  expect(counts()).toEqual([2])
  running.end(taskId(1))
  expect(counts()).toEqual([1])
  expect(running.groups(8, 5000, 0)).toEqual([])
})
