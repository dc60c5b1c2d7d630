import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { Conformal } from '../../../../optimizer/estimator/conformal.ts'
import { familiarityOf } from '../../../../optimizer/estimator/familiarity.ts'
import type { Maker } from '../../../../optimizer/estimator/conformal.ts'
import { DriftWatch } from '../../../../optimizer/estimator/drift.ts'
import { FailurePlaces, FailureTally, failureProbability } from '../../../../optimizer/estimator/failures.ts'
import { COMPONENTS, Hedge, OF_COMPONENTS } from '../../../../optimizer/estimator/hedge.ts'
import { MEDIANS, MedianTrust } from '../../../../optimizer/estimator/medians.ts'
import { NodeFactors } from '../../../../optimizer/estimator/node-factors.ts'
import { EventHeap } from '../../../../optimizer/sim/event-heap.ts'

/** The familiarity of a class that was completed often. */
const KNOWN = familiarityOf(1000, 1000)

/** A prediction that statistics make for the tenant, or a network. */
function by(tenant: string, familiarity: number, byNetwork = false): Maker {
  return { tenant, familiarity, byNetwork }
}

/** A class of which a few steady runs are known. */
const STEADY = { varianceLn: 0.05, runs: 8 }

/**
 * Runs uniform in [0, 1000] ms against a prediction that believes they end by `believedMs`; returns the late coverage of p90 and p99.
 * Attempts start so long after they were placed.
 */
function cover(believedMs: number, startUpMs = 0): [number, number] {
  const rng = createRng(3)
  const conformal = new Conformal()
  let now = 0
  const below = [0, 0]
  const counted = 4000
  for (let index = 1; index <= 2 * counted; index++) {
    const ms = (q: number): number => conformal.level(by('ann', KNOWN), q) * believedMs
    const [p90, p99] = [ms(0.9), ms(0.99)]
    const runMs = 1000 * rng.nextFloat()
    if (index > counted && runMs <= p90) below[0]!++
    if (index > counted && runMs <= p99) below[1]!++
    conformal.promise(taskId(index), by('ann', KNOWN), ms(0.9), ms(0.99))
    conformal.begin(taskId(index), now)
    now += startUpMs + runMs
    conformal.advance(now)
    conformal.end(taskId(index), runMs, false)
  }
  const told = [0, 1].map((promise) => conformal.coverage(promise as 0 | 1) ?? 0)
  for (const share of [0, 1])
    expect(Math.abs((told[share] ?? 0) - below[share]! / counted)).toBeLessThan(0.02)
  return [below[0]! / counted, below[1]! / counted]
}

test('promised quantiles hold in the long run although the prediction is twice too wide, or right', () => {
  for (const believed of [1000, 1500]) {
    const [p90, p99] = cover(believed)
    expect(Math.abs(p90 - 0.9)).toBeLessThan(0.03)
    expect(Math.abs(p99 - 0.99)).toBeLessThan(0.011)
  }
})

test('attempts that start long after they were placed are judged by what they ran for', () => {
  // What is heard of them meanwhile is the same as if they had started at once.
  expect(cover(1500, 5000)).toEqual(cover(1500))
})

/**
 * Bursts of tasks of eight tenants, a fifth of them in bursts of up to 200, that run for a time of the burst's own, within a prediction that knows
 * their tenant but is a third too narrow. They wait, and are heard of when they end. Returns the coverage of p90 and p99 over all.
 */
function coverBursts(seed: number, count: number): [number, number] {
  const rng = createRng(seed)
  const conformal = new Conformal()
  const logistic = (): number => {
    const share = Math.min(1 - 1e-6, Math.max(1e-6, rng.nextFloat()))
    return Math.log(share / (1 - share))
  }
  const steps = new EventHeap<() => void>()
  const below = [0, 0]
  let made = 0
  let now = 0
  const submit = (task: number, tenant: string, lnBurst: number): void => {
    const ms = (q: number): number => {
      const level = conformal.level(by(tenant, KNOWN), q)
      return 60_000 * Math.exp(Math.log(level / (1 - level)) / 1.5)
    }
    const [p90, p99] = [ms(0.9), ms(0.99)]
    const runMs = 60_000 * Math.exp(lnBurst + 0.3 * logistic())
    if (runMs <= p90) below[0]!++
    if (runMs <= p99) below[1]!++
    conformal.promise(taskId(task), by(tenant, KNOWN), p90, p99)
    const startsAt = now + 600_000 * rng.nextFloat()
    steps.push(startsAt, () => {
      conformal.begin(taskId(task), startsAt)
    })
    steps.push(startsAt + runMs, () => {
      conformal.end(taskId(task), runMs, false)
    })
  }
  while (made < count) {
    now += 40_000
    while (steps.nextTime <= now) {
      conformal.advance(steps.nextTime)
      steps.pop()?.()
    }
    const size = rng.nextFloat() < 0.2 ? 1 + Math.floor(200 * rng.nextFloat() ** 4) : 1
    const tenant = `t${Math.floor(8 * rng.nextFloat())}`
    const lnBurst = logistic()
    for (let index = 0; index < size && made < count; index++) submit(++made, tenant, lnBurst)
  }
  return [below[0]! / count, below[1]! / count]
}

