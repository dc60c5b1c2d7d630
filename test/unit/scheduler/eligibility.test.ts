import { expect, test } from 'vitest'
import { parseResources } from '../../../node/cli/start-options.ts'
import { hasResources } from '../../../scheduler/eligibility.ts'

test('a node limits what it declares and nothing else, so one that declares 0 of something runs no task that asks for it', () => {
  const wanted = { gpu: 1 }
  expect(hasResources(wanted, {}, {})).toBe(true)
  expect(hasResources(wanted, { memory: 0 }, {})).toBe(true)
  expect(hasResources(wanted, parseResources('gpu=0', {}), {})).toBe(false)
  expect(hasResources({ gpu: 0 }, parseResources('gpu=0', {}), {})).toBe(true)
  expect(hasResources(wanted, { gpu: 1 }, {})).toBe(true)
  expect(hasResources(wanted, { gpu: 1 }, { gpu: 1 })).toBe(false)
})
