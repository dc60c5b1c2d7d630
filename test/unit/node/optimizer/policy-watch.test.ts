import { expect, test } from 'vitest'
import { PolicyWatch, REPLAY_EVERY } from '../../../../node/optimizer/policy-watch.ts'
import type { ReplayAnswer } from '../../../../node/optimizer/protocol.ts'

/** A replay in which the other policy changes completion times by so much, give or take 1 %. */
function answer(relative: number): ReplayAnswer {
  const interval = { low: relative - 0.01, high: relative + 0.01 }
  const jct = { difference: relative, relative, ...interval, relativeInterval: interval }
  const figures = { meanJctMs: 1, p95JctMs: 1, p99JctMs: 1, boundedSlowdown: 1, jct, slowdown: jct }
  const results = [
    { name: 'learned', ...figures },
    { name: 'least-loaded', ...figures }
  ]
  return {
    base: 'learned',
    units: 9,
    tasks: 9,
    fromAt: 0,
    toAt: 1,
    load: 1,
    leftOut: 0,
    failures: [],
    results
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('an alarm stands while the default policy would be faster for sure', async () => {
  const answers = [answer(-0.2), answer(-0.055), undefined, answer(-0.2)]
  const asked: string[] = []
  const watch = new PolicyWatch({
    replay: ([base, other]) => {
      asked.push(`${base} ${other}`)
      return Promise.resolve(answers[asked.length - 1])
    }
  })
  const alarms: boolean[] = []
  for (let round = 0; round < 4; round++) {
    watch.observe(REPLAY_EVERY - 1, 'learned')
    await settled()
    expect(asked).toHaveLength(round)
    watch.observe(1, 'learned')
    await settled()
    alarms.push(watch.alarm !== undefined)
  }
  expect(alarms).toEqual([true, false, false, true])
  expect(new Set(asked)).toEqual(new Set(['learned least-loaded']))
  expect(watch.alarm).toContain('20.0 % less under least-loaded')
  watch.observe(0, 'easy')
  expect(watch.alarm).toBeUndefined()
})

test('the default is not compared with itself, and a replay that fails says nothing', async () => {
  let asked = 0
  const watch = new PolicyWatch({
    replay: () => {
      asked++
      return Promise.reject(new Error('the thread is gone'))
    }
  })
  watch.observe(10 * REPLAY_EVERY, 'least-loaded')
  expect(asked).toBe(0)
  watch.observe(REPLAY_EVERY, 'learned')
  watch.observe(REPLAY_EVERY, 'learned')
  expect(asked).toBe(1)
  await settled()
  expect(watch.alarm).toBeUndefined()
  watch.observe(1, 'learned')
  expect(asked).toBe(2)
})
