import { expect, test } from 'vitest'
import { createBackoff } from '../../../../node/transport/backoff.ts'

const entropy = (value: number) => ({ bytes: () => new Uint8Array(), uint32: () => value })

test('waits double up to the bound and start over after a reset', () => {
  const backoff = createBackoff(entropy(0x8000_0000), 50, 400)
  const waits = (count: number): number[] => Array.from({ length: count }, () => backoff.next())
  expect(waits(5)).toEqual([25, 50, 100, 200, 200])
  backoff.reset()
  expect(waits(2)).toEqual([25, 50])
})

test('the jitter reaches from nothing to just under the whole wait', () => {
  expect(createBackoff(entropy(0), 50, 400).next()).toBe(0)
  expect(createBackoff(entropy(0xffff_ffff), 50, 400).next()).toBeLessThan(50)
})
