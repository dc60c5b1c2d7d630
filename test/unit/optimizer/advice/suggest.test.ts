import { expect, test } from 'vitest'
import { nodeId } from '../../../../base/ids.ts'
import { SuggestionBook } from '../../../../optimizer/advice/suggest.ts'
import { LiveTask } from '../../../../optimizer/sim/view.ts'
import { taskOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

function observe(
  book: SuggestionBook,
  sketch: Partial<TaskSketch>,
  runMs: number,
  peakMemoryBytes = 0
): void {
  const task = new LiveTask(taskOf({ work: runMs, ...sketch }, 0), [])
  book.observe({ task, node: nodeId(1), end: 'succeeded', runMs, peakMemoryBytes })
}

test('nothing is suggested from a few attempts', () => {
  const book = new SuggestionBook()
  for (let round = 0; round < 19; round++) observe(book, {}, 100)
  expect(book.suggestions(undefined)).toEqual([])
  observe(book, {}, 100)
  expect(book.suggestions(undefined)).toMatchObject([
    { name: 'task', samples: 20, timeout: { suggestedMs: 1000 } }
  ])
})

test('a timeout stands well above what was seen, memory a fifth above its p95; failures do not count', () => {
  const book = new SuggestionBook()
  for (let round = 1; round <= 100; round++) observe(book, { limit: 5000 }, round * 100, round * 2 ** 20)
  const task = new LiveTask(taskOf({ work: 1 }, 0), [])
  for (const end of ['failed', 'stopped', 'lost'] as const)
    book.observe({ task, node: nodeId(1), end, runMs: 1e9, peakMemoryBytes: 2 ** 40 })
  const [suggestion] = book.suggestions('task')
  expect(suggestion?.timeout).toEqual({ currentMs: 5000, p99Ms: 10_000, suggestedMs: 30_000, samples: 100 })
  expect(suggestion?.memory).toEqual({
    requestedBytes: 0,
    p95Bytes: 96 * 2 ** 20,
    suggestedBytes: 116 * 2 ** 20,
    samples: 100
  })
  expect(book.suggestions('other')).toEqual([])
})

test('tenants are told apart, and the most seen comes first', () => {
  const book = new SuggestionBook()
  for (let round = 0; round < 20; round++) observe(book, { tenant: 'a' }, 100)
  for (let round = 0; round < 30; round++) observe(book, { tenant: 'b' }, 100)
  expect(book.suggestions('task').map(({ tenant }) => tenant)).toEqual(['b', 'a'])
})

test('what is long past is forgotten: a class that became fast gets a shorter timeout', () => {
  const book = new SuggestionBook()
  for (let round = 0; round < 100; round++) observe(book, {}, 100_000)
  for (let round = 0; round < 300; round++) observe(book, {}, 1000)
  expect(book.suggestions('task')[0]).toMatchObject({
    samples: 400,
    timeout: { suggestedMs: 3000, samples: 256 }
  })
})

function cutOffBy(limit: number, book: SuggestionBook): void {
  const task = new LiveTask(taskOf({ work: 1, limit }, 0), [])
  book.observe({ task, node: nodeId(1), end: 'failed', runMs: limit + 3, peakMemoryBytes: 0 })
}

test('what was cut off counts as long as its timeout, whatever later attempts ask for', () => {
  const book = new SuggestionBook()
  for (let round = 0; round < 20; round++) observe(book, { limit: 1000 }, 100)
  for (let round = 0; round < 20; round++) cutOffBy(1000, book)
  const advised = { p99Ms: 1000, suggestedMs: 3000 }
  expect(book.suggestions('task')[0]?.timeout).toMatchObject({ currentMs: 1000, ...advised })
  for (let round = 0; round < 5; round++) observe(book, {}, 100)
  expect(book.suggestions('task')[0]?.timeout).toMatchObject({ currentMs: 0, samples: 25, ...advised })
  // Nor does a longer one say that those took as long as that.
  observe(book, { limit: 600_000 }, 100)
  expect(book.suggestions('task')[0]?.timeout).toMatchObject({ currentMs: 600_000, ...advised })
  for (let round = 0; round < 300; round++) observe(book, {}, 100)
  expect(book.suggestions('task')[0]?.timeout).toMatchObject({ p99Ms: 100 })
})

test('a class whose timeout cuts attempts off is not told to keep it short', () => {
  const book = new SuggestionBook()
  const cutOff = (limit: number): void => {
    cutOffBy(limit, book)
  }
  for (let round = 0; round < 40; round++) observe(book, { limit: 5000 }, 20)
  expect(book.suggestions('task')[0]?.timeout?.suggestedMs).toBe(1000)
  for (let round = 0; round < 4; round++) cutOff(5000)
  expect(book.suggestions('task')[0]?.timeout).toMatchObject({ p99Ms: 5000, suggestedMs: 15_000 })
  // With a longer one they get through, and what was cut off is forgotten.
  for (let round = 0; round < 800; round++) observe(book, { limit: 15_000 }, round % 50 === 0 ? 8000 : 20)
  expect(book.suggestions('task')[0]?.timeout).toMatchObject({ currentMs: 15_000, p99Ms: 8000 })
})