test.each([1, 2, 3])('promises hold over bursts that are heard of late, seed %i', (seed) => {
  const [p90, p99] = coverBursts(seed, 30_000)
  expect(Math.abs(p90 - 0.9)).toBeLessThan(0.02)
  expect(Math.abs(p99 - 0.99)).toBeLessThan(0.005)
})

test('a burst of failed promises moves a level by the order of its logarithm, and one at a time by as many steps', () => {
  const risen = (together: boolean): number => {
    const conformal = new Conformal()
    const miss = (index: number): void => {
      conformal.begin(taskId(index), 0)
      conformal.end(taskId(index), 20, false)
    }
    const before = conformal.level(by('ann', KNOWN), 0.9)
    for (let index = 1; index <= 100; index++) {
      conformal.promise(taskId(index), by(`ann ${index}`, KNOWN), 10, 10)
      if (!together) miss(index)
    }
    for (let index = 1; together && index <= 100; index++) miss(index)
    const logit = (level: number): number => Math.log(level / (1 - level))
    return logit(conformal.level(by('bob', KNOWN), 0.9)) - logit(before)
  }
  expect(risen(true)).toBeGreaterThan(1)
  expect(risen(true)).toBeLessThan(risen(false) / 2)
})

test('a tenant of whom nothing has ended has levels of its own', () => {
  const conformal = new Conformal()
  const unknown = familiarityOf(0, 0)
  for (let index = 1; index <= 30; index++) {
    conformal.promise(taskId(index), by(`new ${index}`, unknown), 10, 10)
    conformal.begin(taskId(index), 0)
    conformal.end(taskId(index), 20, false)
  }
  expect(conformal.level(by('newer', unknown), 0.9)).toBeGreaterThan(conformal.level(by('newer', KNOWN), 0.9))
  expect([familiarityOf(5, 0), familiarityOf(5, 2), familiarityOf(50, 40)]).toEqual([1, 2, 4])
})

test('a network’s levels begin where those of the statistics stand, and leave them there', () => {
  const conformal = new Conformal()
  const [statistics, network] = [by('ann', KNOWN), by('ann', KNOWN, true)]
  const missed = (maker: Maker, from: number): void => {
    for (let index = from; index < from + 30; index++) {
      conformal.promise(taskId(index), maker, 10, 10)
      conformal.begin(taskId(index), 0)
      conformal.end(taskId(index), 20, false)
    }
  }
  const before = conformal.level(statistics, 0.9)
  missed(statistics, 1)
  const learned = conformal.level(statistics, 0.9)
  expect(learned).toBeGreaterThan(before)
  expect(conformal.level(network, 0.9)).toBe(learned)
  missed(network, 100)
  expect(conformal.level(network, 0.9)).toBeGreaterThan(learned)
  expect(conformal.level(statistics, 0.9)).toBe(learned)
})

test('an attempt counts as above its quantile while it still runs', () => {
  const conformal = new Conformal()
  const before = conformal.level(by('ann', KNOWN), 0.9)
  conformal.promise(taskId(1), by('ann', KNOWN), 900, 990)
  conformal.begin(taskId(1), 0)
  conformal.advance(899)
  expect(conformal.level(by('ann', KNOWN), 0.9)).toBe(before)
  conformal.advance(950)
  const risen = conformal.level(by('ann', KNOWN), 0.9)
  expect(risen).toBeGreaterThan(before)
  conformal.end(taskId(1), 960, true)
  expect(conformal.level(by('ann', KNOWN), 0.9)).toBe(risen)
})

