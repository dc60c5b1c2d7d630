import { expect, test } from 'vitest'
import { createRng } from '../../../base/prng.ts'
import { durationMs } from '../../../base/units.ts'
import { delayAfter, retryDelay } from '../../../scheduler/retry.ts'
import { Machine, failure, report, spec } from '../../helpers/scheduler.ts'

const policy = { maxAttempts: 100, baseDelayMs: durationMs(100), maxDelayMs: durationMs(1_000) }

test.each([
  [1, 100],
  [2, 200],
  [4, 800],
  [5, 1_000],
  [100, 1_000]
])('the delay after failure %i is spread over 0 to %i', (failures, ceiling) => {
  const rng = createRng(failures)
  const delays = Array.from({ length: 500 }, () => retryDelay(policy, failures, rng))
  expect(Math.min(...delays)).toBeLessThan(ceiling * 0.05)
  expect(Math.max(...delays)).toBeLessThanOrEqual(ceiling)
  expect(Math.max(...delays)).toBeGreaterThan(ceiling * 0.95)
  expect(delays.every(Number.isSafeInteger)).toBe(true)
})

test('no base delay is no delay', () => {
  expect(retryDelay({ ...policy, baseDelayMs: durationMs(0) }, 9, createRng(1))).toBe(0)
})

test('a first attempt that did not start goes back in line at once, later ones wait', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ retry: policy })])
  const refused = report(1, machine.place(1, 1), { outcome: 'not-started' })
  expect(delayAfter(refused, machine.task(1), createRng(1))).toBe(0)
  machine.complete(1, 1, { outcome: 'not-started' })
  machine.place(1, 1)
  const delays = Array.from({ length: 50 }, (_, seed) =>
    delayAfter(refused, machine.task(1), createRng(seed))
  )
  expect(Math.max(...delays)).toBeGreaterThan(50)
  expect(delayAfter(report(1, 2), machine.task(1), createRng(1))).toBe(0)
  const failed = report(1, 2, { outcome: 'failed', error: failure })
  expect(delayAfter(failed, undefined, createRng(1))).toBe(0)
})
