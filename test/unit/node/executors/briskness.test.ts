import { expect, test } from 'vitest'
import { Briskness } from '../../../../node/executors/js/briskness.ts'

test('a handler is brisk after 32 short attempts in a row, and the others are not', () => {
  const brisk = new Briskness()
  for (let count = 0; count < 31; count++) brisk.observe('short', 5)
  expect(brisk.isBrisk('short')).toBe(false)
  brisk.observe('short', 0)
  expect(brisk.isBrisk('short')).toBe(true)
  expect(brisk.isBrisk('other')).toBe(false)
})

test('one attempt that is not short costs a handler all that it had earned', () => {
  const brisk = new Briskness()
  for (let count = 0; count < 40; count++) brisk.observe('h', 1)
  brisk.observe('h', 5.1)
  expect(brisk.isBrisk('h')).toBe(false)
  for (let count = 0; count < 31; count++) brisk.observe('h', 1)
  expect(brisk.isBrisk('h')).toBe(false)
})

test('a handler is trusted after a thousand short attempts in a row, and no more after one that is not', () => {
  const brisk = new Briskness()
  for (let count = 0; count < 999; count++) brisk.observe('h', 1)
  expect(brisk.isTrusted('h')).toBe(false)
  brisk.observe('h', 1)
  expect(brisk.isTrusted('h')).toBe(true)
  brisk.observe('h', Infinity)
  expect(brisk.isTrusted('h')).toBe(false)
})
