import { expect, test } from 'vitest'
import { createClock } from '../../../../node/system/clock.ts'
import { createEntropy } from '../../../../node/system/entropy.ts'
import { createLogger } from '../../../../node/system/logger.ts'
import { createTimers } from '../../../../node/system/timers.ts'

test('a timer runs once, not before its time, and not after it was cancelled', async () => {
  const timers = createTimers()
  const clock = createClock()
  const start = clock.monotonicNow()
  const ran: string[] = []
  timers.after(5, () => ran.push('cancelled'))()
  await new Promise<void>((resolve) => {
    timers.after(5.5, () => {
      ran.push('kept')
      resolve()
    })
  })
  expect(ran).toEqual(['kept'])
  expect(clock.monotonicNow() - start).toBeGreaterThanOrEqual(5)
})

test('soon is a later macrotask', async () => {
  const order: string[] = []
  await new Promise<void>((resolve) => {
    createTimers().soon(() => {
      order.push('soon')
      resolve()
    })
    void Promise.resolve().then(() => order.push('microtask'))
    order.push('now')
  })
  expect(order).toEqual(['now', 'microtask', 'soon'])
})

test('entropy gives the asked number of bytes and 32-bit integers', () => {
  const entropy = createEntropy()
  expect(entropy.bytes(16)).toHaveLength(16)
  expect(entropy.bytes(16)).not.toEqual(entropy.bytes(16))
  const drawn = Array.from({ length: 64 }, () => entropy.uint32())
  expect(drawn.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true)
  expect(Math.max(...drawn)).toBeGreaterThan(2 ** 31)
})

test('a log line carries the fields of the logger, of the call, and an error with its cause', () => {
  const lines: string[] = []
  const logger = createLogger({ fields: { nodeId: 3 }, level: 'info', write: (line) => lines.push(line) })
  logger.debug({}, 'hidden')
  logger.warn({ peer: 2, error: new Error('outer') }, 'shown')
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'warn',
    nodeId: 3,
    peer: 2,
    msg: 'shown',
    error: { message: 'outer' }
  })
})