test('levels rise with what is asked and leave the median alone', () => {
  const conformal = new Conformal()
  for (let index = 1; index < 500; index++) {
    conformal.promise(taskId(index), by('ann', KNOWN), 10, 10)
    conformal.begin(taskId(index), 0)
    conformal.end(taskId(index), 20, false)
  }
  const at = (centre: number): number[] =>
    [0.1, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999].map((q) => conformal.level(by('ann', KNOWN), q, centre))
  expect(at(0.5).slice(0, 2)).toEqual([0.1, 0.5])
  for (const centre of [0.1, 0.4, 0.5, 0.9]) {
    const levels = at(centre)
    expect([...levels].sort((a, b) => a - b)).toEqual(levels)
    expect(levels[1]).toBe(centre)
    expect(levels.at(-1)).toBeLessThan(1)
  }
})

test('a class that shifts drifts until it has been quiet; noise around the prediction does not', () => {
  const watch = new DriftWatch()
  const rng = createRng(5)
  for (let index = 0; index < 2000; index++) watch.observe(1, 2 * rng.nextFloat() - 1)
  expect([watch.alarms, watch.isDrifting(1)]).toEqual([0, false])
  for (let index = 0; index < 12; index++) watch.observe(1, 1.5)
  expect([watch.isDrifting(1), watch.drifting]).toEqual([true, 1])
  for (let index = 0; index < 40; index++) watch.observe(1, 0)
  expect([watch.isDrifting(1), watch.drifting]).toEqual([false, 0])
})

test('trust goes to whom the outcomes bear out, a closed component gets none, and weights sum to 1', () => {
  const hedge = new Hedge<number>(OF_COMPONENTS)
  const weights = new Float64Array(COMPONENTS.length)
  const network = COMPONENTS.indexOf('network')
  const weigh = (isOpen: (component: number) => boolean): number[] => {
    hedge.weigh(1, weights, isOpen)
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1)
    return [...weights]
  }
  const before = weigh(() => true)[network]!
  for (let index = 0; index < 50; index++) hedge.observe(1, Float64Array.of(-5, -5, -3, -1))
  expect(weigh(() => true)[network]).toBeGreaterThan(Math.max(before, 0.9))
  expect(weigh((component) => component !== network)[network]).toBe(0)
  // A network that turns bad loses its trust again.
  for (let index = 0; index < 400; index++) hedge.observe(1, Float64Array.of(-5, -5, -1, -9))
  expect(weigh(() => true)[network]).toBeLessThan(0.01)
})

test('a profile on which tasks take longer is told from one on which they do not; one profile alone has no factor', () => {
  const factors = new NodeFactors()
  const alone = new NodeFactors()
  for (let index = 0; index < 60; index++) {
    factors.observe('a', 'slow', nodeId(1), Math.log(2), STEADY)
    factors.observe('a', 'fast', nodeId(2), -Math.log(2), STEADY)
    alone.observe('a', 'slow', nodeId(1), Math.log(2), STEADY)
  }
  expect(Math.exp(factors.lnFactor('a', 'slow', nodeId(1)))).toBeGreaterThan(1.6)
  expect(Math.exp(factors.lnFactor('a', 'fast', nodeId(2)))).toBeLessThan(0.65)
  expect(Math.exp(factors.lnFactor('other', 'fast', nodeId(3)))).toBeLessThan(0.8)
  expect(alone.lnFactor('a', 'slow', nodeId(1))).toBe(0)
})

test("what is a node's own is known the better the more it ran, and not at all of one that ran nothing", () => {
  const factors = new NodeFactors()
  const boundsOf = (node: number): number[] =>
    [-2, 0, 2].map((deviations) => factors.lnOfNode('p', nodeId(node), deviations))
  const before = boundsOf(1)
  expect(before[1]).toBe(0)
  for (let index = 0; index < 60; index++) {
    factors.observe('a', 'p', nodeId(1), Math.log(2), STEADY)
    factors.observe('a', 'p', nodeId(2), -Math.log(2), STEADY)
  }
  const [low = 0, middle = 0, high = 0] = boundsOf(1)
  expect(middle).toBeCloseTo(factors.lnFactor('a', 'p', nodeId(1)))
  expect(low).toBeGreaterThan(boundsOf(2)[2]!)
  expect(high - low).toBeLessThan((before[2]! - before[0]!) / 2)
  expect(boundsOf(3)[2]! - boundsOf(3)[0]!).toBeCloseTo(before[2]! - before[0]!)
})

test('a run that failed to do its work does not make its node fast', () => {
  const factors = new NodeFactors()
  for (let index = 0; index < 20; index++) {
    factors.observe('a', 'left', nodeId(1), 0, STEADY)
    factors.observe('a', 'right', nodeId(2), index === 10 ? -6 : 0, STEADY)
  }
  expect(Math.abs(factors.lnFactor('a', 'right', nodeId(2)))).toBeLessThan(0.02)
})

