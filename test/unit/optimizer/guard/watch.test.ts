import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import {
  ASSESS_EVERY,
  ModelWatch,
  WINDOW,
  type Assessment,
  type ScoredAttempt
} from '../../../../optimizer/guard/watch.ts'

const rng = createRng(7)
const good = (): ScoredAttempt => ({
  model: 1.5 + rng.nextFloat(),
  statistics: 1.7 + rng.nextFloat(),
  pit: rng.nextFloat()
})

function feed(watch: ModelWatch, count: number, make: () => ScoredAttempt): Assessment[] {
  const made: Assessment[] = []
  for (let index = 0; index < count; index++) {
    const assessment = watch.add(make())
    if (assessment !== undefined) made.push(assessment)
  }
  return made
}

test('a model that earns its place stays, without alarms', () => {
  const made = feed(new ModelWatch(), 4 * WINDOW, good)
  expect(made).toHaveLength((4 * WINDOW) / ASSESS_EVERY)
  expect(made.every(({ rollBack, alarms }) => rollBack === undefined && alarms.length === 0)).toBe(true)
})

test('a model that predicts worse than statistics is rolled back, and not for one bad spell', () => {
  const watch = new ModelWatch()
  const made = feed(watch, 2 * WINDOW, () => ({ ...good(), model: 2.5 + rng.nextFloat() }))
  expect(made[0]).toMatchObject({ rollBack: undefined, alarms: [expect.stringContaining('regret')] })
  expect(made[1]?.rollBack).toContain('regret')
})

test('a model whose intervals miss is rolled back; one that is merely off raises an alarm, which ends late', () => {
  const confident = feed(new ModelWatch(), WINDOW, () => ({
    ...good(),
    pit: rng.nextFloat() < 0.5 ? 1 : 0.5
  }))
  expect(confident.at(-1)?.rollBack).toContain('calibration lost')
  const watch = new ModelWatch()
  const off = feed(watch, WINDOW, () => ({ ...good(), pit: rng.nextFloat() ** 0.5 }))
  expect(off.at(-1)).toMatchObject({ rollBack: undefined, alarms: [expect.stringContaining('calibration')] })
  const recovering = feed(watch, ASSESS_EVERY, good)
  expect(recovering.at(-1)?.alarms).toHaveLength(1)
  expect(feed(watch, WINDOW, good).at(-1)?.alarms).toEqual([])
})

test('losses that are no numbers count as regret', () => {
  const made = feed(new ModelWatch(), WINDOW, () => ({ model: NaN, statistics: 1, pit: NaN }))
  expect(made.at(-1)?.rollBack).toContain('regret')
})

test('censored attempts have no place in the predicted distribution', () => {
  const made = feed(new ModelWatch(), WINDOW, () => ({ ...good(), pit: NaN }))
  expect(made.at(-1)).toEqual({ alarms: [], rollBack: undefined })
})
