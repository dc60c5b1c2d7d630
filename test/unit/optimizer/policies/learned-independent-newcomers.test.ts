import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { beliefOf, Bursts } from '../../../../optimizer/policies/learned/bursts.ts'
import { Newcomers } from '../../../../optimizer/policies/learned/newcomers.ts'
import { LiveTask } from '../../../../optimizer/sim/view.ts'
import { taskOf } from '../../../helpers/workloads.ts'

const VAGUE = { ln: 10, variance: 8, skew: 2 }

test("a new tenant's tasks are expected to take about what the name takes for others", () => {
  const newcomers = new Newcomers()
  for (let seen = 0; seen < 20; seen++) newcomers.learn('anna', 'resize', 2 + (seen % 2))
  const { ln, variance } = newcomers.expect('bert', 'resize', VAGUE)
  expect(ln).toBeGreaterThan(2)
  expect(ln).toBeLessThan(3.5)
  expect(variance).toBeLessThan(VAGUE.variance)
})

test('names that nobody used, tenants that are known and run times that are known are left to the estimator', () => {
  const newcomers = new Newcomers()
  newcomers.learn('anna', 'resize', 2)
  expect(newcomers.expect('bert', 'train', VAGUE)).toEqual(VAGUE)
  expect(newcomers.expect('anna', 'resize', VAGUE)).toEqual(VAGUE)
  const truth = { ln: 10, variance: 0, skew: 0 }
  expect(newcomers.expect('bert', 'resize', truth)).toEqual(truth)
})

test('an estimator that is sure is hardly contradicted', () => {
  const newcomers = new Newcomers()
  newcomers.learn('anna', 'resize', 2)
  expect(newcomers.expect('bert', 'resize', { ln: 10, variance: 0.01, skew: 0 }).ln).toBeCloseTo(10, 0)
})

test('an expectation lies between the two opinions and is finite, whatever was seen', () => {
  const ln = fc.double({ min: 0, max: 30, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(ln, { minLength: 1, maxLength: 50 }),
      ln,
      fc.double({ min: 1e-6, max: 100, noNaN: true }),
      (seen, opinion, variance) => {
        const newcomers = new Newcomers()
        for (const each of seen) newcomers.learn('anna', 'resize', each)
        const expected = newcomers.expect('bert', 'resize', { ln: opinion, variance, skew: 1 })
        expect(expected.ln).toBeGreaterThanOrEqual(Math.min(opinion, ...seen) - 1e-6)
        expect(expected.ln).toBeLessThanOrEqual(Math.max(opinion, ...seen) + 1e-6)
        expect(expected.variance).toBeGreaterThan(0)
        expect(Number.isFinite(expected.variance)).toBe(true)
      }
    )
  )
})

test('what was learned first is forgotten first', () => {
  const newcomers = new Newcomers()
  for (let name = 0; name <= 4096; name++) newcomers.learn(`t${name}`, `n${name}`, 2)
  expect(newcomers.expect('bert', 'n0', VAGUE)).toEqual(VAGUE)
  expect(newcomers.expect('bert', 'n1', VAGUE).ln).toBeLessThan(VAGUE.ln)
  expect(newcomers.expect('t0', 'n4096', VAGUE).ln).toBeLessThan(VAGUE.ln)
  expect(newcomers.expect('t1', 'n4096', VAGUE)).toEqual(VAGUE)
})

test("a burst's first completion is what later tenants' first bursts of the name begin with", () => {
  const bursts = new Bursts()
  const task = (id: number, tenant: string): LiveTask =>
    new LiveTask({ ...taskOf({ work: 1 }, id - 1), tenant, name: 'resize' }, [])
  const vague = beliefOf({
    meanMs: 60_000,
    medianMs: 60_000,
    quantileMs: (q: number) => 60_000 * 1000 ** (q - 0.5),
    remainingMs: () => 60_000,
    failureProbability: 0,
    memoryBytes: () => 0
  })
  const medianOf = (id: number, tenant: string): number =>
    Math.exp(bursts.estimate(bursts.ready(task(id, tenant), tenant, 1), 0, () => vague).ln)
  expect(medianOf(1, 'anna')).toBeCloseTo(60_000)
  bursts.started(taskId(1), 0)
  bursts.ended(taskId(1), 100)
  expect(medianOf(2, 'bert')).toBeLessThan(30_000)
})
