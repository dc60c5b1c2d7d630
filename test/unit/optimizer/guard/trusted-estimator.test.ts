/** Predictions that mislead are replaced by plain class means while they do, and taken again afterwards; policies hear of either. */
import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { createLearnedEstimator } from '../../../../optimizer/estimator/learned.ts'
import { feedbackOf, viewOf } from '../../../../optimizer/guard/history.ts'
import type { FinishedTask } from '../../../../optimizer/guard/history.ts'
import { PROBATION, TrustedEstimator } from '../../../../optimizer/guard/trusted-estimator.ts'
import { poisoned } from '../../../../optimizer/lab/poisoned.ts'
import { LiveNode } from '../../../../optimizer/sim/view.ts'
import { finished } from './fixture.ts'

const NODE = { labels: {}, zone: '', profile: 'any', slots: 8, resources: {}, speeds: {} }
const host = new LiveNode({ ...NODE, id: nodeId(1) })
const fast = new LiveNode({ ...NODE, id: nodeId(2) })
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
  run(count: number, on = host): void {
    for (let left = count; left > 0; left--) {
      const task = this.#draw(on)
      this.trusted.placed(viewOf(task), on, this.#now)
      this.#end(task)
    }
  }

  /** The same, so many at a time. */
  runTogether(count: number, together: number): void {
    const running: FinishedTask[] = []
    for (let left = count; left > 0; left--) {
      const task = this.#draw(host)
      this.trusted.placed(viewOf(task), host, this.#now)
      running.push(task)
      const oldest = running.length > together ? running.shift() : undefined
      if (oldest !== undefined) this.#end(oldest)
    }
  }

  #draw(on: LiveNode): FinishedTask {
    const kind = Math.floor(KINDS * this.#rng.nextFloat())
    const runMs = Math.round((typicalMs(kind) * (0.5 + this.#rng.nextFloat())) / (on === fast ? 4 : 1))
    return finished(this.#id++, { name: `kind ${kind}`, runMs, node: on.id })
  }

  #end(task: FinishedTask): void {
    this.#now += task.runMs
    this.trusted.advance(this.#now)
    this.trusted.observe(feedbackOf(task))
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
  bench.run(3 * PROBATION)
  expect([bench.turns.length, bench.trusted.distrust, bench.knowsLong]).toEqual([2, undefined, true])
})

test('where many of a class run at a time and little is known of it, what stays bad is not taken again', () => {
  const bench = new Bench()
  bench.isPoisoned = true
  bench.runTogether(20_000, 64)
  expect(bench.turns).toHaveLength(1)
})

test('a relapse makes the next probation longer, until all has been well for long', () => {
  const bench = new Bench()
  const turn = (poisoned: boolean): number => {
    bench.isPoisoned = poisoned
    const before = bench.turns.length
    let ends = 0
    for (; bench.turns.length === before; ends++) bench.run(1)
    return ends
  }
  bench.run(500)
  turn(true)
  const first = turn(false)
  turn(true)
  const second = turn(false)
  expect(second).toBeGreaterThan(1.8 * first)
  bench.run(5 * second)
  turn(true)
  expect(turn(false)).toBeLessThan(1.3 * first)
})

test('class means know how nodes differ, and what the estimator says of memory and failures stands', () => {
  const bench = new Bench()
  bench.isPoisoned = true
  for (let round = 0; round < 400; round++) bench.run(1, round % 2 === 0 ? fast : host)
  expect(bench.trusted.distrust).toBeDefined()
  const task = viewOf(finished(3_000_000, { name: 'kind 3' }))
  const onFast = bench.trusted.predict(task, fast).medianMs
  expect(bench.trusted.predict(task, host).medianMs / onFast).toBeGreaterThan(2.5)
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
