import { beforeEach, expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import {
  ASSESS_EVERY,
  ModelWatch,
  WINDOW,
  type Assessment,
  type Coverage,
  type ScoredAttempt
} from '../../../../optimizer/guard/watch.ts'

const rng = createRng(7)
const good = (): ScoredAttempt => ({ model: 1.5 + rng.nextFloat(), statistics: 1.7 + rng.nextFloat() })

let coverage: Coverage | undefined = [0.9, 0.99]
const watchIt = (): ModelWatch => new ModelWatch(() => coverage)

function feed(watch: ModelWatch, count: number, make: () => ScoredAttempt): Assessment[] {
  const made: Assessment[] = []
  for (let index = 0; index < count; index++) {
    const assessment = watch.add(make())
    if (assessment !== undefined) made.push(assessment)
  }
  return made
}

beforeEach(() => {
  coverage = [0.9, 0.99]
})

test('a model that earns its place stays, without alarms', () => {
  const made = feed(watchIt(), 4 * WINDOW, good)
  expect(made).toHaveLength((4 * WINDOW) / ASSESS_EVERY)
  expect(made.every(({ rollBack, alarms }) => rollBack === undefined && alarms.length === 0)).toBe(true)
})

test('a model that predicts worse than statistics is rolled back, and not for one bad spell', () => {
  const made = feed(watchIt(), 2 * WINDOW, () => ({ ...good(), model: 2.5 + rng.nextFloat() }))
  expect(made[0]?.rollBack).toBeUndefined()
  expect(made[0]?.alarms.join()).toContain('regret')
  expect(made[1]?.rollBack).toContain('regret')
  const spell = watchIt()
  feed(spell, ASSESS_EVERY, () => ({ ...good(), model: 3 }))
  expect(feed(spell, 4 * WINDOW, () => ({ model: 1, statistics: 2 })).some((made) => made.rollBack)).toBe(
    false
  )
})

test('a model whose intervals miss is rolled back, at the second look', () => {
  coverage = [0.6, 0.99]
  const made = feed(watchIt(), WINDOW, good)
  expect(made.map(({ rollBack }) => rollBack?.includes('calibration lost') ?? false)).toEqual([
    false,
    true,
    true,
    true
  ])
})

test('a calibration that is merely off raises an alarm, which ends later than it began', () => {
  const watch = watchIt()
  const alarmsAt = (now: Coverage | undefined): number => {
    coverage = now
    return feed(watch, ASSESS_EVERY, good)[0]?.alarms.length ?? -1
  }
  expect(alarmsAt([0.84, 0.98])).toBe(0)
  expect(alarmsAt([0.81, 0.98])).toBe(1)
  expect(alarmsAt([0.84, 0.98])).toBe(1)
  expect(alarmsAt([0.87, 0.98])).toBe(0)
  expect(alarmsAt([0.9, 0.95])).toBe(1)
  expect(alarmsAt(undefined)).toBe(0)
})

test('losses that are no numbers count as regret', () => {
  const made = feed(watchIt(), WINDOW, () => ({ model: NaN, statistics: 1 }))
  expect(made.at(-1)?.rollBack).toContain('regret')
})