test('what a profile does to a name is believed where names differ in that, and taken for noise where they do not', () => {
  expect(factorOfOddName(0)).toBeLessThan(0.03)
  expect(factorOfOddName(0.5)).toBeGreaterThan(0.2)
})

/**
 * How much slower a profile is for a name of which two slow runs are known there than for one that never ran, when all others
 * of twenty names are off by ± `spread` on it.
 */
function factorOfOddName(spread: number): number {
  const factors = new NodeFactors()
  const rng = createRng(7)
  for (let round = 0; round < 50; round++) {
    for (let name = 0; name < 20; name++) {
      const off = name % 2 === 0 ? spread : -spread
      const noise = 0.4 * (rng.nextFloat() - 0.5)
      factors.observe(`n${name}`, 'left', nodeId(1), off + noise, STEADY)
      factors.observe(`n${name}`, 'right', nodeId(2), -off - noise, STEADY)
    }
  }
  for (let run = 0; run < 2; run++) factors.observe('odd', 'left', nodeId(1), 0.5, STEADY)
  return factors.lnFactor('odd', 'left', nodeId(1)) - factors.lnFactor('other', 'left', nodeId(1))
}

test('a node where more fails than expected is avoided; failures that were expected blame nobody', () => {
  const places = new FailurePlaces()
  for (let index = 0; index < 40; index++) {
    places.observe('plain', nodeId(1), 0.05, true)
    places.observe('plain', nodeId(2), 0.05, false)
    places.observe('other', nodeId(3), 0.95, true)
  }
  expect(places.probability('plain', nodeId(1), 0.05)).toBeGreaterThan(0.5)
  expect(places.probability('plain', nodeId(1), 0.05)).toBeGreaterThan(
    5 * places.probability('plain', nodeId(2), 0.05)
  )
  expect(places.probability('other', nodeId(3), 0.05)).toBeLessThan(0.1)
})

/** The probability of a class after these ends of its own and of another of its tenant, each a failure or not. */
function failureAfter(own: readonly boolean[], others: readonly boolean[] = []): number {
  const shared = [0, 1, 2].map(() => ({ value: { failures: new FailureTally() } }))
  const mine = [3, 4, 5].map(() => ({ value: { failures: new FailureTally() } }))
  let clock = 0
  for (const failed of others) {
    clock++
    for (const { value } of shared) value.failures.add(failed, clock)
  }
  for (const failed of own) {
    clock++
    for (const { value } of [...shared, ...mine]) value.failures.add(failed, clock)
  }
  return failureProbability([...shared, ...mine], clock)
}

test('a class that never failed may still fail, and its own successes are counted once', () => {
  const successes = new Array<boolean>(30).fill(false)
  expect(failureAfter([])).toBeCloseTo(0.02)
  const after = failureAfter(successes)
  expect(after).toBeGreaterThan(0.001)
  expect(after).toBeLessThan(0.01)
  expect(failureAfter(new Array<boolean>(5000).fill(false), successes)).toBeGreaterThanOrEqual(1e-4)
})

test('failures elsewhere of the tenant are expected of a new class, and a class’s own count for more', () => {
  const failures = new Array<boolean>(30).fill(true)
  expect(failureAfter([], failures)).toBeGreaterThan(0.5)
  expect(failureAfter(new Array<boolean>(60).fill(false), failures)).toBeLessThan(0.15)
  // 30 own failures weigh 20, the prior 4.
  expect(failureAfter(failures)).toBeGreaterThan(0.8)
})

test('the median that errs least is believed, even where it is rarely but badly wrong', () => {
  const statisticsErrLess = new MedianTrust()
  const mixtureErrsLess = new MedianTrust()
  const medians = Float64Array.of(7, 9)
  expect(medians).toHaveLength(MEDIANS.length)
  for (let index = 0; index < 3000; index++) {
    // The mixture is nearer four times of five, by 0.4, and farther once, by 2.
    statisticsErrLess.observe('ann', medians, index % 5 === 0 ? 0 : 8.2)
    mixtureErrsLess.observe('ann', medians, 8.2)
  }
  expect(statisticsErrLess.centreLn('ann', medians)).toBeCloseTo(7, 1)
  expect(statisticsErrLess.centreLn('bob', medians)).toBeCloseTo(7, 1)
  expect(mixtureErrsLess.centreLn('ann', medians)).toBeCloseTo(9, 1)
})
